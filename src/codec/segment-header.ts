/**
 * The first record of a segment of the log (docs/log-format.md): what the segment is, and the state
 * of every group when it began, so that this state outlives the segments it was written to.
 *
 *   0 'WMLG'          16 u32 end of the segment before   24 u32 number of groups
 *   4 u32 version     20 u32 least size of the file      28 u32 0
 *   8 u64 sequence                                       32 groups
 *
 * A group, in version 2 (version 1 had the first 40 bytes, and 0 at 4):
 *
 *   0 u32 group                       8 u64 term    24 u64 cut index   40 u64 configuration index
 *   4 u32 configuration length, or 0  16 u64 vote   32 u64 cut term    48 configuration, zeros to 8
 */
import { getU32, getU64, putU32, putU64 } from './bytes.ts'
import { corruption, type MetastoreError } from './errors.ts'
import {
  encodeLogRecord,
  LOG_CONFIGURATION_BYTES_MAX,
  LOG_SEGMENT_HEADER,
  type LogRecord,
  logRecordBytes,
} from './log-format.ts'

/** Version of the segments that are written. */
export const LOG_FORMAT_VERSION = 2
/** Oldest version that is read: segments without configurations. */
const FORMAT_VERSION_MIN = 1

/** 'WMLG' read as a little-endian u32. */
const MAGIC = 0x474c4d57
const FIXED_BYTES = 32
const GROUP_BYTES = 48
const GROUP_BYTES_V1 = 40
const SEGMENT_NAME = /^(\d{20})\.log$/

/** A group's Raft configuration; what the bytes mean is the caller's. */
export interface LogConfiguration {
  /** It holds from this index on. */
  readonly index: number
  /** 1 to LOG_CONFIGURATION_BYTES_MAX bytes, which nobody changes. */
  readonly bytes: Uint8Array
}

/** What a segment knows of a group when it begins. */
export interface LogGroupState {
  group: number
  term: number
  /** The member voted for in `term`; 0: none. */
  vote: number
  cutIndex: number
  cutTerm: number
  /** The last one written. */
  configuration: LogConfiguration | undefined
}

export interface LogSegmentHeader {
  sequence: number
  /** Where the records of the segment before this one end; 0 in the first segment of a log. */
  previousEnd: number
  /** The size that the file had, on disk, before this header was written. */
  sizeBytesMin: number
  groups: readonly LogGroupState[]
}

export interface DecodedSegmentHeader extends LogSegmentHeader {
  version: number
}

/** Bytes of the segment header record for these groups. */
export function segmentHeaderBytes(groups: readonly LogGroupState[]): number {
  return logRecordBytes(payloadBytesOf(groups))
}

/** The whole segment header record, of LOG_FORMAT_VERSION. */
export function encodeSegmentHeader(header: LogSegmentHeader): Uint8Array {
  const { groups } = header
  const payload = new Uint8Array(payloadBytesOf(groups))
  putU32(payload, 0, MAGIC)
  putU32(payload, 4, LOG_FORMAT_VERSION)
  putU64(payload, 8, header.sequence)
  putU32(payload, 16, header.previousEnd)
  putU32(payload, 20, header.sizeBytesMin)
  putU32(payload, 24, groups.length)
  let at = FIXED_BYTES
  for (const state of groups) {
    const { configuration } = state
    putU32(payload, at, state.group)
    putU32(payload, at + 4, configuration?.bytes.length ?? 0)
    putU64(payload, at + 8, state.term)
    putU64(payload, at + 16, state.vote)
    putU64(payload, at + 24, state.cutIndex)
    putU64(payload, at + 32, state.cutTerm)
    putU64(payload, at + 40, configuration?.index ?? 0)
    if (configuration !== undefined) payload.set(configuration.bytes, at + GROUP_BYTES)
    at += groupBytesOf(configuration?.bytes.length ?? 0)
  }
  const record = new Uint8Array(logRecordBytes(payload.length))
  encodeLogRecord(record, 0, LOG_SEGMENT_HEADER, 0, 0, 0, 0, 0, payload)
  return record
}

/** @throws CORRUPTION naming `file` when the payload is not a header of a version that is read. */
export function decodeSegmentHeader(
  bytes: Uint8Array,
  record: LogRecord,
  file: string,
): DecodedSegmentHeader {
  const start = record.payloadStart
  if (record.payloadBytes < FIXED_BYTES || getU32(bytes, start) !== MAGIC) {
    throw bad(file, 'the first record is no header of a log segment')
  }
  const version = getU32(bytes, start + 4)
  if (version < FORMAT_VERSION_MIN || version > LOG_FORMAT_VERSION) {
    const range = `${FORMAT_VERSION_MIN} to ${LOG_FORMAT_VERSION}`
    throw bad(file, `log format version ${version} where ${range} are read`)
  }
  return {
    version,
    sequence: numberAt(bytes, start + 8, file),
    previousEnd: getU32(bytes, start + 16),
    sizeBytesMin: getU32(bytes, start + 20),
    groups: decodeGroups(bytes, record, version, file),
  }
}

export function segmentName(sequence: number): string {
  return `${String(sequence).padStart(20, '0')}.log`
}

/** The sequence in a segment's file name; null for any other file. */
export function parseSegmentName(name: string): number | null {
  const match = SEGMENT_NAME.exec(name)
  return match === null ? null : Number(match[1])
}

function decodeGroups(
  bytes: Uint8Array,
  record: LogRecord,
  version: number,
  file: string,
): LogGroupState[] {
  const { payloadStart, payloadBytes } = record
  const end = payloadStart + payloadBytes
  const groupCount = getU32(bytes, payloadStart + 24)
  const misfit = () => bad(file, `the header's length does not fit its ${groupCount} groups`)
  const groups: LogGroupState[] = []
  let at = payloadStart + FIXED_BYTES
  for (let i = 0; i < groupCount; i++) {
    if (end - at < (version === 1 ? GROUP_BYTES_V1 : GROUP_BYTES)) throw misfit()
    const configurationBytes = getU32(bytes, at + 4)
    const sizeBytes = version === 1 ? GROUP_BYTES_V1 : groupBytesOf(configurationBytes)
    if (configurationBytes > (version === 1 ? 0 : LOG_CONFIGURATION_BYTES_MAX)) {
      const group = getU32(bytes, at)
      throw bad(file, `the configuration of group ${group} has ${configurationBytes} bytes`)
    }
    if (end - at < sizeBytes) throw misfit()
    groups.push(decodeGroup(bytes, at, configurationBytes, file))
    at += sizeBytes
  }
  if (at !== end) throw misfit()
  return groups
}

function decodeGroup(
  bytes: Uint8Array,
  at: number,
  configurationBytes: number,
  file: string,
): LogGroupState {
  const start = at + GROUP_BYTES
  const configuration = {
    index: configurationBytes === 0 ? 0 : numberAt(bytes, at + 40, file),
    bytes: bytes.slice(start, start + configurationBytes),
  }
  return {
    group: getU32(bytes, at),
    term: numberAt(bytes, at + 8, file),
    vote: numberAt(bytes, at + 16, file),
    cutIndex: numberAt(bytes, at + 24, file),
    cutTerm: numberAt(bytes, at + 32, file),
    configuration: configurationBytes === 0 ? undefined : configuration,
  }
}

function numberAt(bytes: Uint8Array, at: number, file: string): number {
  const value = getU64(bytes, at)
  if (value > Number.MAX_SAFE_INTEGER) throw bad(file, `the header has a number past 2^53 at ${at}`)
  return value
}

function payloadBytesOf(groups: readonly LogGroupState[]): number {
  let sum = FIXED_BYTES
  for (const { configuration } of groups) sum += groupBytesOf(configuration?.bytes.length ?? 0)
  return sum
}

function groupBytesOf(configurationBytes: number): number {
  return GROUP_BYTES + ((configurationBytes + 7) & ~7)
}

function bad(file: string, what: string): MetastoreError {
  return corruption(`${file}: ${what}`, { file, offset: 0 })
}
