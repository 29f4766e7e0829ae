/**
 * A read: how its arguments travel, how it is answered over a view, how the answer travels back.
 * Both sides of a read stand in one file, and the part in the middle runs on the calling thread or
 * on the worker alike.
 */
import { type ByteReader, type ByteWriter, toHex } from '../../codec/bytes.ts'
import { corruption, MetastoreError } from '../../codec/errors.ts'
import { getU32be, KeyBuilder, keyNumber, TP_BYTES } from '../../codec/keys.ts'
import {
  decodeExtent,
  decodeObject,
  decodePartition,
  type ExtentRow,
  type ObjectRow,
  type PartitionRow,
} from '../../codec/rows.ts'
import { formatUuid, UUID_BYTES } from '../../codec/uuid.ts'
import type { ReadView, RowScan } from '../read-view.ts'

export interface Read<Arguments, Result> {
  encode(out: ByteWriter, args: Arguments): void
  /** Reads the arguments, appends the result. @throws MetastoreError for the caller */
  answer(view: ReadView, reader: ByteReader, out: ByteWriter): void
  decode(reader: ByteReader): Result
}

/** Scratch keys; every thread has its own, and reads never nest. */
export const readKeys: KeyBuilder = new KeyBuilder()

/** For messages. */
export function describeTp(tp: Uint8Array): string {
  return `${formatUuid(tp)}/${getU32be(tp, UUID_BYTES)}`
}

export function getTp(reader: ByteReader): Uint8Array {
  return reader.raw(TP_BYTES)
}

export function missingPartition(tp: Uint8Array): MetastoreError {
  return new MetastoreError('MISSING_PARTITION', `nothing is known of partition ${describeTp(tp)}`)
}

export function findPartition(view: ReadView, tp: Uint8Array): PartitionRow | undefined {
  const key = readKeys.partition(tp)
  const value = view.get(key)
  return value === undefined ? undefined : decodePartition(key, value)
}

/** @throws MISSING_PARTITION */
export function partitionOf(view: ReadView, tp: Uint8Array): PartitionRow {
  const row = findPartition(view, tp)
  if (row === undefined) throw missingPartition(tp)
  return row
}

export interface StoredExtent extends ExtentRow {
  baseOffset: number
}

export function storedExtent(key: Uint8Array, value: Uint8Array): StoredExtent {
  const row = decodeExtent(key, value)
  return {
    baseOffset: keyNumber(key),
    lastOffset: row.lastOffset,
    maxTimestamp: row.maxTimestamp,
    position: row.position,
    sizeBytes: row.sizeBytes,
    objectId: row.objectId,
  }
}

/** The extents of one partition, in both directions. */
export class ExtentScan {
  readonly #tp: Uint8Array
  readonly #rows: RowScan

  constructor(view: ReadView, tp: Uint8Array) {
    this.#tp = tp
    this.#rows = view.cursor(readKeys.extentPrefix(tp))
  }

  get valid(): boolean {
    return this.#rows.valid
  }

  /** To the extent that holds `offset`, else to the first one after it. */
  seek(offset: number): void {
    this.#rows.seekBefore(readKeys.extent(this.#tp, offset + 1))
    if (this.#rows.valid && this.extent().lastOffset >= offset) return
    this.#rows.seek(readKeys.extent(this.#tp, offset))
  }

  /** To the extent that begins exactly at `offset`; false when there is none. */
  seekExact(offset: number): boolean {
    this.#rows.seek(readKeys.extent(this.#tp, offset))
    return this.#rows.valid && keyNumber(this.#rows.key()) === offset
  }

  /** To the last extent that begins at or before `offset`. */
  seekAtOrBefore(offset: number): void {
    this.#rows.seekBefore(readKeys.extent(this.#tp, offset + 1))
  }

  seekFirst(): void {
    this.#rows.seekFirst()
  }

  seekLast(): void {
    this.#rows.seekLast()
  }

  next(): void {
    this.#rows.next()
  }

  prev(): void {
    this.#rows.prev()
  }

  extent(): StoredExtent {
    return storedExtent(this.#rows.key(), this.#rows.value())
  }
}

/** @throws CORRUPTION when the object of an extent is not there */
export function objectOf(view: ReadView, objectId: Uint8Array): ObjectRow {
  const key = readKeys.object(objectId)
  const value = view.get(key)
  if (value === undefined) {
    throw corruption(`object ${formatUuid(objectId)} has extents and no row`, {
      key: toHex(key),
    })
  }
  return decodeObject(key, value)
}
