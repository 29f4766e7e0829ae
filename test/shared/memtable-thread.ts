/**
 * The reader in memtable-threads.test.ts: takes the visible sequence again and again and verifies
 * what the memtable shows at it. Publishes the last snapshot it verified as domain 1's sequence.
 */
import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { Control } from '../../src/shared/control.ts'
import { Memtable } from '../../src/shared/memtable.ts'
import { MemtableCursor } from '../../src/shared/memtable-cursor.ts'
import { SearchKey } from '../../src/shared/skip-list.ts'
import { Random } from './random.ts'
import {
  type GeneratedRow,
  keyOf,
  type MemtableThreadData,
  prefixOf,
  RowGenerator,
  valueBytesOf,
} from './row-generator.ts'

const { memory, control, seed, firstSequence, lastSequence } = workerData as MemtableThreadData
/** How far ahead rows are known that must not be seen yet. */
const AHEAD_BATCHES = 8
const LOOKUPS = 400
const STEPS = 60

const memtable = new Memtable(memory)
const words = new Control(control, 0)
const search = new SearchKey()
const random = new Random(seed + 1)

/** What must be seen at one snapshot, moved forward batch by batch. */
class Expected {
  readonly #generator = new RowGenerator(seed, firstSequence)
  readonly #ahead: GeneratedRow[][] = []
  /** Of each list: offsets in order, and the newest version of each. */
  readonly lists: Map<number, { offsets: number[]; newest: Map<number, GeneratedRow> }> = new Map()
  /** All rows inserted so far, every version. */
  readonly rows: GeneratedRow[] = []
  sequence: number = firstSequence - 1

  advance(sequence: number): void {
    while (this.#ahead.length < sequence - this.sequence + AHEAD_BATCHES) {
      this.#ahead.push(this.#generator.next())
    }
    for (const batch of this.#ahead.splice(0, sequence - this.sequence)) {
      for (const row of batch) this.#add(row)
    }
    this.sequence = sequence
  }

  /** Rows above the snapshot; some of them are being inserted right now. */
  get ahead(): GeneratedRow[] {
    return this.#ahead.flat()
  }

  find(list: number, offset: number): GeneratedRow | undefined {
    return this.lists.get(list)?.newest.get(offset)
  }

  #add(row: GeneratedRow): void {
    this.rows.push(row)
    let list = this.lists.get(row.list)
    if (list === undefined) {
      list = { offsets: [], newest: new Map() }
      this.lists.set(row.list, list)
    }
    if (!list.newest.has(row.offset)) {
      list.offsets.splice(countBelow(list.offsets, row.offset), 0, row.offset)
    }
    list.newest.set(row.offset, row)
  }
}

function countBelow(offsets: readonly number[], offset: number): number {
  let low = 0
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (offsets[middle] < offset) low = middle + 1
    else high = middle
  }
  return low
}

const expected = new Expected()
const counts = { snapshots: 0, lookups: 0, steps: 0 }

function verifyLookup(list: number, offset: number): void {
  counts.lookups++
  const row = expected.find(list, offset)
  const node = memtable.find(keyOf(list, offset), expected.sequence, search)
  const what = `list ${list}, offset ${offset} at ${expected.sequence}`
  assert.equal(node !== 0, row !== undefined, what)
  if (row === undefined) return
  assert.equal(memtable.list.sequenceOf(node), row.sequence, what)
  assert.equal(memtable.list.isDelete(node), row.isDelete, what)
  assert.ok(Buffer.compare(memtable.value(node), valueBytesOf(row)) === 0, `value of ${what}`)
}

function verifyRow(cursor: MemtableCursor, row: GeneratedRow): void {
  counts.steps++
  const what = `list ${row.list}, offset ${row.offset} in a scan at ${expected.sequence}`
  assert.ok(cursor.valid, `nothing instead of ${what}`)
  assert.ok(Buffer.compare(cursor.key(), keyOf(row.list, row.offset)) === 0, `key of ${what}`)
  assert.equal(cursor.sequence, row.sequence, what)
  assert.equal(cursor.isDelete(), row.isDelete, what)
  assert.ok(Buffer.compare(cursor.value(), valueBytesOf(row)) === 0, `value of ${what}`)
}

/** From any offset, some steps this way and some the other. */
function verifyScan(cursor: MemtableCursor, list: number): void {
  const known = expected.lists.get(list)
  const offsets = known?.offsets ?? []
  const from = random.below((offsets.at(-1) ?? 0) + 2)
  const at = countBelow(offsets, from)
  const rowAt = (i: number): GeneratedRow => known?.newest.get(offsets[i]) as GeneratedRow
  cursor.seek(keyOf(list, from))
  let i = at
  for (; i < Math.min(at + STEPS, offsets.length); i++) {
    verifyRow(cursor, rowAt(i))
    cursor.next()
  }
  if (i === offsets.length) assertOutside(cursor, list)
  cursor.seekBefore(keyOf(list, from))
  i = at - 1
  for (; i >= Math.max(0, at - STEPS); i--) {
    verifyRow(cursor, rowAt(i))
    cursor.prev()
  }
  if (i < 0) assertOutside(cursor, list)
}

function assertOutside(cursor: MemtableCursor, list: number): void {
  if (!cursor.valid) return
  const prefix = prefixOf(list)
  const isInside = Buffer.compare(cursor.key().subarray(0, prefix.length), prefix) === 0
  assert.ok(!isInside, `list ${list} has more than its rows at ${expected.sequence}`)
}

function verifySnapshot(): void {
  for (let i = 0; i < LOOKUPS && expected.rows.length > 0; i++) {
    // Half of them among the newest, where the writer is.
    const { length } = expected.rows
    const back = random.below(i % 2 === 0 ? length : Math.min(length, 300))
    const row = expected.rows[length - 1 - back]
    verifyLookup(row.list, row.offset)
  }
  const cursor = new MemtableCursor(memtable, expected.sequence)
  for (const row of expected.ahead) {
    verifyLookup(row.list, row.offset)
    if (random.below(8) === 0) verifyScan(cursor, row.list)
  }
  for (let list = 0; list < 3; list++) verifyScan(cursor, list)
  counts.snapshots++
}

/** Every row of every list, both ways. */
function verifyAll(): void {
  const prefixes = [...expected.lists.keys()].sort((a, b) =>
    Buffer.compare(prefixOf(a).slice(), prefixOf(b).slice()),
  )
  const rows: GeneratedRow[] = []
  for (const list of prefixes) {
    const known = expected.lists.get(list)
    for (const offset of known?.offsets ?? []) {
      rows.push(known?.newest.get(offset) as GeneratedRow)
    }
  }
  const cursor = new MemtableCursor(memtable, expected.sequence)
  cursor.seekFirst()
  for (const row of rows) {
    verifyRow(cursor, row)
    cursor.next()
  }
  assert.equal(cursor.valid, false)
  cursor.seekBefore(new Uint8Array(30).fill(0xff))
  for (const row of rows.reverse()) {
    verifyRow(cursor, row)
    cursor.prev()
  }
  assert.equal(cursor.valid, false)
}

parentPort?.postMessage('ready')
while (expected.sequence < lastSequence) {
  const visible = words.visibleSequence(0)
  assert.ok(visible >= expected.sequence, 'the visible sequence went back')
  expected.advance(visible)
  verifySnapshot()
  words.advanceVisible(1, visible)
}
verifyAll()
parentPort?.postMessage(counts)
