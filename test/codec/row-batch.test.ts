/**
 * Goal: a batch is the same bytes on every replica and for ever, and a damaged one is CORRUPTION
 * before a wrong row comes out of it.
 * Method: golden bytes, a round trip by property, every truncation, and random bytes.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import { MetastoreError } from '../../src/codec/errors.ts'
import { batchSequence, RowBatchBuilder, RowBatchReader } from '../../src/codec/row-batch.ts'

const DOMAIN_HEX = '00112233445566778899aabbccddeeff'
const DOMAIN = Uint8Array.from(Buffer.from(DOMAIN_HEX, 'hex'))
const GOLDEN = `01${DOMAIN_HEX}070000000000000003000000${'00020102010a'}${'010103'}${'00010400'}`
const HEADER_BYTES = 29

interface Row {
  key: Uint8Array
  /** Undefined in a delete. */
  value: Uint8Array | undefined
}

const ROWS: Row[] = [
  { key: Uint8Array.of(1, 2), value: Uint8Array.of(10) },
  { key: Uint8Array.of(3), value: undefined },
  { key: Uint8Array.of(4), value: new Uint8Array(0) },
]

function build(builder: RowBatchBuilder, sequence: number, rows: readonly Row[]): Uint8Array {
  builder.begin(DOMAIN, sequence)
  for (const { key, value } of rows) {
    if (value === undefined) builder.delete(key)
    else builder.put(key, value)
  }
  return builder.finish().slice()
}

function readAll(reader: RowBatchReader): Row[] {
  const rows: Row[] = []
  while (reader.next()) {
    const { bytes, keyStart, keyLength, valueStart, valueLength, isDelete } = reader
    rows.push({
      key: bytes.slice(keyStart, keyStart + keyLength),
      value: isDelete ? undefined : bytes.slice(valueStart, valueStart + valueLength),
    })
  }
  return rows
}

const isCorruption = (error: unknown): boolean =>
  error instanceof MetastoreError && error.code === 'CORRUPTION'

test('a batch has its golden bytes: a put, a delete, and a put of an empty value', () => {
  const builder = new RowBatchBuilder()
  assert.equal(toHex(build(builder, 7, ROWS)), GOLDEN)
  assert.deepEqual([builder.count, builder.keyBytes, builder.valueBytes], [3, 4, 1])
})

test('golden bytes read as the rows they are, with a delete told from an empty value', () => {
  const reader = new RowBatchReader().reset(Uint8Array.from(Buffer.from(GOLDEN, 'hex')))
  assert.deepEqual(reader.header, { domain: DOMAIN, sequence: 7, count: 3 })
  assert.deepEqual(readAll(reader), ROWS)
  assert.equal(reader.next(), false)
})

test('batches come back, one after another in the same memory and inside other bytes', () => {
  const blob = fc.uint8Array({ maxLength: 300 })
  const row = plain({ key: blob, value: fc.option(blob, { nil: undefined }) })
  const builder = new RowBatchBuilder()
  const reader = new RowBatchReader()
  fc.assert(
    fc.property(fc.array(row), fc.maxSafeNat(), fc.nat(9), (rows, sequence, before) => {
      const batch = build(builder, sequence, rows)
      const around = new Uint8Array(before + batch.length + 3).fill(0xee)
      around.set(batch, before)
      reader.reset(around, before, before + batch.length)
      assert.deepEqual(reader.header, { domain: DOMAIN, sequence, count: rows.length })
      assert.deepEqual(readAll(reader), rows)
      assert.equal(batchSequence(batch), sequence)
    }),
  )
})

test('a batch cut short anywhere is CORRUPTION', () => {
  const batch = Uint8Array.from(Buffer.from(GOLDEN, 'hex'))
  for (let length = 0; length < batch.length; length++) {
    const cut = batch.slice(0, length)
    assert.throws(() => readAll(new RowBatchReader().reset(cut)), isCorruption, `${length} bytes`)
  }
})

test('the sequence of a batch without a whole header is CORRUPTION, not a number', () => {
  const batch = Uint8Array.from(Buffer.from(GOLDEN, 'hex'))
  for (let length = 0; length < HEADER_BYTES - 4; length++) {
    assert.throws(() => batchSequence(batch.slice(0, length)), isCorruption, `${length} bytes`)
  }
})

test('bytes after the last row are CORRUPTION', () => {
  const batch = Uint8Array.from(Buffer.from(`${GOLDEN}00`, 'hex'))
  assert.throws(() => readAll(new RowBatchReader().reset(batch)), isCorruption)
})

test('another version, an unknown operation and a sequence past 2^53 - 1 are CORRUPTION', () => {
  for (const [at, byte] of [
    [0, 0],
    [0, 2],
    [HEADER_BYTES, 2],
    [23, 0x20],
    [24, 1],
  ]) {
    const batch = Uint8Array.from(Buffer.from(GOLDEN, 'hex'))
    batch[at] = byte
    const read = (): Row[] => readAll(new RowBatchReader().reset(batch))
    assert.throws(read, isCorruption, `byte ${at} = ${byte}`)
  }
})

test('garbage is CORRUPTION or a batch of as many rows as it says', () => {
  const header = Buffer.from(GOLDEN, 'hex').subarray(0, HEADER_BYTES)
  fc.assert(
    fc.property(fc.nat(4), fc.uint8Array({ maxLength: 40, max: 5 }), (count, tail) => {
      const batch = new Uint8Array(HEADER_BYTES + tail.length)
      batch.set(header)
      batch[HEADER_BYTES - 4] = count
      batch.set(tail, HEADER_BYTES)
      try {
        assert.equal(readAll(new RowBatchReader().reset(batch)).length, count)
      } catch (error) {
        if (!isCorruption(error)) throw error
      }
    }),
    { numRuns: 1000 },
  )
})

/** Rows as the code makes them: fast-check's records have no prototype unless asked. */
function plain<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>
}
