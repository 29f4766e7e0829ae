/**
 * Goal: numbers and texts come back as they were written, in little-endian golden bytes, and a
 * reader never reads past its end nor hands out a number that is not a safe integer.
 * Method: literals for the layout; properties for round trips and for the order of bytes.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import {
  ByteReader,
  ByteWriter,
  compareBytes,
  equalBytes,
  getU32,
  getU64,
  putU32,
  putU64,
  toHex,
} from '../../src/codec/bytes.ts'
import { MetastoreError } from '../../src/codec/errors.ts'

const SAFE_MAX = Number.MAX_SAFE_INTEGER

function reader(hex: string): ByteReader {
  return new ByteReader(Uint8Array.from(Buffer.from(hex, 'hex')), 'a test')
}

function corruptionAt(offset: number): (error: unknown) => boolean {
  return error =>
    error instanceof MetastoreError &&
    error.code === 'CORRUPTION' &&
    error.message.includes('a test') &&
    (error.details as { offset: number }).offset === offset
}

test('fixed numbers are little-endian', () => {
  const out = new ByteWriter(1).u8(0xab).u16(0x0102).u32(0x01020304).u64(0x01020304050607)
  assert.equal(toHex(out.view()), 'ab0201040302010706050403020100')
})

test('a varint is LEB128 of at most 8 bytes', () => {
  const cases: [number, string][] = [
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [2 ** 32 - 1, 'ffffffff0f'],
    [2 ** 32, '8080808010'],
    [SAFE_MAX, 'ffffffffffffff0f'],
  ]
  for (const [value, hex] of cases) {
    assert.equal(toHex(new ByteWriter().varint(value).view()), hex)
    assert.equal(reader(hex).varint(), value)
  }
})

test('numbers up to 2^53 - 1 come back, through a writer that has to grow', () => {
  fc.assert(
    fc.property(fc.array(fc.maxSafeNat(), { maxLength: 40 }), numbers => {
      const out = new ByteWriter(1)
      for (const number of [...numbers, SAFE_MAX]) out.varint(number).u64(number)
      const back = new ByteReader(out.take(), 'a test')
      for (const number of [...numbers, SAFE_MAX]) {
        assert.equal(back.varint(), number)
        assert.equal(back.u64(), number)
      }
      back.expectEnd()
    }),
  )
})

test('u32 and u64 in place keep every bit', () => {
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.maxSafeNat(), (small, large) => {
      const bytes = new Uint8Array(16).fill(0xee)
      putU32(bytes, 1, small)
      putU64(bytes, 6, large)
      assert.equal(getU32(bytes, 1), small)
      assert.equal(getU64(bytes, 6), large)
      assert.deepEqual([bytes[0], bytes[5], bytes[14]], [0xee, 0xee, 0xee])
    }),
  )
})

test('texts and blobs carry their length, and texts any Unicode', () => {
  assert.equal(toHex(new ByteWriter().text('aé').view()), '0361c3a9')
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.uint8Array(), (text, blob) => {
      const back = new ByteReader(new ByteWriter(1).text(text).blob(blob).take(), 'a test')
      assert.equal(back.text(), text)
      assert.deepEqual(back.blob(), blob)
      back.expectEnd()
    }),
  )
})

test('every read past the end is CORRUPTION that names the place', () => {
  const reads: [string, (r: ByteReader) => unknown][] = [
    ['', r => r.u8()],
    ['01', r => r.u16()],
    ['010203', r => r.u32()],
    ['01020304050607', r => r.u64()],
    ['80', r => r.varint()],
    ['0102', r => r.raw(3)],
  ]
  for (const [hex, read] of reads) {
    const source = reader(hex)
    assert.throws(() => read(source), corruptionAt(0))
    assert.equal(source.position, 0)
  }
  assert.throws(() => reader('0301').blob(), corruptionAt(1))
})

test('a reader of a part ends where the part does, whatever comes after it', () => {
  const source = new ByteReader(Uint8Array.of(1, 2, 3, 4), 'a test', 1, 3)
  assert.equal(source.remaining, 2)
  assert.throws(() => source.expectEnd(), corruptionAt(1))
  assert.equal(source.u16(), 0x0302)
  assert.throws(() => source.u8(), corruptionAt(3))
  source.expectEnd()
})

test('a number past 2^53 - 1 is CORRUPTION, not a rounded one', () => {
  assert.throws(() => reader('0000000000002000').u64(), corruptionAt(0))
  assert.throws(() => reader('ffffffffffffffff').u64(), corruptionAt(0))
  assert.throws(() => reader('8080808080808010').varint(), corruptionAt(0))
  assert.throws(() => reader('ffffffffffffffff01').varint(), corruptionAt(0))
})

test('text that is not UTF-8 is CORRUPTION', () => {
  assert.throws(() => reader('02c328').text(), corruptionAt(0))
})

test('a writer that is reset begins anew; take() is a copy, view() is not', () => {
  const out = new ByteWriter(8).u32(7)
  const [copy, view] = [out.take(), out.view()]
  out.reset().u32(9)
  assert.equal(toHex(copy), '07000000')
  assert.equal(toHex(view), '09000000')
  assert.equal(out.length, 4)
})

test('bytes are ordered as memcmp orders them, a prefix first', () => {
  const few = fc.uint8Array({ maxLength: 4, max: 2 })
  fc.assert(
    fc.property(fc.oneof(few, fc.uint8Array()), few, (a, b) => {
      assert.equal(Math.sign(compareBytes(a, b)), Buffer.compare(a, b))
      assert.equal(equalBytes(a, b), Buffer.compare(a, b) === 0)
      assert.ok(equalBytes(a, a.slice()))
    }),
  )
})
