/** setStartOffset: drops the beginning of a log, in bounded atomic steps. */
import type { ByteWriter } from '../../codec/bytes.ts'
import { MetastoreError, outOfRange } from '../../codec/errors.ts'
import { keyNumber } from '../../codec/keys.ts'
import { decodeTerm, encodeCompaction, type PartitionRow } from '../../codec/rows.ts'
import { compactionOf } from '../../shared/reads/compaction-reads.ts'
import { describeTp, ExtentScan, findPartition } from '../../shared/reads/read.ts'
import { STEP_ROWS_MAX } from '../../shared/writes/write-kinds.ts'
import { clipCompaction } from './compaction-state.ts'
import { ObjectChanges } from './object-changes.ts'
import { keys, putPartition, scratch, type WriteContext } from './write-context.ts'

/** Answers u8 1 when the start is where it was wanted, 0 when another step is needed. */
export function setStartOffset(
  context: WriteContext,
  tp: Uint8Array,
  offset: number,
  out: ByteWriter,
): void {
  const row = findPartition(context.view, tp)
  if (row === undefined) {
    throw new MetastoreError('MISSING_PARTITION', `nothing is known of partition ${describeTp(tp)}`)
  }
  if (offset > row.nextOffset) {
    throw outOfRange(`offset ${offset} of ${describeTp(tp)} is past its end at ${row.nextOffset}`)
  }
  if (offset <= row.startOffset) {
    out.u8(1)
    return
  }
  const changes = new ObjectChanges(context)
  const trimmed = trimExtents(context, changes, { tp, row, offset }, STEP_ROWS_MAX)
  changes.write()
  dropTerms(context, tp, trimmed.startOffset)
  clipState(context, tp, trimmed.startOffset)
  putPartition(context, tp, trimmed)
  out.u8(trimmed.startOffset === offset ? 1 : 0)
}

/**
 * Drops at most `extentsMax` extents that lie wholly below `offset`. The row that comes back begins
 * at `offset` when none is left, else at the first of those left, so that it is a valid one.
 */
export function trimExtents(
  context: WriteContext,
  changes: ObjectChanges,
  { tp, row, offset }: { tp: Uint8Array; row: PartitionRow; offset: number },
  extentsMax: number,
): PartitionRow {
  let { sizeBytes, extentCount } = row
  let startOffset = offset
  const scan = new ExtentScan(context.view, tp)
  let removed = 0
  for (scan.seekFirst(); scan.valid; scan.next()) {
    const extent = scan.extent()
    if (extent.lastOffset >= offset) break
    if (removed === extentsMax) {
      startOffset = extent.baseOffset
      break
    }
    removed++
    sizeBytes -= extent.sizeBytes
    extentCount--
    changes.removeExtent(extent.objectId, extent.sizeBytes)
    context.rows.delete(keys.extent(tp, extent.baseOffset))
  }
  return { ...row, startOffset, sizeBytes, extentCount }
}

/** Of the terms that begin at or before `offset`, only the last stays. */
function dropTerms(context: WriteContext, tp: Uint8Array, offset: number): void {
  const scan = context.view.cursor(keys.termPrefix(tp))
  let previous: number | undefined
  for (scan.seekFirst(); scan.valid; scan.next()) {
    const key = scan.key()
    if (decodeTerm(key, scan.value()).startOffset > offset) break
    if (previous !== undefined) context.rows.delete(keys.term(tp, previous))
    previous = keyNumber(key)
  }
}

function clipState(context: WriteContext, tp: Uint8Array, offset: number): void {
  const key = keys.compaction(tp)
  if (context.view.get(key) === undefined) return
  const state = clipCompaction(compactionOf(context.view, tp), offset)
  if (state.cleaned.length > 0) {
    context.rows.put(keys.compaction(tp), encodeCompaction(scratch, state))
  } else {
    context.rows.delete(keys.compaction(tp))
  }
}
