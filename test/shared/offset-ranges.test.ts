/**
 * Goal: the operations on ranges are those on the sets of offsets that they stand for, and their
 * results are sorted, disjoint and joined where they touch.
 * Method: properties against sets of numbers.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { OffsetRange } from '../../src/shared/api.ts'
import {
  clipBelow,
  covers,
  mergeAdjacent,
  overlaps,
  subtractRanges,
  uniteRanges,
} from '../../src/shared/offset-ranges.ts'

/** Offsets are small, so that ranges touch; this moves them to the far end of what is allowed. */
const FAR = Number.MAX_SAFE_INTEGER - 200

function offsetsOf(ranges: readonly OffsetRange[]): number[] {
  const offsets = new Set<number>()
  for (const { baseOffset, lastOffset } of ranges) {
    for (let offset = baseOffset; offset <= lastOffset; offset++) offsets.add(offset)
  }
  return [...offsets].sort((a, b) => a - b)
}

const rangeArbitrary: fc.Arbitrary<OffsetRange> = fc
  .tuple(fc.nat({ max: 60 }), fc.nat({ max: 12 }), fc.constantFrom(0, FAR))
  .map(([from, length, base]) => ({ baseOffset: base + from, lastOffset: base + from + length }))

const sortedArbitrary = fc
  .array(rangeArbitrary, { maxLength: 12 })
  .map(ranges => ranges.sort((a, b) => a.baseOffset - b.baseOffset))

/** Sorted and disjoint; some touch. */
const disjointArbitrary = fc
  .tuple(
    fc.array(fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 8 })), { maxLength: 12 }),
    fc.constantFrom(0, FAR),
  )
  .map(([parts, base]) => {
    let from = base
    return parts.map(([gap, length]) => {
      const range = { baseOffset: from + gap, lastOffset: from + gap + length }
      from = range.lastOffset + 1
      return range
    })
  })

function assertJoined(ranges: readonly OffsetRange[]): void {
  for (const [i, range] of ranges.entries()) {
    assert.ok(range.baseOffset <= range.lastOffset)
    if (i > 0) assert.ok(range.baseOffset > ranges[i - 1].lastOffset + 1)
  }
}

describe('offset ranges', () => {
  test('subtracted are the difference of their sets', () => {
    const runs = fc.property(rangeArbitrary, disjointArbitrary, (whole, removed) => {
      const before = structuredClone({ whole, removed })
      const left = subtractRanges(whole, removed)
      const gone = new Set(offsetsOf(removed))
      assert.deepEqual(
        offsetsOf(left),
        offsetsOf([whole]).filter(offset => !gone.has(offset)),
      )
      assertJoined(left)
      assert.deepEqual({ whole, removed }, before)
    })
    fc.assert(runs, { numRuns: 1000 })
  })

  test('merged are the same set, joined', () => {
    const runs = fc.property(sortedArbitrary, ranges => {
      const before = structuredClone(ranges)
      const merged = mergeAdjacent(ranges)
      assert.deepEqual(offsetsOf(merged), offsetsOf(ranges))
      assertJoined(merged)
      assert.deepEqual(ranges, before)
    })
    fc.assert(runs, { numRuns: 1000 })
  })

  test('united are the union of their sets, joined', () => {
    const runs = fc.property(disjointArbitrary, sortedArbitrary, (a, b) => {
      const united = uniteRanges(a, b)
      assert.deepEqual(offsetsOf(united), offsetsOf([...a, ...b]))
      assertJoined(united)
    })
    fc.assert(runs, { numRuns: 1000 })
  })

  test('cover what one of them holds', () => {
    const runs = fc.property(disjointArbitrary, rangeArbitrary, (ranges, wanted) => {
      const { baseOffset: from, lastOffset: to } = wanted
      const expected = ranges.some(range => range.baseOffset <= from && to <= range.lastOffset)
      assert.equal(covers(ranges, from, to), expected)
      for (const { baseOffset, lastOffset } of ranges) {
        assert.equal(covers(ranges, baseOffset, lastOffset), true)
        assert.equal(covers(ranges, baseOffset, lastOffset + 1), false)
        assert.equal(covers(ranges, baseOffset - 1, lastOffset), false)
      }
    })
    fc.assert(runs, { numRuns: 1000 })
  })

  test('clipped have nothing below the start, and keep what they carry', () => {
    const runs = fc.property(disjointArbitrary, rangeArbitrary, (ranges, { baseOffset: start }) => {
      const named = ranges.map((range, i) => ({ ...range, name: i }))
      const clipped = clipBelow(named, start)
      for (const range of named) {
        const own = clipped.filter(({ name }) => name === range.name)
        assert.deepEqual(
          offsetsOf(own),
          offsetsOf([range]).filter(offset => offset >= start),
        )
      }
      assert.ok(clipped.every(range => range.baseOffset <= range.lastOffset))
    })
    fc.assert(runs, { numRuns: 1000 })
  })

  test('overlap when they have an offset in common', () => {
    const runs = fc.property(rangeArbitrary, rangeArbitrary, (a, b) => {
      const common = offsetsOf([a]).filter(offset => offsetsOf([b]).includes(offset))
      assert.equal(overlaps(a, b), common.length > 0)
    })
    fc.assert(runs, { numRuns: 1000 })
  })
})
