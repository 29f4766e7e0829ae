/**
 * Goal: separators part the keys of two blocks, and the search finds the first separator at or
 * after a key. Method: properties over keys with long shared prefixes, and a linear search.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareBytes, toHex } from '../../../src/codec/bytes.ts'
import { TableIndex } from '../../../src/codec/table/table-index.ts'
import { separatorOf, TableIndexBuilder } from '../../../src/codec/table/table-index-builder.ts'
import { isCorrupt, keyArbitrary } from './table-rows.ts'

test('a separator is at or after the last key, before the next one, and no longer than either', () => {
  fc.assert(
    fc.property(keyArbitrary, keyArbitrary, (a, b) => {
      const [last, next] = compareBytes(a, b) <= 0 ? [a, b] : [b, a]
      const separator = separatorOf(last, next)
      assert.ok(compareBytes(separator, last) >= 0)
      assert.ok(separator.length <= last.length)
      if (compareBytes(last, next) === 0) assert.deepEqual(separator, last)
      else assert.ok(compareBytes(separator, next) < 0)
    }),
    { numRuns: 2000 },
  )
})

test('a separator of keys that differ early is short', () => {
  const last = Uint8Array.of(1, 2, 9, 9, 9, 9)
  assert.deepEqual(separatorOf(last, Uint8Array.of(1, 5, 7, 7)), Uint8Array.of(1, 5))
  assert.deepEqual(separatorOf(last, Uint8Array.of(1, 3)), last)
})

function indexOf(separators: readonly Uint8Array[]): Uint8Array {
  const builder = new TableIndexBuilder()
  separators.forEach((separator, i) => {
    builder.add(separator, 100 + i, 200 + i, i + 1)
  })
  const { sizeBytes } = builder
  const section = builder.finish()
  assert.equal(section.length, sizeBytes)
  return section
}

test('the search agrees with a linear one', () => {
  fc.assert(
    fc.property(
      fc.constantFrom([], [0], [7, 7, 0, 255, 7, 7]),
      fc.array(keyArbitrary, { maxLength: 50 }),
      fc.array(keyArbitrary, { minLength: 1, maxLength: 20 }),
      (common, keys, targets) => {
        const separators = keys.map(key => Uint8Array.from([...common, ...key])).sort(compareBytes)
        const index = TableIndex.decode(indexOf(separators))
        const near = targets.map(key => Uint8Array.from([...common, ...key]))
        for (const target of [...targets, ...near, ...separators, Uint8Array.from(common)]) {
          const found = separators.findIndex(key => compareBytes(key, target) >= 0)
          assert.equal(index.find(target), found < 0 ? keys.length : found, toHex(target))
        }
      },
    ),
    { numRuns: 500 },
  )
})

test('blocks lie one after the other', () => {
  const index = TableIndex.decode(indexOf([1, 2, 3].map(byte => Uint8Array.of(byte))))
  assert.equal(index.blockCount, 3)
  assert.deepEqual(
    [0, 1, 2, 3].map(i => index.offset(i)),
    [0, 100, 201, 303],
  )
  assert.deepEqual(
    [0, 1, 2].map(i => index.storedBytes(i)),
    [100, 101, 102],
  )
  assert.deepEqual(
    [0, 1, 2].map(i => index.rawBytes(i)),
    [200, 201, 202],
  )
  assert.deepEqual(
    [0, 1, 2].map(i => index.rows(i)),
    [1, 2, 3],
  )
  assert.deepEqual([index.dataBytes, index.rowCount], [303, 6])
  assert.deepEqual(index.separator(1), Uint8Array.of(2))
})

test('separators out of order are CORRUPTION', () => {
  assert.ok(isCorrupt(() => TableIndex.decode(indexOf([Uint8Array.of(2), Uint8Array.of(1)]))))
})

test('sizes that no block has are CORRUPTION', () => {
  const refused: [stored: number, raw: number, rows: number][] = [
    [9, 100, 1],
    [100, 90, 1],
    [100, 2 ** 31, 1],
    [12, 11, 1],
    [100, 100, 0],
    [100, 100, 101],
  ]
  for (const [stored, raw, rows] of refused) {
    const builder = new TableIndexBuilder()
    builder.add(Uint8Array.of(1), stored, raw, rows)
    assert.ok(
      isCorrupt(() => TableIndex.decode(builder.finish())),
      `${stored} ${raw} ${rows}`,
    )
  }
})

test('blocks that would lie past 4 GiB are CORRUPTION, not somewhere else', () => {
  const builder = new TableIndexBuilder()
  for (let i = 0; i < 200; i++) builder.add(Uint8Array.of(1), 33_000_000, 33_000_000, 1)
  assert.ok(isCorrupt(() => TableIndex.decode(builder.finish())))
})
