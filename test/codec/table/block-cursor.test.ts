/**
 * Goal: a cursor over one block goes where a sorted list says, and damaged blocks give CORRUPTION.
 * Method: random rows and random walks compared with the list; random damage to raw blocks, where
 * every walk must end, by itself or in CORRUPTION.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { putU32 } from '../../../src/codec/bytes.ts'
import { BlockBuilder } from '../../../src/codec/table/block-builder.ts'
import { BlockCursor } from '../../../src/codec/table/block-cursor.ts'
import { RESTART_INTERVAL_ROWS } from '../../../src/codec/table/table-format.ts'
import {
  isCorrupt,
  NOTHING,
  type Row,
  rowsArbitrary,
  stepsArbitrary,
  textAt,
  textOf,
  walk,
} from './table-rows.ts'

function sharedBytes(a: Uint8Array, b: Uint8Array): number {
  let shared = 0
  while (shared < Math.min(a.length, b.length) && a[shared] === b[shared]) shared++
  return shared
}

function blockOf(rows: readonly Row[]): Uint8Array {
  const builder = new BlockBuilder()
  let last = NOTHING
  for (const { key, sequence, isDelete, value } of rows) {
    builder.add(key, sharedBytes(last, key), sequence, isDelete, value)
    last = key
  }
  const expectedBytes = builder.sizeBytes
  const block = builder.finish().slice()
  assert.equal(block.length, expectedBytes)
  return block
}

function numberedRows(count: number): Row[] {
  return Array.from({ length: count }, (_, i) => ({
    key: Uint8Array.of(7, 7, 7, i >> 8, i & 255),
    sequence: i,
    isDelete: i % 5 === 0,
    value: i % 5 === 0 ? NOTHING : Uint8Array.of(i),
  }))
}

const someRows = rowsArbitrary.filter(rows => rows.length > 0)

test('every walk over a block is the walk over the list of its rows', () => {
  const cursor = new BlockCursor()
  fc.assert(
    fc.property(someRows, stepsArbitrary, (rows, steps) => {
      cursor.reset(blockOf(rows), 'table.sst', 0)
      walk(cursor, rows, steps)
    }),
    { numRuns: 300 },
  )
})

test('a scan backwards meets the rows of a scan forwards in reverse', () => {
  const rows = numberedRows(5 * RESTART_INTERVAL_ROWS + 3)
  const cursor = new BlockCursor()
  cursor.reset(blockOf(rows), 'table.sst', 0)
  const forwards: string[] = []
  for (cursor.seekFirst(); cursor.valid; cursor.next()) forwards.push(textAt(cursor))
  const backwards: string[] = []
  for (cursor.seekLast(); cursor.valid; cursor.prev()) backwards.push(textAt(cursor))
  assert.deepEqual(forwards, rows.map(textOf))
  assert.deepEqual(backwards.reverse(), forwards)
})

test('a block may be a view at an odd offset of shared memory', () => {
  const rows = numberedRows(40)
  const block = blockOf(rows)
  const shared = new Uint8Array(new SharedArrayBuffer(block.length + 3), 3, block.length)
  shared.set(block)
  const cursor = new BlockCursor()
  cursor.reset(shared, 'table.sst', 0)
  for (let i = 0; i < rows.length; i++) {
    assert.ok(cursor.seekGE(rows[i].key))
    assert.equal(textAt(cursor), textOf(rows[i]))
  }
})

test('keys of the greatest length grow the buffers of the cursor', () => {
  const rows = Array.from({ length: 20 }, (_, i) => {
    const key = new Uint8Array(65535)
    key[65534 - (i % 2)] = i + 1
    key[0] = i
    return { key, sequence: 1, isDelete: false, value: NOTHING }
  })
  const cursor = new BlockCursor()
  cursor.reset(blockOf(rows), 'table.sst', 0)
  cursor.seekLast()
  for (let i = rows.length - 1; i >= 0; i--) {
    assert.equal(cursor.compareKey(rows[i].key), 0)
    assert.equal(cursor.prev(), i > 0)
  }
})

test('a cursor that was cleared stands nowhere and goes nowhere', () => {
  const cursor = new BlockCursor()
  cursor.reset(blockOf(numberedRows(20)), 'table.sst', 0)
  cursor.seekFirst()
  cursor.clear()
  assert.equal(cursor.valid, false)
  assert.deepEqual(
    [cursor.next(), cursor.prev(), cursor.seekFirst(), cursor.seekLast(), cursor.seekGE(NOTHING)],
    [false, false, false, false, false],
  )
})

/** Three kinds of use, each of which must come to an end. */
function useBlock(block: Uint8Array, target: Uint8Array): void {
  const cursor = new BlockCursor()
  // No entry is smaller than four bytes.
  const movesMax = block.length / 4
  cursor.reset(block, 'table.sst', 3)
  let moves = 0
  for (cursor.seekFirst(); cursor.valid; cursor.next()) {
    assert.equal(cursor.value().length, cursor.valueLength)
    assert.ok(++moves <= movesMax, 'a scan forwards does not end')
  }
  moves = 0
  for (cursor.seekGE(target); cursor.valid && moves < 20; cursor.next()) moves++
  moves = 0
  for (cursor.seekLT(target); cursor.valid && moves < 20; cursor.prev()) moves++
  moves = 0
  for (cursor.seekLast(); cursor.valid; cursor.prev()) {
    assert.ok(++moves <= movesMax, 'a scan backwards does not end')
  }
}

test('no damage to a block makes a walk endless, or fail with anything but CORRUPTION', () => {
  let corruptCount = 0
  fc.assert(
    fc.property(
      someRows,
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.uint8Array({ maxLength: 4 }),
      (rows, damage, target) => {
        const block = blockOf(rows)
        for (const [at, byte] of damage) block[at % block.length] = byte
        if (isCorrupt(() => useBlock(block, target))) corruptCount++
      },
    ),
    { numRuns: 2000 },
  )
  assert.ok(corruptCount > 0)
})

test('arbitrary bytes as a block give CORRUPTION or some rows, never anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.uint8Array({ maxLength: 3 }), (bytes, key) => {
      isCorrupt(() => useBlock(bytes, key))
    }),
    { numRuns: 3000 },
  )
})

const MALFORMED: readonly [name: string, damage: (block: Uint8Array) => Uint8Array][] = [
  ['no bytes', () => NOTHING],
  ['no restarts', block => edited(block, bytes => putU32(bytes, bytes.length - 4, 0))],
  ['more restarts than bytes', block => edited(block, b => putU32(b, b.length - 4, 0xffffffff))],
  ['a first restart elsewhere', block => edited(block, b => putU32(b, b.length - 12, 4))],
  ['a restart past the end', block => edited(block, b => putU32(b, b.length - 8, 1e9))],
  ['a restart within an entry', block => edited(block, b => putU32(b, b.length - 8, 1))],
  ['shared bytes without a key before', block => edited(block, b => b.fill(1, 0, 1))],
  ['a suffix past the end', block => edited(block, b => b.fill(127, 1, 2))],
  ['a varint that does not end', block => edited(block, b => b.fill(255, 0, 12))],
]

function edited(block: Uint8Array, edit: (bytes: Uint8Array) => void): Uint8Array {
  const copy = block.slice()
  edit(copy)
  return copy
}

for (const [name, damage] of MALFORMED) {
  test(`a block with ${name} is CORRUPTION that names file and block`, () => {
    const block = damage(blockOf(numberedRows(17)))
    assert.throws(() => useBlock(block, Uint8Array.of(7, 7, 7, 0, 9)), {
      code: 'CORRUPTION',
      message: /table\.sst: block 3/,
    })
  })
}

test('a step back that does not meet the entry it came from is CORRUPTION', () => {
  // The second restart points at the value of the first entry, whose bytes read as an entry that
  // ends within the third one.
  const block = Uint8Array.of(
    ...[0, 0, 5, 1, 0, 0, 8, 1],
    ...[0, 1, 1, 1, 107],
    ...[0, 1, 1, 1, 109],
    ...[0, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0],
  )
  const cursor = new BlockCursor()
  cursor.reset(block, 'table.sst', 3)
  assert.deepEqual([cursor.seekFirst(), cursor.next(), cursor.next()], [true, true, true])
  assert.throws(() => cursor.prev(), { code: 'CORRUPTION', message: /restart within an entry/ })
  assert.equal(cursor.valid, false)
})
