/**
 * Row values (docs/row-format.md). The first byte is the version of that row type; readers accept
 * every older version and refuse a newer one by name. Garbage is CORRUPTION with the row's key.
 * Decoded rows own nothing: id fields are views on the value that was passed in.
 */
import { ByteReader, type ByteWriter, toHex } from './bytes.ts'
import { corruption, MetastoreError } from './errors.ts'
import { ROW_TYPE, TP_BYTES } from './keys.ts'
import { UUID_BYTES } from './uuid.ts'

/** The newest version of every row type's value, which is what is written. */
export const ROW_VERSION = 1

export interface PartitionRow {
  startOffset: number
  nextOffset: number
  compactionEpoch: number
  sizeBytes: number
  extentCount: number
}

export interface ExtentRow {
  lastOffset: number
  maxTimestamp: number
  position: number
  sizeBytes: number
  /** 16 bytes. */
  objectId: Uint8Array
}

export interface TermRow {
  startOffset: number
}

export interface RowRange {
  baseOffset: number
  lastOffset: number
}

export interface TombstoneRange extends RowRange {
  cleanedAt: number
}

export interface CompactionRow {
  /** Sorted, disjoint and not adjacent. */
  cleaned: RowRange[]
  /** Sorted and disjoint, each inside one cleaned range. */
  tombstones: TombstoneRange[]
}

/** These values are on disk and never change. */
export const OBJECT_STATE = { preregistered: 0, committed: 1, expired: 2 } as const
export type ObjectState = (typeof OBJECT_STATE)[keyof typeof OBJECT_STATE]

export interface ObjectRow {
  state: ObjectState
  footerPosition: number
  sizeBytes: number
  totalDataBytes: number
  removedDataBytes: number
  liveExtents: number
  updatedAt: number
  /** Two 32-bit halves of the hash of the object's content; 0, 0 while preregistered. */
  contentHash: readonly [number, number]
  /** What addObjects answered about this object's partitions, for a repeated call. */
  corrections: { tp: Uint8Array; nextOffset: number }[]
}

export interface RemovedTopicRow {
  removedAt: number
}

export interface RequestRow {
  acceptedAt: number
  /** Kind of call (WRITE_KIND in shared/messages). */
  callKind: number
  /** The encoded answer. */
  answer: Uint8Array
}

function begin(out: ByteWriter): ByteWriter {
  return out.reset().u8(ROW_VERSION)
}

export function encodePartition(out: ByteWriter, row: PartitionRow): Uint8Array {
  return begin(out)
    .varint(row.startOffset)
    .varint(row.nextOffset)
    .varint(row.compactionEpoch)
    .varint(row.sizeBytes)
    .varint(row.extentCount)
    .view()
}

export function decodePartition(key: Uint8Array, value: Uint8Array): PartitionRow {
  return decode('partition', key, value, readPartition)
}

function readPartition(reader: ByteReader): PartitionRow {
  return {
    startOffset: reader.varint(),
    nextOffset: reader.varint(),
    compactionEpoch: reader.varint(),
    sizeBytes: reader.varint(),
    extentCount: reader.varint(),
  }
}

export function encodeExtent(out: ByteWriter, row: ExtentRow): Uint8Array {
  return begin(out)
    .varint(row.lastOffset)
    .varint(row.maxTimestamp)
    .varint(row.position)
    .varint(row.sizeBytes)
    .raw(row.objectId)
    .view()
}

export function decodeExtent(key: Uint8Array, value: Uint8Array): ExtentRow {
  return decode('extent', key, value, readExtent)
}

function readExtent(reader: ByteReader): ExtentRow {
  return {
    lastOffset: reader.varint(),
    maxTimestamp: reader.varint(),
    position: reader.varint(),
    sizeBytes: reader.varint(),
    objectId: reader.raw(UUID_BYTES),
  }
}

/** The maxTimestamp of an extent's row; undefined for rows of other kinds and for deletes. */
export function extentTimestamp(key: Uint8Array, value: Uint8Array): number | undefined {
  if (key[0] !== ROW_TYPE.extent || value.length === 0) return undefined
  return decodeExtent(key, value).maxTimestamp
}

export function encodeTerm(out: ByteWriter, row: TermRow): Uint8Array {
  return begin(out).varint(row.startOffset).view()
}

export function decodeTerm(key: Uint8Array, value: Uint8Array): TermRow {
  return decode('term', key, value, readTerm)
}

function readTerm(reader: ByteReader): TermRow {
  return { startOffset: reader.varint() }
}

export function encodeCompaction(out: ByteWriter, row: CompactionRow): Uint8Array {
  begin(out).varint(row.cleaned.length)
  for (const range of row.cleaned) putRange(out, range)
  out.varint(row.tombstones.length)
  for (const range of row.tombstones) putRange(out, range).varint(range.cleanedAt)
  return out.view()
}

function putRange(out: ByteWriter, range: RowRange): ByteWriter {
  return out.varint(range.baseOffset).varint(range.lastOffset - range.baseOffset)
}

export function decodeCompaction(key: Uint8Array, value: Uint8Array): CompactionRow {
  return decode('compaction', key, value, readCompaction)
}

function readCompaction(reader: ByteReader): CompactionRow {
  const row: CompactionRow = { cleaned: [], tombstones: [] }
  const cleanedCount = reader.varint()
  for (let i = 0; i < cleanedCount; i++) row.cleaned.push(getRange(reader))
  const tombstoneCount = reader.varint()
  for (let i = 0; i < tombstoneCount; i++) {
    const { baseOffset, lastOffset } = getRange(reader)
    row.tombstones.push({ baseOffset, lastOffset, cleanedAt: reader.varint() })
  }
  return row
}

function getRange(reader: ByteReader): RowRange {
  const baseOffset = reader.varint()
  const lastOffset = baseOffset + reader.varint()
  if (!Number.isSafeInteger(lastOffset)) throw corruption(`a range from ${baseOffset} is too long`)
  return { baseOffset, lastOffset }
}

export function encodeObject(out: ByteWriter, row: ObjectRow): Uint8Array {
  begin(out)
    .u8(row.state)
    .varint(row.footerPosition)
    .varint(row.sizeBytes)
    .varint(row.totalDataBytes)
    .varint(row.removedDataBytes)
    .varint(row.liveExtents)
    .varint(row.updatedAt)
    .u32(row.contentHash[0])
    .u32(row.contentHash[1])
    .varint(row.corrections.length)
  for (const { tp, nextOffset } of row.corrections) out.raw(tp).varint(nextOffset)
  return out.view()
}

export function decodeObject(key: Uint8Array, value: Uint8Array): ObjectRow {
  return decode('object', key, value, readObject)
}

function readObject(reader: ByteReader): ObjectRow {
  const state = reader.u8()
  if (state > OBJECT_STATE.expired) throw corruption(`unknown object state ${state}`)
  const row: ObjectRow = {
    state: state as ObjectState,
    footerPosition: reader.varint(),
    sizeBytes: reader.varint(),
    totalDataBytes: reader.varint(),
    removedDataBytes: reader.varint(),
    liveExtents: reader.varint(),
    updatedAt: reader.varint(),
    contentHash: [reader.u32(), reader.u32()],
    corrections: [],
  }
  const count = reader.varint()
  for (let i = 0; i < count; i++) {
    row.corrections.push({ tp: reader.raw(TP_BYTES), nextOffset: reader.varint() })
  }
  return row
}

export function encodeRemovedTopic(out: ByteWriter, row: RemovedTopicRow): Uint8Array {
  return begin(out).varint(row.removedAt).view()
}

export function decodeRemovedTopic(key: Uint8Array, value: Uint8Array): RemovedTopicRow {
  return decode('removed topic', key, value, readRemovedTopic)
}

function readRemovedTopic(reader: ByteReader): RemovedTopicRow {
  return { removedAt: reader.varint() }
}

export function encodeRequest(out: ByteWriter, row: RequestRow): Uint8Array {
  return begin(out).varint(row.acceptedAt).u8(row.callKind).blob(row.answer).view()
}

export function decodeRequest(key: Uint8Array, value: Uint8Array): RequestRow {
  return decode('request', key, value, readRequest)
}

function readRequest(reader: ByteReader): RequestRow {
  return { acceptedAt: reader.varint(), callKind: reader.u8(), answer: reader.blob() }
}

export function encodeRecord(out: ByteWriter, bytes: Uint8Array): Uint8Array {
  return begin(out).raw(bytes).view()
}

/** The caller's bytes; a view on the value. */
export function decodeRecord(key: Uint8Array, value: Uint8Array): Uint8Array {
  return decode('record', key, value, readRecord)
}

function readRecord(reader: ByteReader): Uint8Array {
  return reader.raw(reader.remaining)
}

/** One reader for all: decoding is synchronous and never nests. */
const shared = new ByteReader(new Uint8Array(0), 'row')

function decode<T>(
  type: string,
  key: Uint8Array,
  value: Uint8Array,
  read: (reader: ByteReader) => T,
): T {
  shared.bytes = value
  shared.position = 0
  shared.end = value.length
  try {
    const version = shared.u8()
    if (version === 0 || version > ROW_VERSION) {
      throw corruption(`version ${version} is not known here (newest: ${ROW_VERSION})`)
    }
    const row = read(shared)
    shared.expectEnd()
    return row
  } catch (error) {
    if (!(error instanceof MetastoreError)) throw error
    throw corruption(`${type} row ${toHex(key)}: ${error.message}`, { key: toHex(key) })
  }
}
