/**
 * Goal: what was compressed comes back; damaged bytes end in CORRUPTION, or in bytes of the size
 * that was asked for (there is no checksum at this level), and harm nobody else.
 * Method: a block made by hand, round trips, and damage of every kind by property.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { putU32 } from '../../src/codec/bytes.ts'
import { MetastoreError } from '../../src/codec/errors.ts'
import { lz4Compress, lz4Decompress } from '../../src/codec/lz4.ts'

const isCorruption = (error: unknown): boolean =>
  error instanceof MetastoreError && error.code === 'CORRUPTION'

/** Five literals, and nothing else. */
const HELLO = Uint8Array.from(Buffer.from('050000005068656c6c6f', 'hex'))

function repetitive(): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(400))
    .map(([bytes, count]) => new Uint8Array(Buffer.concat(new Array(count).fill(bytes))))
}

test('a block written by hand decompresses', () => {
  assert.equal(new TextDecoder().decode(lz4Decompress(HELLO, 5)), 'hello')
})

test('what was compressed comes back, and repetition is worth it', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 3000 }), repetitive()), bytes => {
      assert.deepEqual(Uint8Array.from(lz4Decompress(lz4Compress(bytes), bytes.length)), bytes)
    }),
  )
  assert.ok(lz4Compress(new Uint8Array(8192).fill(7)).length < 200)
})

test('a size that is not the expected one is CORRUPTION, before anything is allocated', () => {
  for (const sizeBytes of [0, 4, 6, 0xffffffff]) {
    assert.throws(() => lz4Decompress(HELLO, sizeBytes), isCorruption)
  }
  const lying = HELLO.slice()
  putU32(lying, 0, 0xfffffff0)
  assert.throws(() => lz4Decompress(lying, 5), isCorruption)
  putU32(lying, 0, 6)
  assert.throws(() => lz4Decompress(lying, 6), isCorruption)
  putU32(lying, 0, 4)
  assert.throws(() => lz4Decompress(lying, 4), isCorruption)
})

test('a block cut short anywhere is CORRUPTION', () => {
  const bytes = new TextEncoder().encode('to be or not to be, that is the question, to be or not')
  const compressed = lz4Compress(bytes)
  for (let length = 0; length < compressed.length; length++) {
    assert.throws(() => lz4Decompress(compressed.subarray(0, length), bytes.length), isCorruption)
  }
})

test('garbage is CORRUPTION or has the size asked for, and the next call works', () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.uint8Array({ maxLength: 300 }), (sizeBytes, garbage) => {
      const bytes = new Uint8Array(4 + garbage.length)
      putU32(bytes, 0, sizeBytes)
      bytes.set(garbage, 4)
      try {
        assert.equal(lz4Decompress(bytes, sizeBytes).length, sizeBytes)
      } catch (error) {
        if (!isCorruption(error)) throw error
      }
      assert.equal(lz4Decompress(HELLO, 5).length, 5)
    }),
    { numRuns: 500 },
  )
})
