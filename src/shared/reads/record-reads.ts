/** RecordStore's get and scan: rows of callers' own kinds. */
import { keyOfRecord, prefixEnd } from '../../codec/keys.ts'
import { decodeRecord } from '../../codec/rows.ts'
import { getTp, type Read, readKeys } from './read.ts'

export interface RecordRow {
  key: Uint8Array
  value: Uint8Array
}

/** 20 topic partition | blob kind | blob key -> u8 found | value */
export const getRecord: Read<
  { tp: Uint8Array; kind: Uint8Array; key: Uint8Array },
  Uint8Array | undefined
> = {
  encode: (out, { tp, kind, key }) => out.raw(tp).blob(kind).blob(key),
  answer(view, reader, out) {
    const key = readKeys.record(getTp(reader), reader.blob(), reader.blob())
    const value = view.get(key)
    if (value === undefined) out.u8(0)
    else out.u8(1).raw(decodeRecord(key, value))
  },
  decode: reader => (reader.u8() === 0 ? undefined : reader.raw(reader.remaining).slice()),
}

export interface ScanRecordsArguments {
  tp: Uint8Array
  kind: Uint8Array
  /** First key wanted. */
  from: Uint8Array
  /** First key not wanted any more; absent = to the end of the kind. */
  to: Uint8Array | undefined
  reverse: boolean
  limit: number
  /** A page also ends after about so many bytes. */
  bytesMax: number
}

/**
 * 20 topic partition | blob kind | blob from | u8 has to | [blob to] | u8 reverse | varint limit |
 * varint most bytes -> u8 end of range | (blob key | blob value) each
 */
export const scanRecords: Read<ScanRecordsArguments, { rows: RecordRow[]; endOfRange: boolean }> = {
  encode(out, q) {
    out.raw(q.tp).blob(q.kind).blob(q.from)
    if (q.to === undefined) out.u8(0)
    else out.u8(1).blob(q.to)
    out
      .u8(q.reverse ? 1 : 0)
      .varint(q.limit)
      .varint(q.bytesMax)
  },
  answer(view, reader, out) {
    const tp = getTp(reader)
    const kind = reader.blob()
    const from = readKeys.record(tp, kind, reader.blob())
    const prefix = readKeys.record(tp, kind)
    const to = reader.u8() === 0 ? prefixEnd(prefix) : readKeys.record(tp, kind, reader.blob())
    const reverse = reader.u8() === 1
    const limit = reader.varint()
    const bytesMax = reader.varint()
    const scan = view.cursor(prefix)
    if (reverse && to !== undefined) scan.seekBefore(to)
    else if (reverse) scan.seekLast()
    else scan.seek(from)
    const start = out.length
    out.u8(1)
    for (let count = 0; scan.valid; count++) {
      const key = scan.key()
      if (reverse ? isBelow(key, from) : to !== undefined && !isBelow(key, to)) break
      if (count === limit || out.length - start > bytesMax) {
        out.bytes[start] = 0
        break
      }
      out.blob(keyOfRecord(key)).blob(decodeRecord(key, scan.value()))
      if (reverse) scan.prev()
      else scan.next()
    }
  },
  decode(reader) {
    const endOfRange = reader.u8() === 1
    const rows: RecordRow[] = []
    while (reader.remaining > 0) {
      rows.push({ key: reader.blob().slice(), value: reader.blob().slice() })
    }
    return { rows, endOfRange }
  },
}

function isBelow(key: Uint8Array, bound: Uint8Array): boolean {
  const length = Math.min(key.length, bound.length)
  for (let i = 0; i < length; i++) if (key[i] !== bound[i]) return key[i] < bound[i]
  return key.length < bound.length
}
