/** Offset ranges of generated rewrites and compaction updates, by the model's present state. */
import type {
  CleanedRange,
  CompactionUpdate,
  OffsetRange,
  TopicPartition,
} from '../../src/shared/api.ts'
import type { AbstractInterval, AbstractReplacement } from './arbitraries.ts'
import type { MetastoreModel } from './metastore-model.ts'
import type { PartitionModel } from './partition-model.ts'
import { partitionOf } from './universe.ts'

export interface PartitionRanges {
  topicPartition: TopicPartition
  /** Of the new extents, in offset order. */
  ranges: OffsetRange[]
}

/** The new extents' ranges of one partition's rewrite: one or two intervals in pieces. */
export function newRangesFor(entry: AbstractReplacement, model: MetastoreModel): PartitionRanges {
  const topicPartition = partitionOf(model, entry.slot)
  const known = model.partition(topicPartition)
  const intervals = known === undefined ? [] : existingIntervals(entry, known)
  if (intervals.length === 0) intervals.push({ baseOffset: 0, lastOffset: 4 })
  const ranges = intervals.flatMap((interval, i) => pieces(interval, entry.intervals[i].pieces))
  return { topicPartition, ranges }
}

function existingIntervals(
  { intervals, reach }: AbstractReplacement,
  { extents, startOffset }: PartitionModel,
): OffsetRange[] {
  const [first, second] = intervals
  const stale = {
    baseOffset: Math.max(0, startOffset - 1 - first.from),
    lastOffset: startOffset - 1,
  }
  const wholeStale = startOffset > 0 && (reach === 'stale' || extents.length === 0)
  const chosen = wholeStale ? [stale] : []
  let free = wholeStale ? 1 : 0
  const choose = (interval: AbstractInterval, from: number): void => {
    if (from >= extents.length) return
    const to = Math.min(from + interval.count, extents.length) - 1
    const range = shifted(extents[from].baseOffset, extents[to].lastOffset, interval)
    if (reach === 'below' && interval === first) {
      range.baseOffset = Math.min(range.baseOffset, stale.baseOffset)
    }
    chosen.push(range)
    free = to + 2
  }
  if (!wholeStale) {
    choose(first, reach === 'extent' ? first.from % Math.max(extents.length, 1) : 0)
  }
  if (second !== undefined && free < extents.length) {
    choose(second, free + (second.from % (extents.length - free)))
  }
  return chosen
}

function shifted(base: number, last: number, interval: AbstractInterval): OffsetRange {
  const baseOffset = Math.max(0, base + interval.baseShift)
  return { baseOffset, lastOffset: Math.max(baseOffset, last + interval.lastShift) }
}

function pieces({ baseOffset, lastOffset }: OffsetRange, wanted: number): OffsetRange[] {
  const length = lastOffset - baseOffset + 1
  const count = Math.min(wanted, length)
  return Array.from({ length: count }, (_, i) => ({
    baseOffset: baseOffset + Math.floor((length * i) / count),
    lastOffset: baseOffset + Math.floor((length * (i + 1)) / count) - 1,
  }))
}

/** A compaction update whose cleaned ranges lie in `span`. */
export function concreteUpdate(
  entry: AbstractReplacement,
  model: MetastoreModel,
  span: OffsetRange,
): CompactionUpdate {
  const topicPartition = partitionOf(model, entry.slot)
  const known = model.partition(topicPartition)
  const cleanedRanges = cleanedIn(span, entry)
  return {
    topicPartition,
    expectedEpoch: (known?.epoch ?? 0) + entry.epochDelta,
    cleanedAt: 3000 + entry.cleanedAt,
    cleanedRanges,
    removedTombstoneRanges: removedFrom(entry, [
      ...(known?.compaction.tombstones ?? []),
      ...cleanedRanges.filter(range => range.hasTombstones),
    ]),
  }
}

function cleanedIn(span: OffsetRange, { cleaned }: AbstractReplacement): CleanedRange[] {
  const ranges: CleanedRange[] = []
  let free = span.baseOffset
  for (const { at, length, hasTombstones } of cleaned) {
    const room = span.lastOffset - free + 1
    if (room <= 0) break
    const baseOffset = free + (at % room)
    const lastOffset = Math.min(baseOffset + length, span.lastOffset)
    ranges.push({ baseOffset, lastOffset, hasTombstones })
    free = lastOffset + 1
  }
  return ranges
}

/** Parts of the tracked tombstones, or of what the same update adds; trims may reach outside. */
function removedFrom(
  { removed }: AbstractReplacement,
  tracked: readonly OffsetRange[],
): OffsetRange[] {
  const sorted = [...tracked].sort((a, b) => a.baseOffset - b.baseOffset)
  const ranges: OffsetRange[] = []
  for (const { pick, chain, trimBase, trimLast } of removed) {
    if (sorted.length === 0) break
    const from = pick % sorted.length
    const to = Math.min(from + chain, sorted.length - 1)
    const baseOffset = Math.max(0, sorted[from].baseOffset + trimBase)
    const lastOffset = sorted[to].lastOffset - trimLast
    const isFree = ranges.every(r => lastOffset < r.baseOffset || r.lastOffset < baseOffset)
    if (baseOffset <= lastOffset && isFree) ranges.push({ baseOffset, lastOffset })
  }
  return ranges.sort((a, b) => a.baseOffset - b.baseOffset)
}
