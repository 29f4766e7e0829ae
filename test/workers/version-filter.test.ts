/**
 * Goal: a flush keeps what every snapshot and every later reader sees of a memtable, keeps nothing
 * else, and describes its tables as they are.
 * Method: the filter, the walk over a memtable and the whole flush, each over random versions and
 * snapshots, against the definition of what is seen; examples of deletes at the bottom.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { compareBytes, toHex } from '../../src/codec/bytes.ts'
import { xxh64 } from '../../src/codec/hash.ts'
import { Memtable } from '../../src/shared/memtable.ts'
import { MemtableVersions } from '../../src/shared/memtable-versions.ts'
import { type FlushJob, flushTables } from '../../src/workers/io/flush-tables.ts'
import { type FinishedTable, TableOutput } from '../../src/workers/io/table-output.ts'
import { VersionFilter } from '../../src/workers/io/version-filter.ts'
import { firstSequenceArbitrary, insert, rowsArbitrary } from '../shared/row-keys.ts'
import { type Version, VersionsModel } from '../shared/versions.ts'
import { NAMING, readsAt, rowsIn, seenVersions, storableVersions, textOf } from './table-files.ts'

interface Change {
  sequence: number
  isDelete: boolean
}

function filtered(filter: VersionFilter, changes: readonly Change[], isBottom: boolean): Change[] {
  filter.beginKey()
  return changes.filter(({ sequence, isDelete }) => filter.keeps(sequence, isDelete && isBottom))
}

/** `5` is a value at sequence 5, `-5` a delete. */
function keptOf(
  changes: readonly number[],
  snapshots: readonly number[],
  isBottom: boolean,
): number[] {
  const versions = changes.map(change => ({ sequence: Math.abs(change), isDelete: change < 0 }))
  const kept = filtered(new VersionFilter(snapshots), versions, isBottom)
  return kept.map(({ sequence, isDelete }) => (isDelete ? -sequence : sequence))
}

/** A version of each of some keys, newest first. */
const changesArbitrary: fc.Arbitrary<Change[]> = fc
  .uniqueArray(fc.record({ sequence: fc.nat({ max: 30 }), isDelete: fc.boolean() }), {
    minLength: 1,
    maxLength: 12,
    size: 'max',
    selector: ({ sequence }) => sequence,
  })
  .map(changes => changes.sort((a, b) => b.sequence - a.sequence))
const snapshotsArbitrary = fc.array(fc.nat({ max: 32 }), { maxLength: 6 })

function readAt(changes: readonly Change[], sequence: number): number | undefined {
  const change = changes.find(candidate => candidate.sequence <= sequence)
  return change === undefined || change.isDelete ? undefined : change.sequence
}

describe('the version filter', () => {
  test('shows every snapshot and every later reader the same, and keeps nothing else', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(changesArbitrary, fc.boolean()), { minLength: 1, maxLength: 6 }),
        snapshotsArbitrary,
        (lists, snapshots) => {
          // One filter over many keys: none leaves anything behind.
          const filter = new VersionFilter(snapshots)
          for (const [changes, isBottom] of lists) {
            const kept = filtered(filter, changes, isBottom)
            for (const sequence of [...snapshots, 31, 32, Number.MAX_SAFE_INTEGER]) {
              assert.equal(readAt(kept, sequence), readAt(changes, sequence), `at ${sequence}`)
            }
            const key = Uint8Array.of(1)
            const versions = changes.map(change => ({ ...change, key, value: key }))
            const seen = seenVersions(versions, snapshots, () => isBottom)
            assert.deepEqual(
              kept.map(({ sequence }) => sequence),
              seen.map(({ sequence }) => sequence),
            )
          }
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('keeps the newest, and for each snapshot the newest that it sees', () => {
    assert.deepEqual(keptOf([9, 7, 5, 3], [], false), [9])
    assert.deepEqual(keptOf([9, 7, 5, 3], [6], false), [9, 5])
    assert.deepEqual(keptOf([9, 7, 5, 3], [7, 6, 2, 6], false), [9, 7, 5])
    assert.deepEqual(keptOf([9, 7, 5, 3], [9, 100], false), [9])
    assert.deepEqual(keptOf([9, -7, 5, 3], [8], false), [9, -7])
  })

  test('lets a delete at the bottom go with all that it hides', () => {
    assert.deepEqual(keptOf([-9, 7], [], true), [])
    assert.deepEqual(keptOf([-9, 7], [], false), [-9])
    assert.deepEqual(keptOf([-9, 7], [9], true), [])
    assert.deepEqual(keptOf([-9, 7], [10, 20], true), [])
    // Without the delete the value would be there again for those after the snapshot.
    assert.deepEqual(keptOf([-9, 7], [8], true), [-9, 7])
    assert.deepEqual(keptOf([9, -7, 5], [8], true), [9])
    assert.deepEqual(keptOf([9, -7, 5], [8, 6], true), [9, -7, 5])
  })
})

interface Flush {
  memtable: Memtable
  /** Sorted; all that the memtable has. */
  versions: Version[]
  greatest: number
}

function flushOf(versions: readonly Version[]): Flush {
  const model = new VersionsModel()
  const memtable = new Memtable(new SharedArrayBuffer(1_048_576))
  for (const version of versions) {
    assert.ok(insert(memtable, version))
    model.add(version)
  }
  return { memtable, versions: model.versions, greatest: versions.at(-1)?.sequence ?? 0 }
}

const flushArbitrary: fc.Arbitrary<Flush> = fc
  .tuple(rowsArbitrary, firstSequenceArbitrary)
  .map(([rows, firstSequence]) => flushOf(storableVersions(rows, firstSequence)))

describe('the versions of a memtable', () => {
  test('are all those up to a sequence, in the order of tables', () => {
    fc.assert(
      fc.property(flushArbitrary, fc.nat({ max: 150 }), ({ memtable, versions, greatest }, age) => {
        for (const sequence of [greatest, Math.max(0, greatest - age)]) {
          const expected = versions.filter(version => version.sequence <= sequence)
          const walk = new MemtableVersions(memtable, sequence)
          for (const [i, version] of expected.entries()) {
            assert.ok(walk.valid, `nothing instead of ${textOf(version)}`)
            const { key, isDelete, value } = walk
            assert.equal(textOf({ key, sequence: walk.sequence, isDelete, value }), textOf(version))
            const isSameKey = i > 0 && compareBytes(expected[i - 1].key, version.key) === 0
            assert.equal(walk.isSameKey, isSameKey, textOf(version))
            walk.next()
          }
          assert.equal(walk.valid, false)
        }
      }),
      { numRuns: 150 },
    )
  })
})

async function flushed(
  memtable: Memtable,
  job: FlushJob,
  output?: TableOutput,
): Promise<FinishedTable[]> {
  const tables: FinishedTable[] = []
  const keep = async (table: FinishedTable): Promise<void> => {
    tables.push(table)
  }
  await flushTables(memtable, job, keep, () => undefined, output)
  return tables
}

describe('a flush', () => {
  test('makes tables of what is seen, deletes included, as their descriptions say', async () => {
    let split = 0
    await fc.assert(
      fc.asyncProperty(
        flushArbitrary,
        fc.nat({ max: 20 }),
        fc.array(fc.nat({ max: 150 }), { maxLength: 4 }),
        fc.constantFrom(1, 3000, 2 ** 26),
        async ({ memtable, versions, greatest }, age, ages, bytesMax) => {
          const lastSequence = Math.max(0, greatest - age)
          const snapshots = ages.map(back => Math.max(0, lastSequence - back))
          const job = { ...NAMING, lastSequence, snapshots }
          const tables = await flushed(memtable, job, new TableOutput(job, 0, bytesMax))
          const before = versions.filter(({ sequence }) => sequence <= lastSequence)
          const after = tables.flatMap(({ bytes }) => rowsIn(bytes))
          const seen = seenVersions(before, snapshots, () => false)
          assert.deepEqual(after.map(textOf), seen.map(textOf))
          for (const sequence of [...snapshots, lastSequence, greatest]) {
            assert.deepEqual(readsAt(after, sequence), readsAt(before, sequence))
          }
          for (const [i, { description, bytes }] of tables.entries()) {
            const rows = rowsIn(bytes)
            const sequences = rows.map(({ sequence }) => sequence)
            assert.deepEqual(description, {
              domain: NAMING.domain,
              epoch: NAMING.epoch,
              id: NAMING.firstTableId + i,
              level: 0,
              sizeBytes: bytes.length,
              checksum: xxh64(bytes).toString(16).padStart(16, '0'),
              rows: rows.length,
              deletes: rows.filter(({ isDelete }) => isDelete).length,
              smallestKey: rows[0].key,
              greatestKey: rows[rows.length - 1].key,
              smallestSequence: Math.min(...sequences),
              greatestSequence: Math.max(...sequences),
            })
            if (i === 0) continue
            const { greatestKey } = tables[i - 1].description
            const isApart = compareBytes(greatestKey, description.smallestKey) < 0
            assert.ok(isApart, `versions of ${toHex(greatestKey)} are in two tables`)
            split++
          }
        },
      ),
      { numRuns: 150 },
    )
    assert.ok(split > 20, `${split} tables after the first`)
  })

  test('of nothing makes no table', async () => {
    const memtable = new Memtable(new SharedArrayBuffer(65_536))
    const job = { ...NAMING, lastSequence: 7, snapshots: [] }
    assert.deepEqual(await flushed(memtable, job), [])
    const key = Uint8Array.of(4, 1, 2)
    insert(memtable, { key, sequence: 8, isDelete: false, value: key })
    assert.deepEqual(await flushed(memtable, job), [])
    assert.equal((await flushed(memtable, { ...job, lastSequence: 8 })).length, 1)
  })

  test('gives the others of its thread a turn every few rows', async () => {
    const memtable = new Memtable(new SharedArrayBuffer(1024 * 1024))
    for (let row = 0; row < 1000; row++) {
      const key = Uint8Array.of(4, row >> 8, row & 255)
      insert(memtable, { key, sequence: row + 1, isDelete: false, value: key })
    }
    const job = { ...NAMING, lastSequence: 1000, snapshots: [] }
    let turns = 0
    let isMyTurn = true
    const breathe = async (): Promise<void> => {
      turns++
      isMyTurn = false
      await new Promise(resolve => setImmediate(resolve))
      isMyTurn = true
    }
    const store = async ({ description }: FinishedTable): Promise<void> => {
      assert.ok(isMyTurn)
      assert.equal(description.rows, 1000)
    }
    await flushTables(memtable, job, store, breathe)
    assert.equal(turns, 3)
  })
})
