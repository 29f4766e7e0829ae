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

export const LOG_RECORD_HEADER_BYTES = 40
export const LOG_PAYLOAD_BYTES_MAX = 33554432
export const LOG_ALIGNMENT_BYTES = 8
/** Bytes of a group's configuration; and none has no bytes. */
export const LOG_CONFIGURATION_BYTES_MAX = 8388608

export const LOG_SEGMENT_HEADER = 1
export const LOG_ENTRY = 2
export const LOG_HARD_STATE = 3
export const LOG_CUT = 4
export const LOG_CONFIGURATION = 5

/** Kinds of a cut: the entries after its index stay, or go as well. */
export const LOG_CUT_KEEPS_SUFFIX = 0
export const LOG_CUT_DROPS_SUFFIX = 1

const HARD_STATE_BYTES = 8
/** The most that the upper half of a safe integer holds. */
const HIGH_HALF_MAX = 0x1fffff

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
  if (type < LOG_SEGMENT_HEADER || type > LOG_CONFIGURATION) return 0
  if (bytes[at + 10] !== 0 || bytes[at + 11] !== 0 || getU32(bytes, at + 20) !== 0) return 0
  const payloadBytes = getU32(bytes, at)
  const payloadStart = at + LOG_RECORD_HEADER_BYTES
  // The length is bounded before anything trusts it; the checksum does not cover it, but a wrong
  // length moves the end of what the checksum covers.
  if (payloadBytes > LOG_PAYLOAD_BYTES_MAX || payloadBytes > end - payloadStart) return 0
  if (type === LOG_HARD_STATE && payloadBytes !== HARD_STATE_BYTES) return 0
  if (type === LOG_CONFIGURATION && !isConfigurationLength(payloadBytes)) return 0
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

/** Whether a configuration may have this many bytes. */
export function isConfigurationLength(bytes: number): boolean {
  return bytes > 0 && bytes <= LOG_CONFIGURATION_BYTES_MAX
}
