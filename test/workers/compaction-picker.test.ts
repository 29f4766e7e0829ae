/**
 * Goal: whatever is flushed, compaction after compaction keeps newer versions above older ones and
 * the levels disjoint, drops no delete that hides something, goes round each level's keys, and
 * comes to an end with every level within its target.
 * Method: a model of tables as lists of (key, sequence); random flushes, after each of which jobs
 * are picked and carried out on the model until there are none; examples for each rule.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { compareBytes, toHex } from '../../src/codec/bytes.ts'
import { decodeManifest, encodeManifest, type TableDescription } from '../../src/codec/manifest.ts'
import {
  addFlushed,
  applyCompaction,
  type CompactionJob,
  type LevelState,
  pickCompaction,
  pickFullCompaction,
} from '../../src/workers/domain/compaction-picker.ts'

const DOMAIN = '00000000-0000-4000-8000-000000000000'
const MIB = 1024 * 1024

interface Row {
  key: number
  sequence: number
  isDelete: boolean
}

/** Keys of one byte or two, so that some are prefixes of others. */
function keyOf(key: number): Uint8Array {
  return key % 3 === 0 ? Uint8Array.of(key) : Uint8Array.of(key, key % 5)
}

/** A store of tables that are only described, with their rows beside them. */
class Model {
  state: LevelState = { tables: [], compactionCursors: [] }
  readonly #rows = new Map<number, Row[]>()
  readonly #rowMib: number
  readonly #tableRows: number
  #nextId = 1
  #sequence = 0

  constructor(rowMib: number, tableRows: number) {
    this.#rowMib = rowMib
    this.#tableRows = tableRows
  }

  rowsOf({ id }: TableDescription): Row[] {
    return this.#rows.get(id) ?? []
  }

  flush(keys: readonly { key: number; isDelete: boolean }[]): void {
    const rows = keys.map(({ key, isDelete }) => ({ key, isDelete, sequence: ++this.#sequence }))
    const table = this.#tableOf(rows, 0)
    this.state = { ...this.state, tables: addFlushed(this.state.tables, [table]) }
  }

  /** Merges as compactions do, with a snapshot at `seen`, or none. */
  execute(job: CompactionJob, seen: number): void {
    const outputs: TableDescription[] = []
    if (!job.isMove) {
      const isBottom = ({ key }: Row): boolean =>
        !job.below.some(
          ({ smallest, greatest }) =>
            compareBytes(smallest, keyOf(key)) <= 0 && compareBytes(keyOf(key), greatest) <= 0,
        )
      const rows = sorted(job.inputs.flatMap(table => this.rowsOf(table)))
      const kept = rows.filter((row, i) => {
        const before = rows[i - 1]
        const isNewest = before?.key !== row.key
        const isSeen = row.sequence <= seen && (isNewest || before.sequence > seen)
        if (!isNewest && !isSeen) return false
        const isOldest = rows[i + 1]?.key !== row.key || row.sequence <= seen || seen === 0
        return !(row.isDelete && isOldest && isBottom(row))
      })
      for (let at = 0; at < kept.length; ) {
        let end = Math.min(at + this.#tableRows, kept.length)
        while (end < kept.length && kept[end].key === kept[end - 1].key) end++
        outputs.push(this.#tableOf(kept.slice(at, end), job.outputLevel))
        at = end
      }
    }
    this.state = applyCompaction(this.state, job, outputs)
  }

  #tableOf(rows: readonly Row[], level: number): TableDescription {
    const inOrder = sorted(rows)
    const id = this.#nextId++
    this.#rows.set(id, inOrder)
    const sequences = rows.map(({ sequence }) => sequence)
    return {
      domain: DOMAIN,
      epoch: 1,
      id,
      level,
      sizeBytes: rows.length * this.#rowMib * MIB,
      checksum: '',
      rows: rows.length,
      deletes: rows.filter(({ isDelete }) => isDelete).length,
      smallestKey: keyOf(inOrder[0].key),
      greatestKey: keyOf(inOrder[inOrder.length - 1].key),
      smallestSequence: Math.min(...sequences),
      greatestSequence: Math.max(...sequences),
    }
  }

  /** What a key reads as at a sequence, taking the first source that has it. */
  find(key: number, sequence: number): Row | undefined {
    for (const table of this.state.tables) {
      const row = this.rowsOf(table).find(row => row.key === key && row.sequence <= sequence)
      if (row !== undefined) return row
    }
    return undefined
  }

  verify(): void {
    const { tables, compactionCursors } = this.state
    // Its decoder refuses levels that are out of order or overlap.
    decodeManifest(
      encodeManifest({
        clusterId: DOMAIN,
        domain: DOMAIN,
        epoch: 1,
        version: 1,
        parent: null,
        lastSequence: this.#sequence,
        lastIndex: 1,
        nextTableId: this.#nextId,
        createdAt: 1,
        compactionCursors,
        tables,
      }),
      'manifest',
    )
    assert.equal(new Set(tables.map(({ id }) => id)).size, tables.length, 'a table twice')
    const least = new Map<number, number>()
    for (const table of tables) {
      const rows = this.rowsOf(table)
      for (const { key, sequence } of rows) {
        const above = least.get(key) ?? Number.POSITIVE_INFINITY
        assert.ok(sequence < above, `key ${key}: ${sequence} under ${above}`)
      }
      for (const { key, sequence } of rows) least.set(key, sequence)
    }
  }
}

function sorted(rows: readonly Row[]): Row[] {
  return [...rows].sort(
    (a, b) => compareBytes(keyOf(a.key), keyOf(b.key)) || b.sequence - a.sequence,
  )
}

function bytesOf({ tables }: LevelState, level: number): number {
  return tables.filter(t => t.level === level).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

/** What does not depend on how the picker finds its job. */
function verifyJob(model: Model, job: CompactionJob): void {
  const { tables } = model.state
  const { level, outputLevel, inputs } = job
  assert.equal(outputLevel, level + 1)
  assert.ok(level < 6)
  const own = inputs.filter(table => table.level === level)
  const lower = inputs.filter(table => table.level === outputLevel)
  assert.deepEqual([...own, ...lower], inputs, 'newest first')
  for (const part of [own, lower]) {
    assert.deepEqual(
      part,
      tables.filter(table => part.includes(table)),
      'in the manifest’s order',
    )
  }
  if (level === 0) assert.equal(own.length, tables.filter(table => table.level === 0).length)
  else assert.equal(own.length, 1)
  const isDisjoint = own.every((table, i) =>
    own.every(
      (other, j) =>
        i === j ||
        compareBytes(table.greatestKey, other.smallestKey) < 0 ||
        compareBytes(other.greatestKey, table.smallestKey) < 0,
    ),
  )
  assert.equal(job.isMove, lower.length === 0 && isDisjoint)
  // What a delete in the inputs hides is in the inputs, or in a range of `below`.
  for (const { key } of inputs.flatMap(table => model.rowsOf(table))) {
    const bytes = keyOf(key)
    const isBelow = job.below.some(
      ({ smallest, greatest }) =>
        compareBytes(smallest, bytes) <= 0 && compareBytes(bytes, greatest) <= 0,
    )
    const holders = tables.filter(
      table =>
        table.level > level &&
        !inputs.includes(table) &&
        compareBytes(table.smallestKey, bytes) <= 0 &&
        compareBytes(bytes, table.greatestKey) <= 0,
    )
    assert.equal(isBelow, holders.length > 0, `key ${key}`)
    assert.ok(holders.every(table => table.level > outputLevel))
  }
}

/** The cursor moves on, and back to the start only when there is nothing beyond it. */
function verifyRound({ tables, compactionCursors }: LevelState, job: CompactionJob): void {
  if (job.level === 0) return
  const [source] = job.inputs
  assert.deepEqual(job.cursor, source.greatestKey)
  const before = compactionCursors[job.level] ?? new Uint8Array(0)
  const own = tables.filter(table => table.level === job.level)
  const isPast = (table: TableDescription): boolean => compareBytes(table.smallestKey, before) > 0
  if (!isPast(source)) assert.ok(!own.some(isPast), 'the cursor went back too early')
  const skipped = own.filter(
    table =>
      compareBytes(table.smallestKey, source.smallestKey) < 0 && isPast(table) === isPast(source),
  )
  assert.deepEqual(skipped, [], 'tables were passed over')
}

/**
 * Picks and carries out until nothing is left to do. @returns the jobs
 * @param meanwhile a flush that is done while the first job is under way
 */
function settle(model: Model, seen: number, meanwhile?: () => void): CompactionJob[] {
  const jobs: CompactionJob[] = []
  for (;;) {
    const job = pickCompaction(model.state)
    if (job === undefined) return jobs
    verifyJob(model, job)
    verifyRound(model.state, job)
    if (jobs.length === 0) meanwhile?.()
    model.execute(job, seen)
    model.verify()
    jobs.push(job)
    assert.ok(jobs.length < 5000, 'compaction does not come to an end')
  }
}

const flushArbitrary = fc.uniqueArray(
  fc.record({ key: fc.nat({ max: 120 }), isDelete: fc.boolean() }),
  { minLength: 1, maxLength: 12, selector: ({ key }) => key },
)

describe('the compaction picker', () => {
  const counts = { moves: 0, deep: 0, below: 0 }

  test('keeps the invariants, whatever is flushed', () => {
    fc.assert(
      fc.property(
        fc.array(flushArbitrary, { minLength: 1, maxLength: 60, size: 'max' }),
        fc.constantFrom(1, 8, 40, 150),
        fc.integer({ min: 1, max: 9 }),
        fc.nat({ max: 300 }),
        (flushes, rowMib, tableRows, seen) => {
          const model = new Model(rowMib, tableRows)
          const all: Row[] = []
          const left = [...flushes]
          let sequence = 0
          const flush = (): void => {
            const rows = left.shift() ?? []
            for (const row of rows) all.push({ ...row, sequence: ++sequence })
            if (rows.length > 0) model.flush(rows)
            model.verify()
          }
          while (left.length > 0) {
            flush()
            const meanwhile = left.length % 3 === 0 ? flush : undefined
            for (const job of settle(model, seen, meanwhile)) {
              if (job.isMove) counts.moves++
              if (job.level > 1) counts.deep++
              if (job.below.length > 0) counts.below++
            }
            const { tables } = model.state
            assert.ok(tables.filter(({ level }) => level === 0).length < 4)
            for (let level = 1; level < 6; level++) {
              assert.ok(bytesOf(model.state, level) < 64 * MIB * 10 ** (level - 1))
            }
          }
          for (const key of new Set(all.map(row => row.key))) {
            for (const at of [seen, sequence]) {
              const expected = all.findLast(row => row.key === key && row.sequence <= at)
              const found = model.find(key, at)
              const isGone = expected === undefined || expected.isDelete
              if (isGone) assert.ok(found === undefined || found.isDelete, `key ${key} at ${at}`)
              else assert.deepEqual(found, expected, `key ${key} at ${at}`)
            }
          }
        },
      ),
      { numRuns: 120 },
    )
    assert.ok(counts.moves > 20 && counts.deep > 20 && counts.below > 20, JSON.stringify(counts))
  })

  test('a full compaction leaves one level, and nothing to do once no delete is left', () => {
    fc.assert(
      fc.property(
        fc.array(flushArbitrary, { minLength: 1, maxLength: 30, size: 'max' }),
        fc.constantFrom(8, 40),
        (flushes, rowMib) => {
          const model = new Model(rowMib, 5)
          for (const [i, rows] of flushes.entries()) {
            model.flush(rows)
            if (i % 5 !== 4) settle(model, 0)
          }
          const deepest = Math.max(1, ...model.state.tables.map(({ level }) => level))
          const job = pickFullCompaction(model.state)
          if (job !== undefined) {
            assert.equal(job.outputLevel, deepest)
            assert.deepEqual(job.inputs, model.state.tables)
            assert.deepEqual(job.below, [])
            assert.equal(job.isMove, false)
            model.execute(job, 0)
            model.verify()
          }
          assert.ok(
            model.state.tables.every(({ level, deletes }) => level === deepest && deletes === 0),
          )
          assert.equal(pickFullCompaction(model.state), undefined)
        },
      ),
      { numRuns: 100 },
    )
  })
})

let lastId = 0

function table(level: number, from: number, to: number, mib: number): TableDescription {
  return {
    domain: DOMAIN,
    epoch: 1,
    id: ++lastId,
    level,
    sizeBytes: mib * MIB,
    checksum: '',
    rows: 1,
    deletes: 0,
    smallestKey: Uint8Array.of(from),
    greatestKey: Uint8Array.of(to),
    smallestSequence: 1,
    greatestSequence: 1,
  }
}

function pick(tables: TableDescription[], cursors: Uint8Array[] = []): CompactionJob | undefined {
  return pickCompaction({ tables, compactionCursors: cursors })
}

describe('picking', () => {
  test('begins at 4 tables of level 0 and at 64 MiB of level 1', () => {
    assert.equal(pick([]), undefined)
    const level0 = [4, 3, 2, 1].map(key => table(0, key, key, 1))
    assert.equal(pick(level0.slice(1)), undefined)
    assert.equal(pick(level0)?.level, 0)
    assert.equal(pick([table(1, 1, 2, 32), table(1, 3, 4, 31)]), undefined)
    assert.equal(pick([table(1, 1, 2, 32), table(1, 3, 4, 32)])?.level, 1)
    assert.equal(pick([table(2, 1, 2, 639)]), undefined)
    assert.equal(pick([table(2, 1, 2, 640)])?.level, 2)
    assert.equal(pick([table(5, 1, 2, 640_000)])?.level, 5)
    assert.equal(pick([table(6, 1, 2, 64_000_000)]), undefined, 'the last level has no limit')
  })

  test('takes the level that is furthest over its target, of equal ones the upper', () => {
    const level0 = [5, 4, 3, 2, 1].map(key => table(0, key, key, 1))
    assert.equal(pick([...level0, table(1, 1, 2, 79)])?.level, 0)
    assert.equal(pick([...level0, table(1, 1, 2, 80)])?.level, 0)
    assert.equal(pick([...level0, table(1, 1, 2, 81)])?.level, 1)
    assert.equal(pick([...level0, table(1, 1, 2, 81), table(2, 1, 2, 1000)])?.level, 2)
  })

  test('takes of the output level what overlaps, ends included, and knows what is below', () => {
    const level0 = [
      table(0, 10, 12, 1),
      table(0, 20, 20, 1),
      table(0, 11, 15, 1),
      table(0, 13, 14, 1),
    ]
    const level1 = [
      table(1, 1, 9, 1),
      table(1, 10, 10, 1),
      table(1, 13, 18, 1),
      table(1, 20, 30, 1),
      table(1, 31, 40, 1),
    ]
    const level2 = [table(2, 1, 9, 1), table(2, 25, 28, 1), table(2, 31, 40, 1)]
    const level3 = [table(3, 2, 10, 1), table(3, 30, 33, 1), table(3, 34, 50, 1)]
    const job = pick([...level0, ...level1, ...level2, ...level3])
    assert.deepEqual(job?.inputs, [...level0, ...level1.slice(1, 4)])
    assert.deepEqual(
      job?.below.map(({ smallest, greatest }) => `${toHex(smallest)}-${toHex(greatest)}`),
      ['191c', '020a', '1e21'].map(range => `${range.slice(0, 2)}-${range.slice(2)}`),
    )
    assert.equal(job?.isMove, false)
  })

  test('a table that overlaps nothing moves as it is, and takes its place by key', () => {
    const state = {
      tables: [table(1, 5, 6, 64), table(2, 1, 4, 1), table(2, 7, 9, 1)],
      compactionCursors: [],
    }
    const job = pickCompaction(state)
    assert.ok(job?.isMove)
    const { tables, compactionCursors } = applyCompaction(state, job, [])
    const [moved, first, last] = state.tables
    assert.deepEqual(tables, [first, { ...moved, level: 2 }, last])
    assert.deepEqual(compactionCursors, [Uint8Array.of(), Uint8Array.of(6)])
  })

  test('goes round a level: past the cursor first, from the start after the last', () => {
    let state: LevelState = {
      tables: [10, 20, 30, 40].map(key => table(1, key, key + 5, 20)),
      compactionCursors: [Uint8Array.of(), Uint8Array.of(20), Uint8Array.of(77)],
    }
    const picked: number[] = []
    for (let i = 0; i < 6; i++) {
      const job = pickCompaction(state)
      assert.ok(job)
      picked.push(job.inputs[0].smallestKey[0])
      state = applyCompaction(state, job, [])
      assert.deepEqual(state.compactionCursors[2], Uint8Array.of(77), 'the other levels’ stay')
      // The next flushes fill the gap again.
      const from = job.inputs[0].smallestKey[0]
      const level1 = state.tables.filter(({ level }) => level === 1)
      const refilled = [...level1, table(1, from, from + 5, 20)]
      refilled.sort((a, b) => compareBytes(a.smallestKey, b.smallestKey))
      state = { ...state, tables: refilled }
    }
    assert.deepEqual(picked, [30, 40, 10, 20, 30, 40])
  })

  test('a flush puts its tables before all others, newest first', () => {
    const old = [table(0, 1, 2, 1), table(1, 1, 2, 1)]
    const flushed = [table(0, 5, 9, 1), table(0, 1, 4, 1)]
    assert.deepEqual(addFlushed(old, flushed), [...flushed, ...old])
  })
})
