/**
 * Write requests as they travel to a domain's worker, validated in form and reduced to what belongs
 * to that domain. Main encodes, the worker decodes; decoded ids are views on the ring and hold
 * during the call. Partitions are named once and then by their place in that list.
 */
import type { ByteReader, ByteWriter } from '../../codec/bytes.ts'
import { TP_BYTES } from '../../codec/keys.ts'
import { UUID_BYTES } from '../../codec/uuid.ts'
import type { CleanedRange, OffsetRange } from '../api.ts'

export interface ExtentPart {
  /** Place in the request's list of partitions. */
  partition: number
  baseOffset: number
  lastOffset: number
  maxTimestamp: number
  position: number
  sizeBytes: number
}

export interface ObjectPart {
  /** 16 bytes. */
  id: Uint8Array
  footerPosition: number
  sizeBytes: number
  extents: ExtentPart[]
}

export interface TermStart {
  term: number
  startOffset: number
}

export interface AddPartition {
  tp: Uint8Array
  terms: TermStart[]
}

export interface AddObjectsPart {
  partitions: AddPartition[]
  objects: ObjectPart[]
}

export interface EpochPartition {
  tp: Uint8Array
  epoch: number
}

export interface ReplaceObjectsPart {
  partitions: EpochPartition[]
  objects: ObjectPart[]
}

export interface UpdatePartition {
  tp: Uint8Array
  expectedEpoch: number
  cleanedAt: number
  cleanedRanges: CleanedRange[]
  removedTombstoneRanges: OffsetRange[]
}

/** compactObjects, and commitCompaction with no objects. */
export interface CompactObjectsPart {
  partitions: UpdatePartition[]
  objects: ObjectPart[]
}

export interface RecordOperation {
  key: Uint8Array
  /** Absent = delete. */
  value: Uint8Array | undefined
}

export interface RecordsPart {
  tp: Uint8Array
  kind: Uint8Array
  operations: RecordOperation[]
}

/** varint count | (16 id | varint footer | varint size | varint extents | extents) each */
export function putObjects(out: ByteWriter, objects: readonly ObjectPart[]): void {
  out.varint(objects.length)
  for (const object of objects) {
    out.raw(object.id).varint(object.footerPosition).varint(object.sizeBytes)
    out.varint(object.extents.length)
    for (const extent of object.extents) {
      out.varint(extent.partition).varint(extent.baseOffset).varint(extent.lastOffset)
      out.varint(extent.maxTimestamp).varint(extent.position).varint(extent.sizeBytes)
    }
  }
}

export function getObjects(reader: ByteReader): ObjectPart[] {
  const objects: ObjectPart[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const object: ObjectPart = {
      id: reader.raw(UUID_BYTES),
      footerPosition: reader.varint(),
      sizeBytes: reader.varint(),
      extents: [],
    }
    for (let extents = reader.varint(); extents > 0; extents--) {
      object.extents.push({
        partition: reader.varint(),
        baseOffset: reader.varint(),
        lastOffset: reader.varint(),
        maxTimestamp: reader.varint(),
        position: reader.varint(),
        sizeBytes: reader.varint(),
      })
    }
    objects.push(object)
  }
  return objects
}

/** varint count | (20 tp | varint terms | (varint term | varint start) each) each | objects */
export function putAddObjects(out: ByteWriter, part: AddObjectsPart): void {
  out.varint(part.partitions.length)
  for (const { tp, terms } of part.partitions) {
    out.raw(tp).varint(terms.length)
    for (const { term, startOffset } of terms) out.varint(term).varint(startOffset)
  }
  putObjects(out, part.objects)
}

export function getAddObjects(reader: ByteReader): AddObjectsPart {
  const partitions: AddPartition[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const tp = reader.raw(TP_BYTES)
    const terms: TermStart[] = []
    for (let left = reader.varint(); left > 0; left--) {
      terms.push({ term: reader.varint(), startOffset: reader.varint() })
    }
    partitions.push({ tp, terms })
  }
  return { partitions, objects: getObjects(reader) }
}

/** varint count | (20 tp | varint epoch) each | objects */
export function putReplaceObjects(out: ByteWriter, part: ReplaceObjectsPart): void {
  out.varint(part.partitions.length)
  for (const { tp, epoch } of part.partitions) out.raw(tp).varint(epoch)
  putObjects(out, part.objects)
}

export function getReplaceObjects(reader: ByteReader): ReplaceObjectsPart {
  const partitions: EpochPartition[] = []
  for (let count = reader.varint(); count > 0; count--) {
    partitions.push({ tp: reader.raw(TP_BYTES), epoch: reader.varint() })
  }
  return { partitions, objects: getObjects(reader) }
}

/**
 * varint count | (20 tp | varint epoch | varint cleaned at |
 * varint cleaned | (varint base | varint last | u8 has tombstones) each |
 * varint removed | (varint base | varint last) each) each | objects
 */
export function putCompactObjects(out: ByteWriter, part: CompactObjectsPart): void {
  out.varint(part.partitions.length)
  for (const update of part.partitions) {
    out.raw(update.tp).varint(update.expectedEpoch).varint(update.cleanedAt)
    out.varint(update.cleanedRanges.length)
    for (const range of update.cleanedRanges) {
      out
        .varint(range.baseOffset)
        .varint(range.lastOffset)
        .u8(range.hasTombstones ? 1 : 0)
    }
    out.varint(update.removedTombstoneRanges.length)
    for (const range of update.removedTombstoneRanges) {
      out.varint(range.baseOffset).varint(range.lastOffset)
    }
  }
  putObjects(out, part.objects)
}

export function getCompactObjects(reader: ByteReader): CompactObjectsPart {
  const partitions: UpdatePartition[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const update: UpdatePartition = {
      tp: reader.raw(TP_BYTES),
      expectedEpoch: reader.varint(),
      cleanedAt: reader.varint(),
      cleanedRanges: [],
      removedTombstoneRanges: [],
    }
    for (let left = reader.varint(); left > 0; left--) {
      update.cleanedRanges.push({
        baseOffset: reader.varint(),
        lastOffset: reader.varint(),
        hasTombstones: reader.u8() === 1,
      })
    }
    for (let left = reader.varint(); left > 0; left--) {
      update.removedTombstoneRanges.push({
        baseOffset: reader.varint(),
        lastOffset: reader.varint(),
      })
    }
    partitions.push(update)
  }
  return { partitions, objects: getObjects(reader) }
}

/** 20 tp | blob kind | varint count | (blob key | u8 is put | [blob value]) each */
export function putRecords(out: ByteWriter, part: RecordsPart): void {
  out.raw(part.tp).blob(part.kind).varint(part.operations.length)
  for (const { key, value } of part.operations) {
    out.blob(key)
    if (value === undefined) out.u8(0)
    else out.u8(1).blob(value)
  }
}

export function getRecords(reader: ByteReader): RecordsPart {
  const part: RecordsPart = { tp: reader.raw(TP_BYTES), kind: reader.blob(), operations: [] }
  for (let count = reader.varint(); count > 0; count--) {
    const key = reader.blob()
    part.operations.push({ key, value: reader.u8() === 0 ? undefined : reader.blob() })
  }
  return part
}
