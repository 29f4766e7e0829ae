/**
 * Goal: row values have their golden bytes, come back whole, and whatever is not a row of this or
 * an older version is CORRUPTION that names the row: never a default, never another exception.
 * Method: a literal for every row type; properties for round trips; every truncation, trailing
 * bytes, other versions and random bytes.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { ByteWriter, toHex } from '../../src/codec/bytes.ts'
import { MetastoreError } from '../../src/codec/errors.ts'
import * as rows from '../../src/codec/rows.ts'

const KEY = Uint8Array.of(0x01, 0xab, 0xff)
const KEY_HEX = '01abff'
const ID_HEX = '00112233445566778899aabbccddeeff'
const ID = Uint8Array.from(Buffer.from(ID_HEX, 'hex'))
const TP = Uint8Array.from(Buffer.from(`${ID_HEX}00000002`, 'hex'))
const T = 2 ** 40
const SAFE_MAX = Number.MAX_SAFE_INTEGER

interface RowCase<T> {
  encode: (out: ByteWriter, row: T) => Uint8Array
  decode: (key: Uint8Array, value: Uint8Array) => T
  row: T
  hex: string
  any: fc.Arbitrary<T>
}

const count = fc.oneof(fc.maxSafeNat(), fc.constant(SAFE_MAX))
const u32 = fc.nat(0xffffffff)
const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length })
const range = fc
  .tuple(fc.maxSafeNat(), fc.maxSafeNat())
  .map(([a, b]) => ({ baseOffset: Math.min(a, b), lastOffset: Math.max(a, b) }))
const state = fc.constantFrom(...Object.values(rows.OBJECT_STATE))

const partition: RowCase<rows.PartitionRow> = {
  encode: rows.encodePartition,
  decode: rows.decodePartition,
  row: { startOffset: 0, nextOffset: 300, compactionEpoch: 1, sizeBytes: 70_000, extentCount: 2 },
  hex: '0100ac0201f0a20402',
  any: plain({
    startOffset: count,
    nextOffset: count,
    compactionEpoch: count,
    sizeBytes: count,
    extentCount: count,
  }),
}

const extent: RowCase<rows.ExtentRow> = {
  encode: rows.encodeExtent,
  decode: rows.decodeExtent,
  row: { lastOffset: 127, maxTimestamp: T, position: 128, sizeBytes: 2 ** 32, objectId: ID },
  hex: `017f80808080802080018080808010${ID_HEX}`,
  any: plain({
    lastOffset: count,
    maxTimestamp: count,
    position: count,
    sizeBytes: count,
    objectId: bytes(16),
  }),
}

const term: RowCase<rows.TermRow> = {
  encode: rows.encodeTerm,
  decode: rows.decodeTerm,
  row: { startOffset: SAFE_MAX },
  hex: '01ffffffffffffff0f',
  any: plain({ startOffset: count }),
}

const compaction: RowCase<rows.CompactionRow> = {
  encode: rows.encodeCompaction,
  decode: rows.decodeCompaction,
  row: {
    cleaned: [
      { baseOffset: 0, lastOffset: 9 },
      { baseOffset: 20, lastOffset: 299 },
    ],
    tombstones: [{ baseOffset: 5, lastOffset: 9, cleanedAt: 1000 }],
  },
  hex: '01020009149702010504e807',
  any: plain({
    cleaned: fc.array(range),
    tombstones: fc.array(fc.tuple(range, count).map(([own, cleanedAt]) => ({ ...own, cleanedAt }))),
  }),
}

const object: RowCase<rows.ObjectRow> = {
  encode: rows.encodeObject,
  decode: rows.decodeObject,
  row: {
    state: rows.OBJECT_STATE.committed,
    footerPosition: 100,
    sizeBytes: 200,
    totalDataBytes: 150,
    removedDataBytes: 50,
    liveExtents: 3,
    updatedAt: T,
    contentHash: [0x01020304, 0xfffffffe],
    corrections: [{ tp: TP, nextOffset: 11 }],
  },
  hex: `010164c8019601320380808080802004030201feffffff01${ID_HEX}000000020b`,
  any: plain({
    state,
    footerPosition: count,
    sizeBytes: count,
    totalDataBytes: count,
    removedDataBytes: count,
    liveExtents: count,
    updatedAt: count,
    contentHash: fc.tuple(u32, u32),
    corrections: fc.array(plain({ tp: bytes(20), nextOffset: count })),
  }),
}

const removedTopic: RowCase<rows.RemovedTopicRow> = {
  encode: rows.encodeRemovedTopic,
  decode: rows.decodeRemovedTopic,
  row: { removedAt: T },
  hex: '01808080808020',
  any: plain({ removedAt: count }),
}

const request: RowCase<rows.RequestRow> = {
  encode: rows.encodeRequest,
  decode: rows.decodeRequest,
  row: { acceptedAt: T, callKind: 2, answer: Uint8Array.of(0xaa, 0xbb) },
  hex: '018080808080200202aabb',
  any: plain({ acceptedAt: count, callKind: fc.nat(255), answer: fc.uint8Array() }),
}

const record: RowCase<Uint8Array> = {
  encode: rows.encodeRecord,
  decode: rows.decodeRecord,
  row: Uint8Array.of(0, 255, 16),
  hex: '0100ff10',
  any: fc.uint8Array(),
}

const CASES = { partition, extent, term, compaction, object, removedTopic, request, record }
type AnyCase = RowCase<unknown>
const cases = Object.entries(CASES) as unknown as [string, AnyCase][]

/** A record is any bytes after the version, so only its version can be wrong. */
const structured = cases.filter(([name]) => name !== 'record')

function refuses(decode: AnyCase['decode'], value: Uint8Array, named = ''): void {
  assert.throws(
    () => decode(KEY, value),
    (error: unknown) =>
      error instanceof MetastoreError &&
      error.code === 'CORRUPTION' &&
      error.message.includes(KEY_HEX) &&
      error.message.includes(named) &&
      (error.details as { key: string }).key === KEY_HEX,
    toHex(value),
  )
}

for (const [name, { encode, decode, row, hex, any }] of cases) {
  const golden = Uint8Array.from(Buffer.from(hex, 'hex'))

  test(`a ${name} row has its golden bytes`, () => {
    assert.equal(toHex(encode(new ByteWriter(1), row)), hex)
    assert.deepEqual(decode(KEY, golden), row)
  })

  test(`a ${name} row comes back, with numbers up to 2^53 - 1`, () => {
    const out = new ByteWriter(16)
    fc.assert(fc.property(any, own => assert.deepEqual(decode(KEY, encode(out, own)), own)))
  })

  test(`a ${name} row of a newer version is refused by its number`, () => {
    for (const version of [0, rows.ROW_VERSION + 1, 200, 255]) {
      const value = golden.slice()
      value[0] = version
      refuses(decode, value, `version ${version}`)
    }
    refuses(decode, new Uint8Array(0))
  })
}

test('a row cut short anywhere is CORRUPTION', () => {
  for (const [, { encode, decode, any }] of structured) {
    fc.assert(
      fc.property(any, own => {
        const value = encode(new ByteWriter(), own)
        for (let length = 0; length < value.length; length++) {
          refuses(decode, value.subarray(0, length))
        }
      }),
      { numRuns: 10 },
    )
  }
})

test('bytes after a row are CORRUPTION', () => {
  for (const [, { decode, hex }] of structured) {
    for (const extra of ['00', '01', 'ff', '0000']) {
      refuses(decode, Uint8Array.from(Buffer.from(hex + extra, 'hex')), 'too many')
    }
  }
})

test('an object state that is not known is CORRUPTION', () => {
  const value = Uint8Array.from(Buffer.from(object.hex, 'hex'))
  for (const unknown of [3, 255]) {
    value[1] = unknown
    refuses(object.decode, value, `state ${unknown}`)
  }
})

test('a compaction range that ends past 2^53 - 1 is CORRUPTION', () => {
  const value = Buffer.from(`0101${'ffffffffffffff0f'.repeat(2)}00`, 'hex')
  refuses(compaction.decode, Uint8Array.from(value))
})

test('a count that the bytes cannot hold is CORRUPTION at once', () => {
  refuses(compaction.decode, Uint8Array.from(Buffer.from('01ffffffffffffff0f', 'hex')))
  const many = object.hex.replace(`01${ID_HEX}`, `ffffffffffffff0f${ID_HEX}`)
  refuses(object.decode, Uint8Array.from(Buffer.from(many, 'hex')))
})

/** Random bytes that get past the version, and golden bytes with some of them changed. */
function garbage(hex: string): fc.Arbitrary<Uint8Array> {
  const golden = Uint8Array.from(Buffer.from(hex, 'hex'))
  const random = fc.uint8Array({ maxLength: 60 }).map(own => Uint8Array.of(1, ...own))
  const flips = fc.array(fc.tuple(fc.nat(golden.length - 1), fc.nat(255)), { minLength: 1 })
  const changed = flips.map(own => {
    const value = golden.slice()
    for (const [at, byte] of own) value[at] = byte
    return value
  })
  return fc.oneof(random, changed, fc.uint8Array({ maxLength: 60 }))
}

for (const [name, { encode, decode, hex }] of structured) {
  test(`garbage is CORRUPTION, or is a ${name} row that can be written again`, () => {
    fc.assert(
      fc.property(garbage(hex), value => {
        let row: unknown
        try {
          row = decode(KEY, value)
        } catch (error) {
          refuses(() => {
            throw error
          }, value)
          return
        }
        assert.deepEqual(decode(KEY, encode(new ByteWriter(), row)), row)
      }),
      { numRuns: 300 },
    )
  })
}

/** Rows as the code makes them: fast-check's records have no prototype unless asked. */
function plain<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>
}
