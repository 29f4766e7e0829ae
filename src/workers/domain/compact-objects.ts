/** compactObjects and commitCompaction: what a cleaner has done, with or without new extents. */
import { conflict } from '../../codec/errors.ts'
import { encodeCompaction, type PartitionRow } from '../../codec/rows.ts'
import { compactionOf } from '../../shared/reads/compaction-reads.ts'
import { describeTp } from '../../shared/reads/read.ts'
import type { CompactObjectsPart, UpdatePartition } from '../../shared/writes/parts.ts'
import { updateCompaction } from './compaction-state.ts'
import { partitionAtEpoch, replaceExtents } from './replace-extents.ts'
import { keys, putPartition, scratch, type WriteContext } from './write-context.ts'

/** Answers nothing. */
export function compactObjects(context: WriteContext, request: CompactObjectsPart): void {
  const partitions = request.partitions.map(({ tp, expectedEpoch }) => ({
    tp,
    epoch: expectedEpoch,
  }))
  const replaced = replaceExtents(context, partitions, request.objects)
  replaced.forEach(({ tp, row, firstBaseOffset }, place) => {
    const update = request.partitions[place]
    if (update.cleanedRanges.length > 0 && firstBaseOffset > row.startOffset) {
      throw conflict(
        `cleaned ranges of ${describeTp(tp)} need extents down to its start at ` +
          `${row.startOffset}, not from ${firstBaseOffset}`,
      )
    }
    writeUpdate(context, row, update)
  })
}

/** Answers nothing. */
export function commitCompaction(context: WriteContext, request: CompactObjectsPart): void {
  for (const update of request.partitions) {
    const row = partitionAtEpoch(context, update.tp, update.expectedEpoch)
    const last = update.cleanedRanges.at(-1)
    if (last !== undefined && last.lastOffset >= row.nextOffset) {
      throw conflict(
        `cleaned range of ${describeTp(update.tp)} ends at ${last.lastOffset}, past its end at ` +
          `${row.nextOffset}`,
      )
    }
    writeUpdate(context, row, update)
  }
}

function writeUpdate(context: WriteContext, row: PartitionRow, update: UpdatePartition): void {
  const { tp } = update
  putPartition(context, tp, { ...row, compactionEpoch: row.compactionEpoch + 1 })
  const isPartial = update.cleanedRanges.length === 0 && update.removedTombstoneRanges.length === 0
  if (isPartial) return
  const state = updateCompaction(compactionOf(context.view, tp), row.startOffset, update)
  if (state.cleaned.length > 0) {
    context.rows.put(keys.compaction(tp), encodeCompaction(scratch, state))
  }
}
