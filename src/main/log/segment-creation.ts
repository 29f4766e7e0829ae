/**
 * How a segment comes into being: its header when its first record is appended, a file of zeros
 * under another name, and at last that file under the segment's name. Each step may be repeated.
 */
import {
  encodeSegmentHeader,
  type LogGroupState,
  segmentHeaderBytes,
} from '../../codec/segment-header.ts'
import type { LogFile, LogFiles } from './log-files.ts'
import { Segment } from './segment.ts'
import { settled, writeZeros } from './zero-fill.ts'

const FIRST_CHUNK_BYTES = 1048576

/** A file that is to become a segment: nothing but zeros, not synced. */
export interface BlankFile {
  readonly file: LogFile
  /** Its name until then; recovery ignores it. */
  readonly name: string
  readonly sizeBytes: number
}

/** A segment without a file. `groups` is the state after all records before it. */
export function newSegment(
  sequence: number,
  previousEnd: number,
  groups: readonly LogGroupState[],
  segmentBytesMax: number,
): Segment {
  const segment = new Segment(sequence)
  const headerBytes = segmentHeaderBytes(groups)
  const sizeBytesMin = Math.max(headerBytes, firstChunkBytes(segmentBytesMax))
  segment.header = encodeSegmentHeader({ sequence, previousEnd, sizeBytesMin, groups })
  segment.headerBytes = headerBytes
  segment.end = headerBytes
  segment.syncedEnd = headerBytes
  segment.allocatedBytes = sizeBytesMin
  segment.targetBytes = sizeBytesMin
  return segment
}

/** Makes the file that the segment `name` can be created from. */
export async function createBlankFile(
  files: LogFiles,
  segmentName: string,
  segmentBytesMax: number,
): Promise<BlankFile> {
  const name = `${segmentName}.new`
  const file = await files.open(name)
  try {
    // A crash, or an attempt that found no room, may have left more than the first chunk.
    const sizeBytes = Math.max(file.sizeBytes, firstChunkBytes(segmentBytesMax))
    await settled(done => writeZeros(file, 0, sizeBytes, done))
    return { file, name, sizeBytes }
  } catch (error) {
    await file.close().catch(() => undefined)
    throw error
  }
}

/**
 * The file gets the segment's name only when its first chunk, with the header, is on disk: whatever
 * crash comes, a file of that name has a header and at least that size.
 */
export async function createSegment(
  files: LogFiles,
  segment: Segment,
  blank: BlankFile,
): Promise<void> {
  const { file, name, sizeBytes } = blank
  const { header, allocatedBytes } = segment
  if (header === null) throw new Error(`${segment.name} has no header`)
  // The header of very many groups may be longer than the first chunk.
  await settled(done => writeZeros(file, sizeBytes, allocatedBytes, done))
  await settled(done => file.write(header, header.length, 0, done))
  await neverRepeated(settled(done => file.sync(done)))
  await files.rename(name, segment.name)
  await neverRepeated(files.syncDirectory())
  segment.allocatedBytes = Math.max(sizeBytes, allocatedBytes)
  segment.targetBytes = segment.allocatedBytes
  segment.header = null
  segment.file = file
}

/** Whether the disk, or what this user may have of it, has no room left. */
export function isDiskFull(error: Error): boolean {
  return 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')
}

/** A failed sync is no lack of room that could pass: what it did not write is forgotten. */
export async function neverRepeated(sync: Promise<void>): Promise<void> {
  try {
    await sync
  } catch (cause) {
    throw new Error(`a sync failed: ${String(cause)}`, { cause })
  }
}

function firstChunkBytes(segmentBytesMax: number): number {
  return Math.min(FIRST_CHUNK_BYTES, segmentBytesMax)
}
