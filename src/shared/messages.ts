/**
 * What main and a partition worker say to each other over their two rings. Little-endian, numbers
 * as varints unless said; in memory only, so there is no version. Every record begins with
 *
 *   u8 kind | varint domain | varint call
 *
 * `call` is main's number for the call, or 0 where nobody waits. Main's requests, by kind:
 *
 *   read      u8 read (reads/) | its arguments
 *   write     u8 has request id | [16 request id] | u8 write (writes/) | its arguments
 *   apply     a row batch (codec/row-batch.ts), committed: recovery and followers
 *   freeze    rotate the memtable if it has rows
 *   manifest  varint epoch | varint version | varint last sequence | varint last index |
 *             varint next table id | varint now | varint tables | table descriptions: make the
 *             next manifest
 *   install   a manifest, committed: make it the version, drop the memtables it covers
 *   recovered nothing: everything was applied
 *   stop      leave the loop
 *
 * The worker's responses; `sequence` is the domain's newest when it answered:
 *
 *   answer    varint sequence | answer: release it when `sequence` is visible
 *   proposal  varint sequence | blob answer | row batch: replicate it, then as above
 *   frozen    varint memtable id | varint last sequence | varint new memtable id: hand the first
 *             to the I/O pool once its rows are committed
 *   manifest  the next manifest's bytes
 *   done      nothing: a freeze, install or recovered was carried out
 *   failed    error: the worker cannot go on with this domain
 *
 * An answer is u8 0 and the call's own bytes, or u8 1 and an error.
 */
import type { ByteReader, ByteWriter } from '../codec/bytes.ts'
import { ERROR_CODES, MetastoreError } from '../codec/errors.ts'

export const REQUEST = {
  read: 1,
  write: 2,
  apply: 3,
  freeze: 4,
  manifest: 5,
  install: 6,
  recovered: 7,
  stop: 8,
} as const

export const RESPONSE = {
  answer: 1,
  proposal: 2,
  frozen: 3,
  manifest: 4,
  done: 5,
  failed: 6,
} as const

/**
 * What main posts to a worker's port, the one thing that rings cannot carry: memtables, the first
 * before any request of the domain. The worker looks when it needs one.
 */
export interface MemtableMessage {
  domain: number
  memtableId: number
  memory: SharedArrayBuffer
}

export function beginRecord(
  out: ByteWriter,
  kind: number,
  domain: number,
  call: number,
): ByteWriter {
  return out.reset().u8(kind).varint(domain).varint(call)
}

const ANSWER_OK = 0
const ANSWER_ERROR = 1

/** Appends an answer: what `write` appends, or the MetastoreError that it throws. */
export function putAnswer(out: ByteWriter, write: (out: ByteWriter) => void): void {
  const start = out.length
  try {
    out.u8(ANSWER_OK)
    write(out)
  } catch (error) {
    if (!(error instanceof MetastoreError)) throw error
    out.length = start
    putErrorAnswer(out, error)
  }
}

export function putErrorAnswer(out: ByteWriter, error: MetastoreError): void {
  out.u8(ANSWER_ERROR)
  putError(out, error)
}

/** Reads an answer: what `read` makes of it, or the error that the other side met. */
export function getAnswer<T>(
  reader: ByteReader,
  read: (reader: ByteReader) => T,
): T | MetastoreError {
  return reader.u8() === ANSWER_OK ? read(reader) : getError(reader)
}

/** u8 code | text message | text details as JSON, empty when there are none */
function putError(out: ByteWriter, error: MetastoreError): void {
  out.u8(ERROR_CODES.indexOf(error.code)).text(error.message)
  out.text(error.details === undefined ? '' : JSON.stringify(error.details))
}

export function getError(reader: ByteReader): MetastoreError {
  const code = ERROR_CODES[reader.u8()]
  const message = reader.text()
  const details = reader.text()
  return new MetastoreError(
    code,
    message,
    details === '' ? {} : { details: JSON.parse(details) as unknown },
  )
}
