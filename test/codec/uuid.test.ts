/**
 * Goal: only canonical lower-case UUIDs are taken, and their 16 bytes give the same text back.
 * Method: one literal, a property over all bytes, and one bad character at every place.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import {
  formatUuid,
  isUuid,
  parseUuid,
  stampVersion4,
  UUID_BYTES,
  uuidBytes,
} from '../../src/codec/uuid.ts'

const TEXT = '00112233-4455-6677-8899-aabbccddeeff'
const BYTES = '00112233445566778899aabbccddeeff'

test('a UUID is its hexadecimal digits, in their order', () => {
  assert.equal(toHex(uuidBytes(TEXT)), BYTES)
  assert.equal(formatUuid(uuidBytes(TEXT)), TEXT)
})

test('all 16 bytes come back, at any place in an array', () => {
  const uuid = fc.uint8Array({ minLength: UUID_BYTES, maxLength: UUID_BYTES })
  fc.assert(
    fc.property(uuid, fc.nat(9), (bytes, at) => {
      const around = new Uint8Array(at + UUID_BYTES + 1).fill(0x77)
      const text = formatUuid(bytes)
      assert.ok(isUuid(text))
      assert.ok(parseUuid(text, around, at))
      assert.deepEqual(around.subarray(at, at + UUID_BYTES), bytes)
      assert.equal(formatUuid(around, at), text)
      assert.equal(around[at + UUID_BYTES], 0x77)
    }),
  )
})

test('one wrong character anywhere makes it no UUID', () => {
  for (let i = 0; i < TEXT.length; i++) {
    for (const wrong of ['g', 'A', ' ', '/', ':', '`', '\u0130', '\u{ff10}', '_']) {
      const text = TEXT.slice(0, i) + wrong + TEXT.slice(i + 1)
      assert.equal(isUuid(text), false, text)
    }
    const swapped = TEXT[i] === '-' ? '0' : '-'
    assert.equal(isUuid(TEXT.slice(0, i) + swapped + TEXT.slice(i + 1)), false)
  }
})

test('other lengths, forms and types are no UUIDs', () => {
  const others = ['', TEXT.slice(1), `${TEXT}0`, BYTES, `{${TEXT}}`, TEXT.toUpperCase()]
  for (const other of [...others, undefined, null, 36, {}]) assert.equal(isUuid(other), false)
  assert.throws(() => uuidBytes('no'), TypeError)
})

test('a stamped UUID is of version 4 and keeps its 122 random bits', () => {
  const bytes = new Uint8Array(UUID_BYTES + 1).fill(0xff)
  stampVersion4(bytes, 1)
  assert.equal(toHex(bytes), 'ffffffffffffff4fffbfffffffffffffff')
  const zeros = new Uint8Array(UUID_BYTES)
  stampVersion4(zeros)
  assert.equal(formatUuid(zeros), '00000000-0000-4000-8000-000000000000')
})
