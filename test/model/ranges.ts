/** Sets of inclusive offset ranges as sorted arrays: the arithmetic behind compaction state. */
import type { OffsetRange } from '../../src/shared/api.ts'

export function rangesOverlap(a: OffsetRange, b: OffsetRange): boolean {
  return a.baseOffset <= b.lastOffset && b.baseOffset <= a.lastOffset
}

/** Sorted, and with adjacent or overlapping ranges joined. */
export function mergeRanges(ranges: readonly OffsetRange[]): OffsetRange[] {
  const sorted = [...ranges].sort((a, b) => a.baseOffset - b.baseOffset)
  const merged: OffsetRange[] = []
  for (const { baseOffset, lastOffset } of sorted) {
    const previous = merged.at(-1)
    if (previous !== undefined && baseOffset <= previous.lastOffset + 1) {
      previous.lastOffset = Math.max(previous.lastOffset, lastOffset)
    } else {
      merged.push({ baseOffset, lastOffset })
    }
  }
  return merged
}

/** What is left of each range without `hole`; every piece keeps the other fields of its range. */
export function subtractRange<R extends OffsetRange>(ranges: readonly R[], hole: OffsetRange): R[] {
  return ranges.flatMap(range => {
    if (!rangesOverlap(range, hole)) return [range]
    const pieces: R[] = []
    if (range.baseOffset < hole.baseOffset) {
      pieces.push({ ...range, lastOffset: hole.baseOffset - 1 })
    }
    if (range.lastOffset > hole.lastOffset) {
      pieces.push({ ...range, baseOffset: hole.lastOffset + 1 })
    }
    return pieces
  })
}

/** The parts at or above `startOffset`. */
export function clipRanges<R extends OffsetRange>(ranges: readonly R[], startOffset: number): R[] {
  return ranges
    .filter(range => range.lastOffset >= startOffset)
    .map(range => ({ ...range, baseOffset: Math.max(range.baseOffset, startOffset) }))
}

/** Whether `range` lies inside one contiguous chain of the given ranges. */
export function isCovered(range: OffsetRange, by: readonly OffsetRange[]): boolean {
  return mergeRanges(by).some(
    chain => chain.baseOffset <= range.baseOffset && range.lastOffset <= chain.lastOffset,
  )
}
