/**
 * What main and a partition worker say to each other over their two rings. Little-endian, numbers
 * as varints unless said; in memory only, so there is no version. Every record begins with
 *
 *   u8 kind | varint domain | varint call
 *
 * `call` is main's number for the call, or 0 where nobody waits. Main's requests, by kind:
 *
 *   read      varint 1 + sequence of a snapshot, 0 for the newest | u8 read (reads/) | its
 *             arguments
 *   write     u8 has request id | [16 request id] | u8 write (writes/) | its arguments
 *   apply     a row batch (codec/row-batch.ts), committed: recovery and followers
 *   freeze    rotate the memtable if it has rows
 *   manifest  varint epoch | varint version | varint next table id | varint now | u8 edit |
 *             [flush: varint last sequence | varint last index] | varint tables | table
 *             descriptions: make the next manifest
 *   install   a manifest, committed: make it the version, drop the memtables it covers
 *   recovered nothing: everything was applied
 *   pick      u8 full: pick a compaction, or one of everything
 *   fetched   varint fetch | u8 1, or u8 0 and an answer with an error: what a fetch came to; the
 *             bytes themselves were posted
 *   sync      nothing: everything before was carried out
 *   reset     varint life: begin anew without rows, tables or memory of requests, with the
 *             memtables that were posted for that life
 *   forget    u8 memory | text table: let go of a table's memory, or of its file
 *   stop      leave the loop
 *
 * The worker's responses; `sequence` is the domain's newest when it answered:
 *
 *   answer    varint sequence | answer: release it when `sequence` is visible
 *   proposal  varint sequence | blob answer | row batch: replicate it, then as above
 *   frozen    varint memtable id | varint last sequence | varint new memtable id: hand the first
 *             to the I/O pool once its rows are committed
 *   manifest  the next manifest's bytes
 *   picked    u8 0, or u8 1 | u8 is a move | varint output level | varint inputs | table
 *             descriptions | varint ranges below | (blob smallest key | blob greatest key) each
 *   fetch     varint fetch | u8 damaged | varint offset | varint length, 0 for the table's memory |
 *             table description: a request is parked until that is here
 *   done      varint sequence: a freeze, install, recovered, sync or reset was carried out
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
  pick: 9,
  fetched: 10,
  forget: 11,
  sync: 12,
  reset: 13,
} as const

export const RESPONSE = {
  answer: 1,
  proposal: 2,
  frozen: 3,
  manifest: 4,
  done: 5,
  failed: 6,
  picked: 7,
  fetch: 8,
} as const

/** What a next manifest is made for. */
export const MANIFEST_EDIT = { flush: 0, compaction: 1 } as const

/**
 * What main posts to a worker's port: memory, the one thing that rings cannot carry. The worker
 * looks when a record says that there is something, or when it needs a memtable.
 */
export type PortMessage = MemtableMessage | TableMessage | FetchedMessage

/** A memtable to rotate to; the first ones before any request of the domain. */
export interface MemtableMessage {
  domain: number
  /** How often the domain has begun anew: in another life of it the memtable is void. */
  life: number
  memtableId: number
  memory: SharedArrayBuffer
}

/** The memory of a table (tables/table-memory.ts), before the manifest that names it. */
export interface TableMessage {
  table: string
  memory: SharedArrayBuffer
}

/** What a fetch has brought: a table's memory, or bytes of its file. */
export interface FetchedMessage {
  fetch: number
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
