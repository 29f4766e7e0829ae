/**
 * Opens the segments of a log: reads them in order, tells a torn tail from CORRUPTION, and cuts
 * the tail. The rules and the reasons for them are in docs/log-format.md, "Recovery".
 */
import { corruption } from '../../codec/errors.ts'
import { LOG_SEGMENT_HEADER, type LogRecord } from '../../codec/log-format.ts'
import {
  decodeSegmentHeader,
  type LogSegmentHeader,
  parseSegmentName,
  segmentName,
} from '../../codec/segment-header.ts'
import type { LogFiles } from './log-files.ts'
import { Segment, type SegmentTable } from './segment.ts'
import { type SegmentScan, scanSegment } from './segment-reader.ts'
import { settled, writeZeros } from './zero-fill.ts'

/** The part of a pino logger that the log uses. */
export interface LogLogger {
  info(details: object, message: string): void
  warn(details: object, message: string): void
}

export interface RecoveryVisitor {
  /** The oldest segment's header, before any record. */
  base(header: LogSegmentHeader): void
  /** Each record in log order; `record` and `bytes` are borrowed for the call. */
  record(segment: Segment, record: LogRecord, offset: number, bytes: Uint8Array): void
}

interface ReadSegment {
  segment: Segment
  scan: SegmentScan
}

/**
 * Fills `segments`, with open files, also when it fails. Everything that was read is on disk when
 * this resolves.
 * @throws CORRUPTION with details {file, offset}.
 */
export async function recoverSegments(
  files: LogFiles,
  segments: SegmentTable,
  visitor: RecoveryVisitor,
  logger: LogLogger | undefined,
): Promise<void> {
  const sequences = contiguousSequences(await files.list())
  let previous: ReadSegment | null = null
  let buffer: Uint8Array = new Uint8Array(0)
  for (const sequence of sequences) {
    const segment = new Segment(sequence)
    segment.file = await files.open(segment.name)
    segments.add(segment)
    const { sizeBytes } = segment.file
    if (buffer.length < sizeBytes) buffer = new Uint8Array(sizeBytes)
    const bytes = buffer.subarray(0, sizeBytes)
    const length = await segment.file.read(bytes, 0)
    previous = readSegment(segment, bytes.subarray(0, length), previous, visitor)
  }
  if (previous !== null) await cutTornTail(previous, logger)
  // The same holds for names: a process may have died between a rename and the directory's sync.
  await files.syncDirectory()
}

/** @throws CORRUPTION when a segment between two others is missing. */
function contiguousSequences(names: readonly string[]): number[] {
  const sequences = names.map(parseSegmentName).filter(sequence => sequence !== null)
  sequences.sort((a, b) => a - b)
  for (let i = 1; i < sequences.length; i++) {
    if (sequences[i] === sequences[i - 1] + 1) continue
    const file = segmentName(sequences[i - 1] + 1)
    throw corruption(`${file}: the log segment is missing`, { file, offset: 0 })
  }
  return sequences
}

function readSegment(
  segment: Segment,
  bytes: Uint8Array,
  previous: ReadSegment | null,
  visitor: RecoveryVisitor,
): ReadSegment {
  let hasHeader = false
  const scan = scanSegment(bytes, (record, offset, sizeBytes) => {
    if (record.type !== LOG_SEGMENT_HEADER) {
      visitor.record(segment, record, offset, bytes)
      return
    }
    const decoded = decodeSegmentHeader(bytes, record, segment.name)
    checkHeader(decoded, segment, bytes.length)
    // A segment begins after all before it was synced, and says where that ended.
    if (previous !== null && previous.scan.end !== decoded.previousEnd) throw badRecord(previous)
    hasHeader = true
    segment.formatVersion = decoded.version
    segment.headerBytes = sizeBytes
    if (previous === null) visitor.base(decoded)
  })
  // A segment gets its name after its header was synced, so a crash leaves none without one.
  if (!hasHeader) {
    const file = segment.name
    throw corruption(`${file}: the segment has no valid header`, { file, offset: 0 })
  }
  segment.end = scan.end
  segment.recoveredEnd = scan.end
  segment.syncedEnd = scan.end
  // What is ahead may have holes: of zeros that were not synced, any may be lost.
  segment.allocatedBytes = scan.end
  segment.targetBytes = bytes.length
  return { segment, scan }
}

function checkHeader(header: LogSegmentHeader, segment: Segment, sizeBytes: number): void {
  const file = segment.name
  if (header.sequence !== segment.sequence) {
    throw corruption(`${file}: the header is that of segment ${header.sequence}`, {
      file,
      offset: 0,
    })
  }
  // The file had this size on disk before the header was written, so it was cut short since.
  if (sizeBytes < header.sizeBytesMin) {
    throw corruption(`${file}: ${sizeBytes} bytes long, at least ${header.sizeBytesMin} expected`, {
      file,
      offset: sizeBytes,
    })
  }
}

function badRecord(read: ReadSegment): Error {
  const file = read.segment.name
  const offset = read.scan.end
  return corruption(`${file}: bad record at ${offset}, and valid ones came after it`, {
    file,
    offset,
  })
}

async function cutTornTail(newest: ReadSegment, logger: LogLogger | undefined): Promise<void> {
  const { segment, scan } = newest
  const { file } = segment
  if (file === null) return
  if (scan.laterAppendStartMax > scan.end) throw badRecord(newest)
  if (scan.contentEnd > scan.end) {
    await settled(done => writeZeros(file, scan.end, scan.contentEnd, done))
    const details = { file: segment.name, offset: scan.end, sizeBytes: scan.contentEnd - scan.end }
    logger?.warn(details, 'cut a torn tail off the log')
  }
  // After a mere process crash the tail was read from the page cache: it counts only once synced.
  await settled(done => file.sync(done))
}
