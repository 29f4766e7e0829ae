/**
 * Goal: of tail objects that overlap and have gaps, those are read that reach as far as can be,
 * without a gap, and no more of them than are needed.
 * Method: by hand, and by property beside a search of all that is reachable.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TailName } from '../../src/codec/tail.ts'
import { coveringTails } from '../../src/shared/tail-cover.ts'

const named = (first: number, last: number, epoch = 1): TailName => {
  return { domain: 'd', epoch, first, last }
}
const spans = (names: readonly TailName[]): string[] =>
  names.map(({ first, last }) => `${first}-${last}`)

test('goes on where the manifest ends, up to the first gap', () => {
  const names = [named(1, 5), named(6, 9), named(10, 12), named(14, 20)]
  assert.deepEqual(spans(coveringTails(names, 5)), ['6-9', '10-12'])
  assert.deepEqual(spans(coveringTails(names, 7)), ['6-9', '10-12'])
  assert.deepEqual(spans(coveringTails(names, 12)), [])
  assert.deepEqual(spans(coveringTails(names, 13)), ['14-20'])
  assert.deepEqual(spans(coveringTails([], 3)), [])
})

test('a new leader ships again what the one before had shipped', () => {
  const names = [named(6, 7), named(8, 9), named(6, 12, 2), named(13, 13, 2)]
  assert.deepEqual(spans(coveringTails(names, 5)), ['6-12', '13-13'])
})

test('reaches as far as can be, with every object needed', () => {
  const name = fc
    .tuple(fc.nat({ max: 30 }), fc.nat({ max: 6 }))
    .map(([first, length]) => named(first, first + length))
  fc.assert(
    fc.property(fc.array(name, { maxLength: 12 }), fc.nat({ max: 30 }), (names, after) => {
      let furthest = after
      for (;;) {
        const next = names.find(({ first, last }) => first <= furthest + 1 && last > furthest)
        if (next === undefined) break
        furthest = next.last
      }
      let reached = after
      for (const { first, last } of coveringTails(names, after)) {
        assert.ok(first <= reached + 1 && last > reached)
        reached = last
      }
      assert.equal(reached, furthest)
    }),
  )
})
