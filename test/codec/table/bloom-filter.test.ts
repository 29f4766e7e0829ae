/**
 * Goal: a filter never denies a key it holds, and wrongly admits about one in a hundred others.
 * Method: fixed sets of keys, counted; random sets by property.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BloomFilter, BloomFilterBuilder } from '../../../src/codec/table/bloom-filter.ts'
import { isCorrupt } from './table-rows.ts'

function extentKey(i: number): Uint8Array {
  const key = new Uint8Array(29)
  key[0] = 1
  new DataView(key.buffer).setUint32(25, i)
  return key
}

test('no key that was added is denied', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 200 }), keys => {
      const builder = new BloomFilterBuilder()
      for (const key of keys) builder.add(key, key.length)
      const { sizeBytes } = builder
      const section = builder.finish()
      assert.equal(section.length, sizeBytes)
      const filter = new BloomFilter(section)
      for (const key of keys) assert.ok(filter.mayContain(key))
    }),
  )
})

test('about one key in a hundred that was not added is admitted', () => {
  for (const count of [1000, 50_000]) {
    const builder = new BloomFilterBuilder()
    for (let i = 0; i < count; i++) builder.add(extentKey(i * 2), 29)
    assert.equal(builder.keyCount, count)
    const filter = new BloomFilter(builder.finish())
    let admitted = 0
    for (let i = 0; i < 50_000; i++) if (filter.mayContain(extentKey(i * 2 + 1))) admitted++
    assert.ok(admitted > 50 && admitted < 750, `${admitted} of 50000 with ${count} keys`)
  }
})

test('only the given length of a key is added', () => {
  const builder = new BloomFilterBuilder()
  builder.add(Uint8Array.of(1, 2, 3), 2)
  const filter = new BloomFilter(builder.finish())
  assert.equal(filter.mayContain(Uint8Array.of(1, 2)), true)
  assert.equal(filter.mayContain(Uint8Array.of(1, 2, 3)), false)
})

test('a filter without keys holds nothing', () => {
  const filter = new BloomFilter(new BloomFilterBuilder().finish())
  assert.equal(filter.mayContain(new Uint8Array(0)), false)
  assert.equal(filter.mayContain(extentKey(1)), false)
})

test('a filter without a head, without probes or with too many is CORRUPTION', () => {
  for (const section of [[], [7, 0, 0], [0, 0, 0, 0, 1], [31, 0, 0, 0, 1], [0, 0, 0, 1, 1]]) {
    assert.ok(isCorrupt(() => new BloomFilter(Uint8Array.from(section))))
  }
})
