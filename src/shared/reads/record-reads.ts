/** RecordStore's reads: rows of callers' own kinds. */
import { ByteReader, type ByteWriter, compareBytes } from '../../codec/bytes.ts'
import { keyOfRecord, prefixEnd } from '../../codec/keys.ts'
import { decodeRecord } from '../../codec/rows.ts'
import type { ReadView, RowScan } from '../read-view.ts'
import { getTp, type Read, readKeys } from './read.ts'

/** 20 topic partition | blob kind | blob key -> u8 found | value */
export const getRecord: Read<
  { tp: Uint8Array; kind: Uint8Array; key: Uint8Array },
  Uint8Array | undefined
> = {
  encode: (out, { tp, kind, key }) => out.raw(tp).blob(kind).blob(key),
  answer(view, reader, out) {
    const value = recordOf(view, getTp(reader), reader.blob(), reader.blob())
    if (value === undefined) out.u8(0)
    else out.u8(1).raw(value)
  },
  decode: reader => (reader.u8() === 0 ? undefined : reader.raw(reader.remaining).slice()),
}

interface GetRecordsArguments {
  tp: Uint8Array
  kind: Uint8Array
  keys: readonly Uint8Array[]
  /** Without, values are empty: it is only asked which keys are there. */
  values: boolean
  /** The answer ends after about so many bytes, but not before the first key. */
  bytesMax: number
}

/**
 * 20 topic partition | blob kind | u8 values | varint most bytes | blob key each -> (u8 found |
 * [blob value]) of the first keys, as many as fit
 */
export const getRecords: Read<GetRecordsArguments, (Uint8Array | undefined)[]> = {
  encode(out, { tp, kind, keys, values, bytesMax }) {
    out
      .raw(tp)
      .blob(kind)
      .u8(values ? 1 : 0)
      .varint(bytesMax)
    for (const key of keys) out.blob(key)
  },
  answer(view, reader, out) {
    const tp = getTp(reader)
    const kind = reader.blob()
    const values = reader.u8() === 1
    const bytesMax = reader.varint()
    const start = out.length
    while (reader.remaining > 0 && out.length - start <= bytesMax) {
      const value = recordOf(view, tp, kind, reader.blob())
      if (value === undefined) out.u8(0)
      else out.u8(1).blob(values ? value : NO_BYTES)
    }
  },
  decode(reader) {
    const found: (Uint8Array | undefined)[] = []
    while (reader.remaining > 0) {
      found.push(reader.u8() === 0 ? undefined : reader.blob().slice())
    }
    return found
  },
}

/** One end of a range. */
export interface RecordBound {
  key: Uint8Array
  isInclusive: boolean
}

export interface ScanRecordsArguments {
  tp: Uint8Array
  kind: Uint8Array
  /** Absent: from the first row of the kind. */
  lower: RecordBound | undefined
  /** Absent: to the last row of the kind. */
  upper: RecordBound | undefined
  reverse: boolean
  /** Without, values are empty. */
  values: boolean
  limit: number
  /** A page also ends after about so many bytes, but not before the first row. */
  bytesMax: number
}

const NO_BYTES: Uint8Array = new Uint8Array(0)
const BOUND = { none: 0, inclusive: 1, exclusive: 2 } as const

/**
 * 20 topic partition | blob kind | bound lower | bound upper | u8 reverse | u8 values |
 * varint limit | varint most bytes -> u8 end of range | (blob key | blob value) each
 *
 * A bound is u8 0, or u8 1 (inclusive) or 2 (exclusive) | blob key.
 */
export const scanRecords: Read<ScanRecordsArguments, RecordPage> = {
  encode(out, q) {
    out.raw(q.tp).blob(q.kind)
    putBound(out, q.lower)
    putBound(out, q.upper)
    out
      .u8(q.reverse ? 1 : 0)
      .u8(q.values ? 1 : 0)
      .varint(q.limit)
      .varint(q.bytesMax)
  },
  answer(view, reader, out) {
    const tp = getTp(reader)
    const kind = reader.blob()
    const prefix = readKeys.record(tp, kind)
    const lower = getBound(reader, tp, kind)
    const upper = getBound(reader, tp, kind)
    const reverse = reader.u8() === 1
    const values = reader.u8() === 1
    const limit = reader.varint()
    const bytesMax = reader.varint()
    const scan = view.cursor(prefix)
    if (reverse) seekUpper(scan, upper, prefix)
    else seekLower(scan, lower, prefix)
    const start = out.length
    out.u8(1)
    for (let count = 0; scan.valid; count++) {
      if (count === limit || out.length - start > bytesMax) {
        out.bytes[start] = 0
        break
      }
      const key = scan.key()
      if (reverse ? !isAbove(key, lower) : !isBelow(key, upper)) break
      out.blob(keyOfRecord(key)).blob(values ? decodeRecord(key, scan.value()) : NO_BYTES)
      // The limit needs no look at the row after it.
      if (count + 1 === limit) continue
      if (reverse) scan.prev()
      else scan.next()
    }
  },
  decode(reader) {
    const isEnd = reader.u8() === 1
    return new RecordPage(reader.raw(reader.remaining).slice(), isEnd)
  },
}

/**
 * Rows of a scan, in memory of their own: one copy for all of them. Go from row to row by next();
 * keys and values are where the places say, in `bytes`.
 */
export class RecordPage {
  readonly bytes: Uint8Array
  /** Whether the scan has come to the end of its range; false when more rows may follow. */
  readonly isEnd: boolean
  readonly #reader: ByteReader
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  valueEnd = 0

  constructor(bytes: Uint8Array, isEnd: boolean) {
    this.bytes = bytes
    this.isEnd = isEnd
    this.#reader = new ByteReader(bytes, 'page')
  }

  /** Whether there is a row after the present one. */
  get hasNext(): boolean {
    return this.#reader.remaining > 0
  }

  /** To the next row; false when there is none, and then the places stay. */
  next(): boolean {
    const reader = this.#reader
    if (reader.remaining === 0) return false
    const keyBytes = reader.varint()
    this.keyStart = reader.need(keyBytes)
    this.keyEnd = this.keyStart + keyBytes
    const valueBytes = reader.varint()
    this.valueStart = reader.need(valueBytes)
    this.valueEnd = this.valueStart + valueBytes
    return true
  }

  /** The row's key; a view. */
  key(): Uint8Array {
    return this.bytes.subarray(this.keyStart, this.keyEnd)
  }

  /** The row's value; a view. */
  value(): Uint8Array {
    return this.bytes.subarray(this.valueStart, this.valueEnd)
  }
}

function recordOf(
  view: ReadView,
  tp: Uint8Array,
  kind: Uint8Array,
  key: Uint8Array,
): Uint8Array | undefined {
  const rowKey = readKeys.record(tp, kind, key)
  const value = view.get(rowKey)
  return value === undefined ? undefined : decodeRecord(rowKey, value)
}

function putBound(out: ByteWriter, bound: RecordBound | undefined): void {
  if (bound === undefined) out.u8(BOUND.none)
  else out.u8(bound.isInclusive ? BOUND.inclusive : BOUND.exclusive).blob(bound.key)
}

/** A bound whose key is that of the row. */
function getBound(reader: ByteReader, tp: Uint8Array, kind: Uint8Array): RecordBound | undefined {
  const type = reader.u8()
  if (type === BOUND.none) return undefined
  const key = readKeys.record(tp, kind, reader.blob())
  return { key, isInclusive: type === BOUND.inclusive }
}

/** To the first row of the range, going forward. */
function seekLower(scan: RowScan, lower: RecordBound | undefined, prefix: Uint8Array): void {
  scan.seek(lower === undefined ? prefix : lower.key)
  if (scan.valid && !isAbove(scan.key(), lower)) scan.next()
}

/** To the last row of the range, going backward. */
function seekUpper(scan: RowScan, upper: RecordBound | undefined, prefix: Uint8Array): void {
  const end = upper === undefined ? prefixEnd(prefix) : upper.key
  // The prefix begins with a row type, so it has an end.
  if (end === undefined) return
  if (upper?.isInclusive === true) {
    scan.seek(end)
    if (scan.valid && compareBytes(scan.key(), end) === 0) return
  }
  scan.seekBefore(end)
}

function isAbove(key: Uint8Array, lower: RecordBound | undefined): boolean {
  if (lower === undefined) return true
  const order = compareBytes(key, lower.key)
  return lower.isInclusive ? order >= 0 : order > 0
}

function isBelow(key: Uint8Array, upper: RecordBound | undefined): boolean {
  if (upper === undefined) return true
  const order = compareBytes(key, upper.key)
  return upper.isInclusive ? order <= 0 : order < 0
}
