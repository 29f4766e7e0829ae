/** Reads single entries back, from the writer's buffers or from the file through a window. */
import { corruption } from '../../codec/errors.ts'
import { decodeLogRecord, emptyLogRecord, LOG_ENTRY } from '../../codec/log-format.ts'
import type { GroupIndex } from './group-index.ts'
import type { Segment, SegmentTable } from './segment.ts'
import type { SegmentWriter } from './segment-writer.ts'

const WINDOW_BYTES = 65536

export interface LogEntry {
  group: number
  term: number
  index: number
  /** 0 to 255; what it means is the caller's. */
  kind: number
  payload: Uint8Array
}

/** For one call: what its window holds may be overwritten later. */
export class EntryReader {
  readonly #segments: SegmentTable
  readonly #writer: SegmentWriter
  readonly #record = emptyLogRecord()
  #window: Uint8Array = new Uint8Array(0)
  #windowSegment: Segment | null = null
  #windowStart = 0

  constructor(segments: SegmentTable, writer: SegmentWriter) {
    this.#segments = segments
    this.#writer = writer
  }

  /** The entry at a slot of the index; its payload is a copy. @throws CORRUPTION. */
  read(index: GroupIndex, slot: number): LogEntry {
    const sequence = index.sequenceAt(slot)
    const offset = index.offsetAt(slot)
    const sizeBytes = index.sizeAt(slot)
    const buffered = this.#writer.buffered(sequence, offset)
    if (buffered !== null) return this.#decode(index, sequence, offset, buffered.bytes, buffered.at)
    const segment = this.#segments.get(sequence)
    if (!this.#isInWindow(segment, offset, sizeBytes)) this.#moveWindow(segment, offset, sizeBytes)
    return this.#decode(index, sequence, offset, this.#window, offset - this.#windowStart)
  }

  #decode(
    index: GroupIndex,
    sequence: number,
    offset: number,
    bytes: Uint8Array,
    at: number,
  ): LogEntry {
    const record = this.#record
    const sizeBytes = decodeLogRecord(bytes, at, bytes.length, record)
    if (sizeBytes === 0 || record.type !== LOG_ENTRY || record.group !== index.group) {
      const file = this.#segments.get(sequence).name
      throw corruption(`${file}: the entry at ${offset} cannot be read back`, { file, offset })
    }
    const { group, term, kind, payloadStart, payloadBytes } = record
    const payload = bytes.slice(payloadStart, payloadStart + payloadBytes)
    return { group, term, index: record.index, kind, payload }
  }

  #isInWindow(segment: Segment, offset: number, sizeBytes: number): boolean {
    const end = this.#windowStart + this.#window.length
    const isInside = offset >= this.#windowStart && offset + sizeBytes <= end
    return this.#windowSegment === segment && isInside
  }

  #moveWindow(segment: Segment, offset: number, sizeBytes: number): void {
    const { file } = segment
    if (file === null) throw new Error(`${segment.name} is not open`)
    const window = new Uint8Array(Math.max(sizeBytes, WINDOW_BYTES))
    const length = file.readSync(window, offset)
    this.#window = window.subarray(0, length)
    this.#windowSegment = segment
    this.#windowStart = offset
  }
}
