/**
 * Goal: what a builder refuses, counts and estimates, and what filters, bounds and properties of
 * the table then say. Method: small tables, and random ones compared with their rows.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareBytes, toHex } from '../../../src/codec/bytes.ts'
import { TableBuilder } from '../../../src/codec/table/table-builder.ts'
import { TableCursor } from '../../../src/codec/table/table-cursor.ts'
import {
  BLOCK_TRAILER_BYTES,
  TABLE_KEY_BYTES_MAX,
  TABLE_VALUE_BYTES_MAX,
} from '../../../src/codec/table/table-format.ts'
import {
  build,
  NOTHING,
  OPTIONS,
  open,
  type Row,
  rowsArbitrary,
  textAt,
  textOf,
} from './table-rows.ts'

function noise(length: number, seed: number): Uint8Array {
  let state = seed | 1
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return state >>> 24
  })
}

function noisyRows(count: number, valueBytes: number): Row[] {
  return Array.from({ length: count }, (_, i) => ({
    key: Uint8Array.of(i >> 8, i & 255),
    sequence: i,
    isDelete: false,
    value: noise(valueBytes, i * 7919),
  }))
}

test('properties, filters, row counts and time bounds are those of the rows', () => {
  fc.assert(
    fc.property(rowsArbitrary, fc.constantFrom(64, 300, 8192), (rows, blockBytes) => {
      const { bytes, properties } = build(rows, { blockBytes })
      const reader = open(bytes)
      assert.deepEqual(reader.properties, properties)
      const sequences = rows.map(row => row.sequence)
      assert.deepEqual(properties, {
        formatVersion: 1,
        domain: OPTIONS.domain,
        createdAt: OPTIONS.createdAt,
        rowCount: rows.length,
        deleteCount: rows.filter(row => row.isDelete).length,
        rawBytes: rows.reduce((sum, row) => sum + row.key.length + row.value.length, 0),
        smallestSequence: rows.length === 0 ? 0 : Math.min(...sequences),
        greatestSequence: Math.max(0, ...sequences),
        smallestKey: rows.at(0)?.key ?? NOTHING,
        greatestKey: rows.at(-1)?.key ?? NOTHING,
      })
      for (const { key } of rows) {
        assert.ok(reader.mayContainKey(key))
        if (key.length >= 2) assert.ok(reader.mayContainPrefix(key.subarray(0, 2)))
      }
      let first = 0
      for (let i = 0; i < reader.blockCount; i++) {
        const inBlock = rows.slice(first, first + reader.blockRowCount(i))
        first += inBlock.length
        const times = inBlock
          .map(row => OPTIONS.timestampOf(row.key, row.value))
          .filter(time => time !== undefined)
        const bounds =
          times.length === 0
            ? undefined
            : { least: Math.min(...times), greatest: Math.max(...times) }
        assert.deepEqual(reader.timestampBounds(i), bounds)
        const raw = reader.readBlock(i)
        assert.ok(raw.length <= blockBytes || inBlock.length === 1, `${raw.length} bytes in block`)
      }
      assert.equal(first, rows.length)
    }),
    { numRuns: 200 },
  )
})

test('findBlock gives the first block that holds a key at or after, or the one before it', () => {
  fc.assert(
    fc.property(rowsArbitrary, rows => {
      const reader = open(build(rows, { blockBytes: 100 }).bytes)
      const cursor = new TableCursor(reader, i => reader.readBlock(i))
      for (const { key } of rows) {
        cursor.seekGE(key)
        assert.equal(cursor.blockNumber, reader.findBlock(key), toHex(key))
      }
      const past = rows.length === 0 ? NOTHING : Uint8Array.of(...rows[rows.length - 1].key, 0)
      assert.equal(reader.findBlock(past), reader.blockCount)
    }),
    { numRuns: 100 },
  )
})

test('values that do not compress are stored as they are, those that do compressed', () => {
  const rows = noisyRows(200, 200)
  const plain = build(rows, { compression: 'none' }).bytes
  assert.deepEqual(build(rows, { compression: 'lz4' }).bytes, plain)
  const zeros = rows.map(row => ({ ...row, value: new Uint8Array(200) }))
  const { length } = build(zeros, { compression: 'lz4' }).bytes
  assert.ok(length < plain.length / 4, `${length} of ${plain.length} bytes`)
})

test('the estimate of the size is within a block of the size', () => {
  for (const compression of ['none', 'lz4'] as const) {
    const builder = new TableBuilder({ ...OPTIONS, compression })
    let last = builder.sizeBytes
    noisyRows(1000, 100).forEach((row, i) => {
      builder.add(row.key, row.sequence, false, row.value)
      assert.equal(builder.rowCount, i + 1)
      assert.ok(builder.sizeBytes > last)
      last = builder.sizeBytes
    })
    const { bytes } = builder.finish()
    assert.ok(bytes.length > 100_000)
    assert.ok(Math.abs(bytes.length - last) < 100 + BLOCK_TRAILER_BYTES, `${last}, ${bytes.length}`)
  }
})

const ROW: Row = { key: Uint8Array.of(5, 5), sequence: 10, isDelete: false, value: NOTHING }

const REFUSED: readonly [name: string, row: Partial<Row>][] = [
  ['a key before the last', { key: Uint8Array.of(5, 4) }],
  ['a key that begins the last', { key: Uint8Array.of(5), sequence: 1 }],
  ['the same key and sequence', {}],
  ['a later sequence of the same key', { sequence: 11 }],
  ['a negative sequence', { sequence: -1 }],
  ['a fractional sequence', { sequence: 1.5 }],
  ['a sequence past 2^53', { sequence: 2 ** 53 }],
  ['a delete with a value', { sequence: 9, isDelete: true, value: Uint8Array.of(1) }],
  ['a key that is too long', { key: new Uint8Array(TABLE_KEY_BYTES_MAX + 1).fill(9) }],
  ['a value that is too long', { sequence: 9, value: new Uint8Array(TABLE_VALUE_BYTES_MAX + 1) }],
]

for (const [name, change] of REFUSED) {
  test(`${name} is refused, and the table is as if it had not been added`, () => {
    const builder = new TableBuilder(OPTIONS)
    const { key, sequence, isDelete, value } = { ...ROW, ...change }
    builder.add(ROW.key, ROW.sequence, ROW.isDelete, ROW.value)
    assert.throws(() => builder.add(key, sequence, isDelete, value), RangeError)
    assert.deepEqual(builder.finish().bytes, build([ROW]).bytes)
  })
}

test('a row whose timestamp or prefix length is senseless is refused, at a block boundary too', () => {
  const rows = noisyRows(40, 60)
  for (const answer of [0.5, Number.NaN, 2 ** 53]) {
    let isSane = true
    const builder = new TableBuilder({
      ...OPTIONS,
      blockBytes: 100,
      timestampOf: () => (isSane ? 1 : answer),
      prefixLength: () => 1,
    })
    for (const row of rows) {
      isSane = false
      assert.throws(() => builder.add(Uint8Array.of(99, 9), 1, false, NOTHING), RangeError)
      isSane = true
      builder.add(row.key, row.sequence, row.isDelete, row.value)
    }
    const expected = build(rows, { blockBytes: 100, timestampOf: () => 1, prefixLength: () => 1 })
    assert.deepEqual(builder.finish().bytes, expected.bytes)
  }
  for (const answer of [-1, 3, Number.NaN]) {
    const builder = new TableBuilder({ ...OPTIONS, prefixLength: () => answer })
    assert.throws(() => builder.add(Uint8Array.of(1, 2), 1, false, NOTHING), RangeError)
  }
})

test('options out of bounds are refused', () => {
  for (const change of [
    { domain: new Uint8Array(15) },
    { createdAt: -1 },
    { blockBytes: 63 },
    { blockBytes: 2 ** 20 + 1 },
    { blockBytes: 100.5 },
  ]) {
    assert.throws(() => new TableBuilder({ ...OPTIONS, ...change }), RangeError)
  }
})

test('a finished builder takes no more rows and does not finish again', () => {
  const builder = new TableBuilder(OPTIONS)
  builder.finish()
  assert.throws(() => builder.add(ROW.key, 1, false, NOTHING), /finished/)
  assert.throws(() => builder.finish(), /finished/)
})

test('a row larger than a block, and the longest key, come back whole', () => {
  const rows = [
    { key: NOTHING, sequence: 3, isDelete: false, value: noise(100_000, 1) },
    { key: noise(TABLE_KEY_BYTES_MAX, 2), sequence: 2, isDelete: false, value: NOTHING },
    {
      key: new Uint8Array(TABLE_KEY_BYTES_MAX).fill(255),
      sequence: 1,
      isDelete: true,
      value: NOTHING,
    },
  ].sort((a, b) => compareBytes(a.key, b.key))
  const reader = open(build(rows).bytes)
  assert.equal(reader.blockCount, 3)
  const cursor = new TableCursor(reader, i => reader.readBlock(i))
  const texts: string[] = []
  for (cursor.seekFirst(); cursor.valid; cursor.next()) texts.push(textAt(cursor))
  assert.deepEqual(texts, rows.map(textOf))
})

test('memoryBytes grows with index and filters, not with the values', () => {
  const small = open(build(noisyRows(100, 10)).bytes).memoryBytes
  const large = open(build(noisyRows(1000, 10)).bytes).memoryBytes
  const wide = open(build(noisyRows(100, 500)).bytes).memoryBytes
  assert.ok(large > small)
  assert.ok(wide < small + 1000)
})

test('a block number that is not one is refused', () => {
  const reader = open(build([ROW]).bytes)
  for (const i of [-1, 1, Number.NaN]) {
    assert.throws(() => reader.readBlock(i), RangeError)
    assert.throws(() => reader.timestampBounds(i), RangeError)
    assert.throws(() => reader.blockRowCount(i), RangeError)
  }
})
