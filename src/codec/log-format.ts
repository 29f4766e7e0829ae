/**
 * The records of the log on disk (docs/log-format.md): constants, encoder and decoder, shared by
 * the writer and the reader. A record is a 40-byte header, its payload, and zeros up to the next
 * multiple of 8; every number is little-endian:
 *
 *   0 u32 payload length      12 u32 group           24 u64 term
 *   4 u32 crc32 of [8, end)   16 u32 append start    32 u64 index
 *   8 u8 type, u8 kind, u16 0 20 u32 0               40 payload
 */
import { crc32 } from 'node:zlib'
import { getU32, getU64, putU32, putU64 } from './bytes.ts'
import { corruption } from './errors.ts'

export const LOG_FORMAT_VERSION = 1
export const LOG_RECORD_HEADER_BYTES = 40
export const LOG_PAYLOAD_BYTES_MAX = 33554432
export const LOG_ALIGNMENT_BYTES = 8

export const LOG_SEGMENT_HEADER = 1
export const LOG_ENTRY = 2
export const LOG_HARD_STATE = 3
export const LOG_CUT = 4

/** Kinds of a cut: the entries after its index stay, or go as well. */
export const LOG_CUT_KEEPS_SUFFIX = 0
export const LOG_CUT_DROPS_SUFFIX = 1

/** 'WMLG' read as a little-endian u32. */
const MAGIC = 0x474c4d57
const SEGMENT_HEADER_FIXED_BYTES = 32
const GROUP_STATE_BYTES = 40
const HARD_STATE_BYTES = 8
/** The most that the upper half of a safe integer holds. */
const HIGH_HALF_MAX = 0x1fffff
const SEGMENT_NAME = /^(\d{20})\.log$/

/** A decoded record; the decoder fills one that the caller keeps. */
export interface LogRecord {
  type: number
  kind: number
  group: number
  /** Bytes of the segment before this offset were on disk when the record was written. */
  appendStart: number
  term: number
  index: number
  /** Where the payload begins in the bytes that were decoded. */
  payloadStart: number
  payloadBytes: number
}

/** What a segment knows of a group when it begins. */
export interface LogGroupState {
  group: number
  term: number
  /** The member voted for in `term`; 0: none. */
  vote: number
  cutIndex: number
  cutTerm: number
}

export interface LogSegmentHeader {
  sequence: number
  /** Where the records of the segment before this one end; 0 in the first segment of a log. */
  previousEnd: number
  /** The size that the file had, on disk, before this header was written. */
  sizeBytesMin: number
  groups: LogGroupState[]
}

export function emptyLogRecord(): LogRecord {
  return {
    type: 0,
    kind: 0,
    group: 0,
    appendStart: 0,
    term: 0,
    index: 0,
    payloadStart: 0,
    payloadBytes: 0,
  }
}

/** Bytes that a record takes in a segment, padding included. */
export function logRecordBytes(payloadBytes: number): number {
  return (LOG_RECORD_HEADER_BYTES + payloadBytes + 7) & ~7
}

/** Writes a record at `at`; the caller has made room for logRecordBytes(payload.length). */
export function encodeLogRecord(
  into: Uint8Array,
  at: number,
  type: number,
  kind: number,
  group: number,
  appendStart: number,
  term: number,
  index: number,
  payload: Uint8Array,
): void {
  const payloadStart = at + LOG_RECORD_HEADER_BYTES
  const end = payloadStart + payload.length
  putU32(into, at, payload.length)
  putU32(into, at + 8, type | (kind << 8))
  putU32(into, at + 12, group)
  putU32(into, at + 16, appendStart)
  putU32(into, at + 20, 0)
  putU64(into, at + 24, term)
  putU64(into, at + 32, index)
  into.set(payload, payloadStart)
  putU32(into, at + 4, crc32(into.subarray(at + 8, end)))
  for (let pad = end; (pad - at) % LOG_ALIGNMENT_BYTES !== 0; pad++) into[pad] = 0
}

/**
 * Decodes the record at `at` into `record`.
 * @returns its size with padding, which may reach past `end`; 0 when there is no valid record.
 */
export function decodeLogRecord(
  bytes: Uint8Array,
  at: number,
  end: number,
  record: LogRecord,
): number {
  if (end - at < LOG_RECORD_HEADER_BYTES) return 0
  const type = bytes[at + 8]
  if (type < LOG_SEGMENT_HEADER || type > LOG_CUT) return 0
  if (bytes[at + 10] !== 0 || bytes[at + 11] !== 0 || getU32(bytes, at + 20) !== 0) return 0
  const payloadBytes = getU32(bytes, at)
  const payloadStart = at + LOG_RECORD_HEADER_BYTES
  // The length is bounded before anything trusts it; the checksum does not cover it, but a wrong
  // length moves the end of what the checksum covers.
  if (payloadBytes > LOG_PAYLOAD_BYTES_MAX || payloadBytes > end - payloadStart) return 0
  if (type === LOG_HARD_STATE && payloadBytes !== HARD_STATE_BYTES) return 0
  if (getU32(bytes, at + 28) > HIGH_HALF_MAX || getU32(bytes, at + 36) > HIGH_HALF_MAX) return 0
  if (crc32(bytes.subarray(at + 8, payloadStart + payloadBytes)) !== getU32(bytes, at + 4)) return 0
  record.type = type
  record.kind = bytes[at + 9]
  record.group = getU32(bytes, at + 12)
  record.appendStart = getU32(bytes, at + 16)
  record.term = getU64(bytes, at + 24)
  record.index = getU64(bytes, at + 32)
  record.payloadStart = payloadStart
  record.payloadBytes = payloadBytes
  return logRecordBytes(payloadBytes)
}

/** The payload of a hard state record: the vote; the term is the record's own. */
export function encodeVote(vote: number): Uint8Array {
  const payload = new Uint8Array(HARD_STATE_BYTES)
  putU64(payload, 0, vote)
  return payload
}

export function decodeVote(bytes: Uint8Array, record: LogRecord): number {
  return getU64(bytes, record.payloadStart)
}

/** Bytes of the segment header record for `groupCount` groups. */
export function segmentHeaderBytes(groupCount: number): number {
  return logRecordBytes(SEGMENT_HEADER_FIXED_BYTES + groupCount * GROUP_STATE_BYTES)
}

/** The whole segment header record. */
export function encodeSegmentHeader(header: LogSegmentHeader): Uint8Array {
  const { groups } = header
  const payload = new Uint8Array(SEGMENT_HEADER_FIXED_BYTES + groups.length * GROUP_STATE_BYTES)
  putU32(payload, 0, MAGIC)
  putU32(payload, 4, LOG_FORMAT_VERSION)
  putU64(payload, 8, header.sequence)
  putU32(payload, 16, header.previousEnd)
  putU32(payload, 20, header.sizeBytesMin)
  putU32(payload, 24, groups.length)
  let at = SEGMENT_HEADER_FIXED_BYTES
  for (const state of groups) {
    putU32(payload, at, state.group)
    putU64(payload, at + 8, state.term)
    putU64(payload, at + 16, state.vote)
    putU64(payload, at + 24, state.cutIndex)
    putU64(payload, at + 32, state.cutTerm)
    at += GROUP_STATE_BYTES
  }
  const record = new Uint8Array(logRecordBytes(payload.length))
  encodeLogRecord(record, 0, LOG_SEGMENT_HEADER, 0, 0, 0, 0, 0, payload)
  return record
}

/** @throws CORRUPTION naming `file` when the payload is not a header this version reads. */
export function decodeSegmentHeader(
  bytes: Uint8Array,
  record: LogRecord,
  file: string,
): LogSegmentHeader {
  const start = record.payloadStart
  const bad = (what: string) => corruption(`${file}: ${what}`, { file, offset: 0 })
  if (record.payloadBytes < SEGMENT_HEADER_FIXED_BYTES || getU32(bytes, start) !== MAGIC) {
    throw bad('the first record is no header of a log segment')
  }
  const version = getU32(bytes, start + 4)
  if (version !== LOG_FORMAT_VERSION) {
    throw bad(`log format version ${version} where ${LOG_FORMAT_VERSION} is read`)
  }
  const groupCount = getU32(bytes, start + 24)
  if (record.payloadBytes !== SEGMENT_HEADER_FIXED_BYTES + groupCount * GROUP_STATE_BYTES) {
    throw bad(`the header's length does not fit its ${groupCount} groups`)
  }
  const groups: LogGroupState[] = []
  for (let i = 0; i < groupCount; i++) {
    const at = start + SEGMENT_HEADER_FIXED_BYTES + i * GROUP_STATE_BYTES
    groups.push({
      group: getU32(bytes, at),
      term: getU64(bytes, at + 8),
      vote: getU64(bytes, at + 16),
      cutIndex: getU64(bytes, at + 24),
      cutTerm: getU64(bytes, at + 32),
    })
  }
  return {
    sequence: getU64(bytes, start + 8),
    previousEnd: getU32(bytes, start + 16),
    sizeBytesMin: getU32(bytes, start + 20),
    groups,
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
