/** findByOffset, findByOffsets, findByTimestamp, getOffsetForBytes, listExtents. */
import type { ByteReader, ByteWriter } from '../../codec/bytes.ts'
import { type MetastoreError, outOfRange } from '../../codec/errors.ts'
import { extentTimestamp, type PartitionRow } from '../../codec/rows.ts'
import { formatUuid, UUID_BYTES } from '../../codec/uuid.ts'
import type { Extent, ExtentLocation } from '../api.ts'
import { getAnswer, putAnswer } from '../messages.ts'
import type { ReadView } from '../read-view.ts'
import {
  describeTp,
  ExtentScan,
  getTp,
  objectOf,
  partitionOf,
  type Read,
  readKeys,
  type StoredExtent,
  storedExtent,
} from './read.ts'

function putExtent(out: ByteWriter, extent: StoredExtent): void {
  out.varint(extent.baseOffset).varint(extent.lastOffset).varint(extent.maxTimestamp)
  out.varint(extent.position).varint(extent.sizeBytes).raw(extent.objectId)
}

function getExtent(reader: ByteReader): Extent {
  return {
    baseOffset: reader.varint(),
    lastOffset: reader.varint(),
    maxTimestamp: reader.varint(),
    position: reader.varint(),
    sizeBytes: reader.varint(),
    objectId: formatUuid(reader.bytes, reader.need(UUID_BYTES)),
  }
}

/** extent | varint footer position | varint object size */
function putLocation(view: ReadView, out: ByteWriter, extent: StoredExtent): void {
  const object = objectOf(view, extent.objectId)
  putExtent(out, extent)
  out.varint(object.footerPosition).varint(object.sizeBytes)
}

function getLocation(reader: ByteReader): ExtentLocation {
  const extent = getExtent(reader)
  return {
    objectId: extent.objectId,
    baseOffset: extent.baseOffset,
    lastOffset: extent.lastOffset,
    maxTimestamp: extent.maxTimestamp,
    position: extent.position,
    sizeBytes: extent.sizeBytes,
    footerPosition: reader.varint(),
    objectSizeBytes: reader.varint(),
  }
}

function extentHolding(view: ReadView, tp: Uint8Array, offset: number): StoredExtent {
  const partition = partitionOf(view, tp)
  if (offset >= partition.nextOffset || partition.extentCount === 0) {
    throw noOffset(tp, offset, partition)
  }
  const scan = new ExtentScan(view, tp)
  scan.seekAtOrBefore(offset)
  // Below all of them: the first one answers.
  if (!scan.valid) scan.seekFirst()
  if (!scan.valid) throw noOffset(tp, offset, partition)
  return scan.extent()
}

function noOffset(tp: Uint8Array, offset: number, partition: PartitionRow): MetastoreError {
  return outOfRange(
    `offset ${offset} of ${describeTp(tp)} is not in [${partition.startOffset}, ` +
      `${partition.nextOffset}) or the log is empty`,
  )
}

/** 20 topic partition | varint offset -> location */
export const findByOffset: Read<{ tp: Uint8Array; offset: number }, ExtentLocation> = {
  encode: (out, { tp, offset }) => out.raw(tp).varint(offset),
  answer(view, reader, out) {
    const tp = getTp(reader)
    putLocation(view, out, extentHolding(view, tp, reader.varint()))
  },
  decode: getLocation,
}

/** varint count | queries as findByOffset's -> an answer each */
export const findByOffsets: Read<
  { tp: Uint8Array; offset: number }[],
  (ExtentLocation | MetastoreError)[]
> = {
  encode(out, queries) {
    out.varint(queries.length)
    for (const query of queries) findByOffset.encode(out, query)
  },
  answer(view, reader, out) {
    const count = reader.varint()
    for (let i = 0; i < count; i++) {
      const tp = getTp(reader)
      const offset = reader.varint()
      putAnswer(out, answer => putLocation(view, answer, extentHolding(view, tp, offset)))
    }
  },
  decode(reader) {
    const results: (ExtentLocation | MetastoreError)[] = []
    while (reader.remaining > 0) results.push(getAnswer(reader, getLocation))
    return results
  },
}

/** The first extent from `baseOffset` on that reaches `timestamp`. */
function extentReaching(
  view: ReadView,
  tp: Uint8Array,
  baseOffset: number,
  timestamp: number,
): StoredExtent | undefined {
  const from = readKeys.extent(tp, baseOffset).slice()
  const prefix = readKeys.extentPrefix(tp).slice()
  const row = view.firstReaching(prefix, from, timestamp, extentTimestamp)
  return row === undefined ? undefined : storedExtent(row.key, row.value)
}

/** 20 topic partition | varint timestamp | varint least offset -> location */
export const findByTimestamp: Read<
  { tp: Uint8Array; timestamp: number; minOffset: number },
  ExtentLocation
> = {
  encode: (out, q) => out.raw(q.tp).varint(q.timestamp).varint(q.minOffset),
  answer(view, reader, out) {
    const tp = getTp(reader)
    const timestamp = reader.varint()
    const minOffset = reader.varint()
    const { startOffset } = partitionOf(view, tp)
    // Below startOffset there may be many deletes, and no extents but the one that holds it.
    const scan = new ExtentScan(view, tp)
    scan.seek(Math.max(minOffset, startOffset))
    if (scan.valid) {
      const extent = scan.extent()
      const reaches = extent.maxTimestamp >= timestamp
      const found = reaches ? extent : extentReaching(view, tp, extent.baseOffset + 1, timestamp)
      if (found !== undefined) {
        putLocation(view, out, found)
        return
      }
    }
    throw outOfRange(`no extent of ${describeTp(tp)} from ${minOffset} on reaches ${timestamp}`)
  },
  decode: getLocation,
}

/** 20 topic partition | varint bytes -> varint offset */
export const getOffsetForBytes: Read<{ tp: Uint8Array; bytes: number }, number> = {
  encode: (out, { tp, bytes }) => out.raw(tp).varint(bytes),
  answer(view, reader, out) {
    const tp = getTp(reader)
    const bytes = reader.varint()
    const partition = partitionOf(view, tp)
    if (bytes > partition.sizeBytes) {
      throw outOfRange(`${describeTp(tp)} has ${partition.sizeBytes} bytes, not ${bytes}`)
    }
    out.varint(bytes === 0 ? partition.nextOffset : offsetOfTail(view, tp, bytes, partition))
  },
  decode: reader => reader.varint(),
}

function offsetOfTail(
  view: ReadView,
  tp: Uint8Array,
  bytes: number,
  partition: PartitionRow,
): number {
  const scan = new ExtentScan(view, tp)
  let sum = 0
  for (scan.seekLast(); scan.valid; scan.prev()) {
    const extent = scan.extent()
    sum += extent.sizeBytes
    if (sum >= bytes) return Math.max(extent.baseOffset, partition.startOffset)
  }
  throw outOfRange(`${describeTp(tp)} has ${sum} bytes, not ${bytes}`)
}

export interface ListExtentsArguments {
  tp: Uint8Array
  minOffset: number
  maxOffset: number
  limit: number
  reverse: boolean
  includeObject: boolean
}

/**
 * 20 topic partition | varint least | varint most | varint limit | u8 reverse | u8 with objects ->
 * u8 end of stream | u8 with objects | (extent | [varint footer position | varint size]) each
 */
export const listExtents: Read<ListExtentsArguments, { extents: Extent[]; endOfStream: boolean }> =
  {
    encode(out, q) {
      out.raw(q.tp).varint(q.minOffset).varint(q.maxOffset).varint(q.limit)
      out.u8(q.reverse ? 1 : 0).u8(q.includeObject ? 1 : 0)
    },
    answer(view, reader, out) {
      const tp = getTp(reader)
      const minOffset = reader.varint()
      const maxOffset = reader.varint()
      const limit = reader.varint()
      const reverse = reader.u8() === 1
      const includeObject = reader.u8() === 1
      partitionOf(view, tp)
      const scan = new ExtentScan(view, tp)
      if (reverse) scan.seekAtOrBefore(maxOffset)
      else scan.seek(minOffset)
      const endAt = out.length
      out.u8(1).u8(includeObject ? 1 : 0)
      for (let count = 0; scan.valid; count++) {
        const extent = scan.extent()
        if (reverse ? extent.lastOffset < minOffset : extent.baseOffset > maxOffset) break
        if (count === limit) {
          out.bytes[endAt] = 0
          break
        }
        if (includeObject) putLocation(view, out, extent)
        else putExtent(out, extent)
        if (reverse) scan.prev()
        else scan.next()
      }
    },
    decode(reader) {
      const endOfStream = reader.u8() === 1
      const includeObject = reader.u8() === 1
      const extents: Extent[] = []
      while (reader.remaining > 0) {
        const extent = getExtent(reader)
        if (includeObject) {
          extent.object = { footerPosition: reader.varint(), sizeBytes: reader.varint() }
        }
        extents.push(extent)
      }
      return { extents, endOfStream }
    },
  }
