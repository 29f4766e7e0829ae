/** Compaction state of one partition: how an update changes it. Pure. */
import { conflict } from '../../codec/errors.ts'
import type { CompactionRow, TombstoneRange } from '../../codec/rows.ts'
import type { OffsetRange } from '../../shared/api.ts'
import { clipBelow, overlaps, uniteRanges } from '../../shared/offset-ranges.ts'
import type { UpdatePartition } from '../../shared/writes/parts.ts'

/**
 * The state after an update. What the update says of offsets below the start of the log is ignored.
 * Additions come before removals, so a removal may name a range that the same update adds.
 * @throws CONFLICT when a tombstone range overlaps a tracked one, or a removal is not covered
 */
export function updateCompaction(
  state: CompactionRow,
  startOffset: number,
  update: UpdatePartition,
): CompactionRow {
  const cleaned = clipBelow(update.cleanedRanges, startOffset)
  let tombstones = [...state.tombstones]
  for (const { baseOffset, lastOffset, hasTombstones } of cleaned) {
    if (!hasTombstones) continue
    const range = { baseOffset, lastOffset, cleanedAt: update.cleanedAt }
    const tracked = state.tombstones.find(other => overlaps(other, range))
    if (tracked !== undefined) {
      throw conflict(
        `tombstones [${baseOffset}, ${lastOffset}] overlap the tracked [${tracked.baseOffset}, ` +
          `${tracked.lastOffset}]`,
      )
    }
    tombstones.push(range)
  }
  tombstones.sort((a, b) => a.baseOffset - b.baseOffset)
  for (const range of clipBelow(update.removedTombstoneRanges, startOffset)) {
    tombstones = removeTombstones(tombstones, range)
  }
  return { cleaned: uniteRanges(state.cleaned, cleaned), tombstones }
}

/** The state of a log that now begins at `startOffset`. */
export function clipCompaction(state: CompactionRow, startOffset: number): CompactionRow {
  return {
    cleaned: clipBelow(state.cleaned, startOffset),
    tombstones: clipBelow(state.tombstones, startOffset),
  }
}

/** Takes [base, last] out of a contiguous chain of ranges; what is left keeps its time. */
function removeTombstones(
  tombstones: readonly TombstoneRange[],
  { baseOffset, lastOffset }: OffsetRange,
): TombstoneRange[] {
  const left: TombstoneRange[] = []
  let covered = baseOffset
  for (const range of tombstones) {
    if (range.lastOffset < baseOffset || range.baseOffset > lastOffset) {
      left.push(range)
      continue
    }
    if (range.baseOffset <= covered) covered = range.lastOffset + 1
    if (range.baseOffset < baseOffset) left.push({ ...range, lastOffset: baseOffset - 1 })
    if (range.lastOffset > lastOffset) left.push({ ...range, baseOffset: lastOffset + 1 })
  }
  if (covered <= lastOffset) {
    throw conflict(
      `removed tombstones [${baseOffset}, ${lastOffset}] are not tracked from ${covered} on`,
    )
  }
  return left
}
