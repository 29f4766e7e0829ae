/** getOffsets, getSize, listPartitions. */
import { getU32be, ROW_TYPE, TP_BYTES } from '../../codec/keys.ts'
import { UUID_BYTES } from '../../codec/uuid.ts'
import { getTp, partitionOf, type Read, readKeys } from './read.ts'

/** 20 topic partition -> varint start | varint next */
export const getOffsets: Read<Uint8Array, { startOffset: number; nextOffset: number }> = {
  encode: (out, tp) => out.raw(tp),
  answer(view, reader, out) {
    const row = partitionOf(view, getTp(reader))
    out.varint(row.startOffset).varint(row.nextOffset)
  },
  decode: reader => ({ startOffset: reader.varint(), nextOffset: reader.varint() }),
}

/** 20 topic partition -> varint bytes | varint extents */
export const getSize: Read<Uint8Array, { sizeBytes: number; extentCount: number }> = {
  encode: (out, tp) => out.raw(tp),
  answer(view, reader, out) {
    const row = partitionOf(view, getTp(reader))
    out.varint(row.sizeBytes).varint(row.extentCount)
  },
  decode: reader => ({ sizeBytes: reader.varint(), extentCount: reader.varint() }),
}

/** 16 topic -> varint count | partitions, those of this domain, ascending */
export const listPartitions: Read<Uint8Array, number[]> = {
  encode: (out, topic) => out.raw(topic),
  answer(view, reader, out) {
    const topic = reader.raw(UUID_BYTES)
    const found: number[] = []
    const scan = view.cursor(readKeys.topicPrefix(ROW_TYPE.partition, topic))
    for (scan.seekFirst(); scan.valid; scan.next()) {
      found.push(getU32be(scan.key(), 1 + TP_BYTES - 4))
    }
    out.varint(found.length)
    for (const partition of found) out.varint(partition)
  },
  decode(reader) {
    const count = reader.varint()
    return Array.from({ length: count }, () => reader.varint())
  },
}
