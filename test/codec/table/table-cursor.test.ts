/**
 * Goal: a table gives back the rows that were put in, from whichever place and in both directions.
 * Method: random rows, block sizes and walks, compared with the sorted list.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MetastoreError } from '../../../src/codec/errors.ts'
import { TableCursor } from '../../../src/codec/table/table-cursor.ts'
import {
  build,
  NOTHING,
  open,
  type Row,
  rowsArbitrary,
  stepsArbitrary,
  textAt,
  textOf,
  walk,
} from './table-rows.ts'

const blockBytesArbitrary = fc.constantFrom(64, 100, 300, 1000, 8192)
const compressionArbitrary = fc.constantFrom('lz4' as const, 'none' as const)

test('every walk over a table is the walk over the list of its rows', () => {
  fc.assert(
    fc.property(
      rowsArbitrary,
      blockBytesArbitrary,
      compressionArbitrary,
      stepsArbitrary,
      (rows, blockBytes, compression, steps) => {
        const reader = open(build(rows, { blockBytes, compression }).bytes)
        walk(new TableCursor(reader, i => reader.readBlock(i)), rows, steps)
      },
    ),
    { numRuns: 400 },
  )
})

function versionsOf(key: Uint8Array, count: number): Row[] {
  return Array.from({ length: count }, (_, i) => ({
    key,
    sequence: 10_000 - i,
    isDelete: i % 7 === 3,
    value: i % 7 === 3 ? NOTHING : new Uint8Array(20).fill(i),
  }))
}

test('seeks find the newest and the oldest version of a key that spans many blocks', () => {
  const [before, key, after] = [Uint8Array.of(5), Uint8Array.of(5, 0), Uint8Array.of(5, 0, 0)]
  const rows = [...versionsOf(before, 3), ...versionsOf(key, 200), ...versionsOf(after, 3)]
  const reader = open(build(rows, { blockBytes: 200 }).bytes)
  assert.ok(reader.blockCount > 10)
  const cursor = new TableCursor(reader, i => reader.readBlock(i))
  assert.ok(cursor.seekGE(key))
  assert.equal(textAt(cursor), textOf(rows[3]))
  assert.ok(cursor.prev())
  assert.equal(textAt(cursor), textOf(rows[2]))
  assert.ok(cursor.seekLT(after))
  assert.equal(textAt(cursor), textOf(rows[202]))
  assert.ok(cursor.seekGE(after))
  assert.equal(textAt(cursor), textOf(rows[203]))
  assert.ok(cursor.seekLT(key))
  assert.equal(textAt(cursor), textOf(rows[2]))
})

test('a table without rows opens, and has nothing anywhere', () => {
  const { bytes, properties } = build([])
  const reader = open(bytes)
  assert.deepEqual(reader.properties, properties)
  assert.equal(reader.blockCount, 0)
  assert.equal(reader.findBlock(NOTHING), 0)
  assert.equal(reader.mayContainKey(NOTHING), false)
  const cursor = new TableCursor(reader, i => reader.readBlock(i))
  const moves = [cursor.seekFirst(), cursor.seekLast(), cursor.seekGE(NOTHING)]
  assert.deepEqual([...moves, cursor.seekLT(Uint8Array.of(9)), cursor.next()], Array(5).fill(false))
})

test('a block that is held is not asked for again until the cursor was released', () => {
  const rows = versionsOf(Uint8Array.of(1), 5)
  const reader = open(build(rows).bytes)
  const asked: number[] = []
  const cursor = new TableCursor(reader, i => {
    asked.push(i)
    return reader.readBlock(i)
  })
  cursor.seekFirst()
  cursor.seekLast()
  cursor.seekGE(Uint8Array.of(1))
  assert.deepEqual(asked, [0])
  cursor.release()
  assert.equal(cursor.blockNumber, -1)
  cursor.seekFirst()
  assert.deepEqual(asked, [0, 0])
})

test('after a source failed the cursor stands nowhere, and the next seek works', () => {
  const rows = versionsOf(Uint8Array.of(1), 100)
  const reader = open(build(rows, { blockBytes: 200 }).bytes)
  let fails = false
  const cursor = new TableCursor(reader, i => {
    if (fails) throw new MetastoreError('UNAVAILABLE', 'no source')
    return reader.readBlock(i)
  })
  cursor.seekFirst()
  fails = true
  assert.throws(() => cursor.seekLast(), { code: 'UNAVAILABLE' })
  assert.equal(cursor.valid, false)
  fails = false
  assert.ok(cursor.seekLast())
  assert.equal(textAt(cursor), textOf(rows[99]))
})
