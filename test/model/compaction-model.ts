/** Compaction state of a partition: what is clean, and where tombstones still are. */
import { conflict } from '../../src/codec/errors.ts'
import type { CompactionUpdate, OffsetRange } from '../../src/shared/api.ts'
import { clipRanges, isCovered, mergeRanges, rangesOverlap, subtractRange } from './ranges.ts'

export interface Tombstones extends OffsetRange {
  cleanedAt: number
}

export interface CompactionState {
  /** Sorted; neither overlapping nor adjacent. */
  cleaned: OffsetRange[]
  /** Sorted and disjoint; adjacent ones stay apart, each with its time. */
  tombstones: Tombstones[]
}

/**
 * The state after `update`, whose additions come before its removals; both are clipped to
 * `startOffset` first.
 * @throws CONFLICT for tombstones that are tracked already, or a removal of some that are not.
 */
export function advanceCompaction(
  state: CompactionState,
  update: CompactionUpdate,
  startOffset: number,
): CompactionState {
  const cleaned = clipRanges(update.cleanedRanges, startOffset)
  const removed = clipRanges(update.removedTombstoneRanges, startOffset)
  const added = cleaned
    .filter(range => range.hasTombstones)
    .map(({ baseOffset, lastOffset }) => ({ baseOffset, lastOffset, cleanedAt: update.cleanedAt }))
  for (const range of added) {
    if (state.tombstones.some(tracked => rangesOverlap(tracked, range))) {
      throw conflict(`tombstones ${range.baseOffset}-${range.lastOffset} overlap tracked ones`)
    }
  }
  let tombstones = [...state.tombstones, ...added].sort((a, b) => a.baseOffset - b.baseOffset)
  for (const range of removed) {
    if (!isCovered(range, tombstones)) {
      throw conflict(`tombstones ${range.baseOffset}-${range.lastOffset} are not all tracked`)
    }
    tombstones = subtractRange(tombstones, range)
  }
  return { cleaned: mergeRanges([...state.cleaned, ...cleaned]), tombstones }
}

export function clipCompaction(state: CompactionState, startOffset: number): CompactionState {
  return {
    cleaned: clipRanges(state.cleaned, startOffset),
    tombstones: clipRanges(state.tombstones, startOffset),
  }
}
