/**
 * Goal: both hashes are the published ones, since checksums, filters and fingerprints on disk
 * depend on every bit of them.
 * Method: known vectors, for each remainder modulo 4 and for several seeds; parts of arrays.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { hash32, xxh64 } from '../../src/codec/hash.ts'

const encoder = new TextEncoder()

test('xxh64 is XXH64 with seed 0', () => {
  const vectors: [string, string][] = [
    ['', 'ef46db3751d8e999'],
    ['a', 'd24ec4f1a98c6e5b'],
    ['abc', '44bc2cf5ad770999'],
    ['xxhash', '32dd38952c4bc720'],
    ['Nobody inspects the spammish repetition', 'fbcea83c8a378bf1'],
  ]
  for (const [text, hex] of vectors) {
    assert.equal(xxh64(encoder.encode(text)).toString(16).padStart(16, '0'), hex, text)
  }
})

test('xxh64 of a view is that of the viewed bytes', () => {
  const around = encoder.encode('..xxhash..')
  assert.equal(xxh64(around.subarray(2, 8)), 0x32dd38952c4bc720n)
})

test('hash32 is MurmurHash3 for x86, 32 bits', () => {
  const vectors: [string, number, number][] = [
    ['', 0, 0],
    ['', 1, 0x514e28b7],
    ['', 0xffffffff, 0x81f16f39],
    ['ffffffff', 0, 0x76293b50],
    ['21436587', 0, 0xf55b516b],
    ['21436587', 0x5082edee, 0x2362f9de],
    ['214365', 0, 0x7e4a8634],
    ['2143', 0, 0xa0f7b07a],
    ['21', 0, 0x72661cf4],
    ['00000000', 0, 0x2362f9de],
    ['000000', 0, 0x85f0b427],
    ['0000', 0, 0x30f4c306],
    ['00', 0, 0x514e28b7],
    [toHexText('aaa'), 0x9747b28c, 0x283e0130],
    [toHexText('abcd'), 0x9747b28c, 0xf0478627],
    [toHexText('Hello, world!'), 0x9747b28c, 0x24884cba],
  ]
  for (const [hex, seed, expected] of vectors) {
    const bytes = Buffer.from(`eeee${hex}ee`, 'hex')
    assert.equal(hash32(bytes, 2, bytes.length - 1, seed), expected, `${hex}, seed ${seed}`)
  }
})

function toHexText(text: string): string {
  return Buffer.from(text).toString('hex')
}
