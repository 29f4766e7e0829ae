/** Sets of inclusive offset ranges, kept as sorted, disjoint arrays. Pure. */
import type { OffsetRange } from './api.ts'

/** What is left of `whole` without `removed`, which is sorted and disjoint. */
export function subtractRanges(whole: OffsetRange, removed: readonly OffsetRange[]): OffsetRange[] {
  const left: OffsetRange[] = []
  let from = whole.baseOffset
  for (const range of removed) {
    if (range.lastOffset < from) continue
    if (range.baseOffset > whole.lastOffset) break
    if (range.baseOffset > from) {
      left.push({ baseOffset: from, lastOffset: range.baseOffset - 1 })
    }
    from = range.lastOffset + 1
  }
  if (from <= whole.lastOffset) left.push({ baseOffset: from, lastOffset: whole.lastOffset })
  return left
}

/** Joins ranges that touch or overlap; the input is sorted. */
export function mergeAdjacent(ranges: readonly OffsetRange[]): OffsetRange[] {
  const merged: OffsetRange[] = []
  for (const { baseOffset, lastOffset } of ranges) {
    const last = merged.at(-1)
    if (last !== undefined && baseOffset <= last.lastOffset + 1) {
      last.lastOffset = Math.max(last.lastOffset, lastOffset)
    } else {
      merged.push({ baseOffset, lastOffset })
    }
  }
  return merged
}

/** Both sets as one, adjacent ranges joined. */
export function uniteRanges(a: readonly OffsetRange[], b: readonly OffsetRange[]): OffsetRange[] {
  return mergeAdjacent([...a, ...b].sort((x, y) => x.baseOffset - y.baseOffset))
}

/** Whether one range of a sorted set holds all of [from, to]. */
export function covers(ranges: readonly OffsetRange[], from: number, to: number): boolean {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ranges[middle].lastOffset < from) low = middle + 1
    else high = middle
  }
  return low < ranges.length && ranges[low].baseOffset <= from && ranges[low].lastOffset >= to
}

/** The ranges without what lies below `start`; what they carry besides is kept. */
export function clipBelow<T extends OffsetRange>(ranges: readonly T[], start: number): T[] {
  return ranges
    .filter(range => range.lastOffset >= start)
    .map(range => (range.baseOffset < start ? { ...range, baseOffset: start } : range))
}

export function overlaps(a: OffsetRange, b: OffsetRange): boolean {
  return a.baseOffset <= b.lastOffset && b.baseOffset <= a.lastOffset
}
