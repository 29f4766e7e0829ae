/**
 * What replaceObjects and compactObjects share: a partition's extents over whole intervals of the
 * log give way to new ones over the same offsets.
 */
import { conflict } from '../../codec/errors.ts'
import { encodeExtent, OBJECT_STATE, type PartitionRow } from '../../codec/rows.ts'
import {
  describeTp,
  ExtentScan,
  findPartition,
  type StoredExtent,
} from '../../shared/reads/read.ts'
import type { ObjectPart } from '../../shared/writes/parts.ts'
import { ObjectChanges } from './object-changes.ts'
import { type PlacedExtent, placeExtents } from './placed-extents.ts'
import { keys, scratch, type WriteContext } from './write-context.ts'

export interface ReplacedPartition {
  tp: Uint8Array
  /** The row with its sizes brought up to date, not yet written. */
  row: PartitionRow
  /** Base of the request's first extent in this partition. */
  firstBaseOffset: number
}

/**
 * Appends the rows of the replacement to the batch, all but the partitions' own.
 * @throws CONFLICT when an object, epoch or interval does not fit the present state
 */
export function replaceExtents(
  context: WriteContext,
  partitions: readonly { tp: Uint8Array; epoch: number }[],
  objects: readonly ObjectPart[],
): ReplacedPartition[] {
  const changes = new ObjectChanges(context)
  for (const object of objects) changes.expectPreregistered(object.id)
  const kept = new Set<PlacedExtent['extent']>()
  const placed = placeExtents(objects, partitions.length)
  const replaced = partitions.map(({ tp, epoch }, place) => {
    const row = partitionAtEpoch(context, tp, epoch)
    return replaceInPartition(context, changes, { tp, row, extents: placed[place] }, kept)
  })
  if (kept.size === 0) {
    throw conflict('all extents of the request lie below the start of their logs')
  }
  for (const object of objects) changes.set(object.id, committedRow(context, object, kept))
  changes.write()
  return replaced
}

/** @throws CONFLICT */
export function partitionAtEpoch(
  context: WriteContext,
  tp: Uint8Array,
  epoch: number,
): PartitionRow {
  const row = findPartition(context.view, tp)
  if (row === undefined) throw conflict(`nothing is known of partition ${describeTp(tp)}`)
  if (row.compactionEpoch !== epoch) {
    throw conflict(`${describeTp(tp)} is at compaction epoch ${row.compactionEpoch}, not ${epoch}`)
  }
  return row
}

function replaceInPartition(
  context: WriteContext,
  changes: ObjectChanges,
  partition: { tp: Uint8Array; row: PartitionRow; extents: readonly PlacedExtent[] },
  kept: Set<PlacedExtent['extent']>,
): ReplacedPartition {
  const { tp, row, extents } = partition
  const { startOffset } = row
  const old: StoredExtent[] = []
  for (const interval of intervalsOf(extents)) {
    // Wholly below the start: stale, and nothing of it is in the log any more.
    if (interval.lastOffset >= startOffset) {
      old.push(...extentsToReplace(context, tp, startOffset, interval))
    }
  }
  let { sizeBytes, extentCount } = row
  const newBases = new Set<number>()
  for (const { extent, object } of extents) {
    if (extent.lastOffset < startOffset) continue
    kept.add(extent)
    newBases.add(extent.baseOffset)
    sizeBytes += extent.sizeBytes
    extentCount++
    context.rows.put(
      keys.extent(tp, extent.baseOffset),
      encodeExtent(scratch, { ...extent, objectId: object.id }),
    )
  }
  for (const extent of old) {
    sizeBytes -= extent.sizeBytes
    extentCount--
    changes.removeExtent(extent.objectId, extent.sizeBytes)
    // A new extent that begins there has overwritten the row.
    if (!newBases.has(extent.baseOffset)) context.rows.delete(keys.extent(tp, extent.baseOffset))
  }
  const firstBaseOffset = extents[0].extent.baseOffset
  return { tp, row: { ...row, sizeBytes, extentCount }, firstBaseOffset }
}

interface Interval {
  baseOffset: number
  lastOffset: number
}

/** Maximal contiguous runs of extents, which are in offset order. */
function intervalsOf(extents: readonly PlacedExtent[]): Interval[] {
  const intervals: Interval[] = []
  for (const { extent } of extents) {
    const last = intervals.at(-1)
    if (last !== undefined && last.lastOffset + 1 === extent.baseOffset) {
      last.lastOffset = extent.lastOffset
    } else {
      intervals.push({ baseOffset: extent.baseOffset, lastOffset: extent.lastOffset })
    }
  }
  return intervals
}

/** The existing extents that an interval replaces. @throws CONFLICT when it does not line up */
function extentsToReplace(
  context: WriteContext,
  tp: Uint8Array,
  startOffset: number,
  interval: Interval,
): StoredExtent[] {
  const { baseOffset, lastOffset } = interval
  const found: StoredExtent[] = []
  const scan = new ExtentScan(context.view, tp)
  // Across the start of the log the beginning is widened to the first extent there is.
  if (baseOffset < startOffset) scan.seekFirst()
  else if (!scan.seekExact(baseOffset)) {
    throw conflict(`no extent of ${describeTp(tp)} begins at ${baseOffset}`)
  }
  for (; scan.valid; scan.next()) {
    const extent = scan.extent()
    if (extent.lastOffset > lastOffset) break
    extent.objectId = extent.objectId.slice()
    found.push(extent)
    if (extent.lastOffset === lastOffset) return found
  }
  throw conflict(`no extent of ${describeTp(tp)} ends at ${lastOffset}`)
}

function committedRow(
  context: WriteContext,
  object: ObjectPart,
  kept: ReadonlySet<PlacedExtent['extent']>,
): Parameters<ObjectChanges['set']>[1] {
  let totalDataBytes = 0
  let removedDataBytes = 0
  let liveExtents = 0
  for (const extent of object.extents) {
    totalDataBytes += extent.sizeBytes
    if (kept.has(extent)) liveExtents++
    else removedDataBytes += extent.sizeBytes
  }
  return {
    state: OBJECT_STATE.committed,
    footerPosition: object.footerPosition,
    sizeBytes: object.sizeBytes,
    totalDataBytes,
    removedDataBytes,
    liveExtents,
    updatedAt: context.now,
    // Only addObjects knows its objects again; this matches no content.
    contentHash: [0, 0],
    corrections: [],
  }
}
