/** getCompactionInfo and getLevelingInfo: what a cleaner or a leveller should work on next. */
import type { ByteReader, ByteWriter } from '../../codec/bytes.ts'
import type { MetastoreError } from '../../codec/errors.ts'
import { type CompactionRow, decodeCompaction, type PartitionRow } from '../../codec/rows.ts'
import type { CompactionInfo, LevelingInfo, OffsetRange } from '../api.ts'
import { getAnswer, putAnswer } from '../messages.ts'
import { covers, mergeAdjacent, subtractRanges } from '../offset-ranges.ts'
import type { ReadView } from '../read-view.ts'
import { ExtentScan, getTp, partitionOf, type Read, readKeys } from './read.ts'

export function compactionOf(view: ReadView, tp: Uint8Array): CompactionRow {
  const key = readKeys.compaction(tp)
  const value = view.get(key)
  return value === undefined ? { cleaned: [], tombstones: [] } : decodeCompaction(key, value)
}

function putRanges(out: ByteWriter, ranges: readonly OffsetRange[]): void {
  out.varint(ranges.length)
  for (const range of ranges) out.varint(range.baseOffset).varint(range.lastOffset)
}

function getRanges(reader: ByteReader): OffsetRange[] {
  const count = reader.varint()
  return Array.from({ length: count }, () => ({
    baseOffset: reader.varint(),
    lastOffset: reader.varint(),
  }))
}

/**
 * varint count | (20 topic partition | varint bound) each -> an answer each:
 * dirty ranges | removable ranges | varint dirty bytes | varint all bytes |
 * u8 has earliest | [varint earliest] | varint epoch | varint start
 */
export const getCompactionInfo: Read<
  { tp: Uint8Array; tombstoneRemovalBound: number }[],
  (CompactionInfo | MetastoreError)[]
> = {
  encode(out, specs) {
    out.varint(specs.length)
    for (const spec of specs) out.raw(spec.tp).varint(spec.tombstoneRemovalBound)
  },
  answer(view, reader, out) {
    const count = reader.varint()
    for (let i = 0; i < count; i++) {
      const tp = getTp(reader)
      const bound = reader.varint()
      putAnswer(out, answer => putCompactionInfo(view, tp, bound, answer))
    }
  },
  decode(reader) {
    const results: (CompactionInfo | MetastoreError)[] = []
    while (reader.remaining > 0) results.push(getAnswer(reader, readCompactionInfo))
    return results
  },
}

function putCompactionInfo(view: ReadView, tp: Uint8Array, bound: number, out: ByteWriter): void {
  const partition = partitionOf(view, tp)
  const { cleaned, tombstones } = compactionOf(view, tp)
  const log = { baseOffset: partition.startOffset, lastOffset: partition.nextOffset - 1 }
  putRanges(out, log.baseOffset <= log.lastOffset ? subtractRanges(log, cleaned) : [])
  putRanges(out, mergeAdjacent(tombstones.filter(range => range.cleanedAt <= bound)))
  const dirty = measureDirt(view, tp, partition, cleaned)
  out.varint(dirty.sizeBytes).varint(partition.sizeBytes)
  if (dirty.earliestTimestamp === null) out.u8(0)
  else out.u8(1).varint(dirty.earliestTimestamp)
  out.varint(partition.compactionEpoch).varint(partition.startOffset)
}

function readCompactionInfo(reader: ByteReader): CompactionInfo {
  const dirtyRanges = getRanges(reader)
  const removableTombstoneRanges = getRanges(reader)
  const dirtyBytes = reader.varint()
  const allBytes = reader.varint()
  const earliest = reader.u8() === 0 ? null : reader.varint()
  return {
    dirtyRanges,
    removableTombstoneRanges,
    dirtyRatio: allBytes === 0 ? 0 : dirtyBytes / allBytes,
    earliestDirtyTimestamp: earliest,
    epoch: reader.varint(),
    startOffset: reader.varint(),
  }
}

/** The extents not wholly inside one cleaned range; one across the start is judged from there. */
function measureDirt(
  view: ReadView,
  tp: Uint8Array,
  partition: PartitionRow,
  cleaned: readonly OffsetRange[],
): { sizeBytes: number; earliestTimestamp: number | null } {
  let sizeBytes = 0
  let earliestTimestamp: number | null = null
  const scan = new ExtentScan(view, tp)
  for (scan.seekFirst(); scan.valid; scan.next()) {
    const extent = scan.extent()
    const from = Math.max(extent.baseOffset, partition.startOffset)
    if (covers(cleaned, from, extent.lastOffset)) continue
    sizeBytes += extent.sizeBytes
    if (earliestTimestamp === null || extent.maxTimestamp < earliestTimestamp) {
      earliestTimestamp = extent.maxTimestamp
    }
  }
  return { sizeBytes, earliestTimestamp }
}

export interface LevelingSpec {
  tp: Uint8Array
  minExtentBytes: number
  maxRangeBytes: number
}

/**
 * varint count | (20 topic partition | varint least | varint most) each -> an answer each:
 * varint ranges | (varint base | varint last | varint bytes | varint extents) each | varint epoch
 */
export const getLevelingInfo: Read<LevelingSpec[], (LevelingInfo | MetastoreError)[]> = {
  encode(out, specs) {
    out.varint(specs.length)
    for (const spec of specs) {
      out.raw(spec.tp).varint(spec.minExtentBytes).varint(spec.maxRangeBytes)
    }
  },
  answer(view, reader, out) {
    const count = reader.varint()
    for (let i = 0; i < count; i++) {
      const spec = {
        tp: getTp(reader),
        minExtentBytes: reader.varint(),
        maxRangeBytes: reader.varint(),
      }
      putAnswer(out, answer => putLevelingInfo(view, spec, answer))
    }
  },
  decode(reader) {
    const results: (LevelingInfo | MetastoreError)[] = []
    while (reader.remaining > 0) results.push(getAnswer(reader, readLevelingInfo))
    return results
  },
}

function putLevelingInfo(view: ReadView, spec: LevelingSpec, out: ByteWriter): void {
  const partition = partitionOf(view, spec.tp)
  const ranges = smallRuns(view, spec, partition.startOffset)
  out.varint(ranges.length)
  for (const range of ranges) {
    out.varint(range.baseOffset).varint(range.lastOffset)
    out.varint(range.sizeBytes).varint(range.extentCount)
  }
  out.varint(partition.compactionEpoch)
}

/** Runs of neighbouring extents below the minimum that are worth rewriting as one. */
function smallRuns(
  view: ReadView,
  spec: LevelingSpec,
  startOffset: number,
): LevelingInfo['ranges'] {
  const runs: LevelingInfo['ranges'] = []
  let run: LevelingInfo['ranges'][number] | undefined
  const close = (): void => {
    if (run !== undefined && run.extentCount >= 2) runs.push(run)
    run = undefined
  }
  const scan = new ExtentScan(view, spec.tp)
  for (scan.seekFirst(); scan.valid; scan.next()) {
    const extent = scan.extent()
    if (extent.sizeBytes >= spec.minExtentBytes) {
      close()
      continue
    }
    run ??= {
      baseOffset: Math.max(extent.baseOffset, startOffset),
      lastOffset: extent.lastOffset,
      sizeBytes: 0,
      extentCount: 0,
    }
    run.lastOffset = extent.lastOffset
    run.sizeBytes += extent.sizeBytes
    run.extentCount++
    if (run.sizeBytes >= spec.maxRangeBytes) close()
  }
  // At the end of the log a run may still grow: it waits until it is worth an extent.
  if (run !== undefined && run.sizeBytes >= spec.minExtentBytes) close()
  return runs
}

function readLevelingInfo(reader: ByteReader): LevelingInfo {
  const count = reader.varint()
  const ranges = Array.from({ length: count }, () => ({
    baseOffset: reader.varint(),
    lastOffset: reader.varint(),
    sizeBytes: reader.varint(),
    extentCount: reader.varint(),
  }))
  return { ranges, epoch: reader.varint() }
}
