/**
 * A row batch: the final rows of one write, as Raft carries them and every replica applies them
 * (docs/row-format.md). Little-endian:
 *
 *   u8 version | 16 domain uuid | u64 sequence | u32 rows |
 *   rows x { u8 operation | varint key length | key | varint value length | value }
 *
 * A delete has no value. No key stands in a batch twice.
 */
import { ByteReader, ByteWriter, putU32 } from './bytes.ts'
import { corruption } from './errors.ts'
import { UUID_BYTES } from './uuid.ts'

export const ROW_BATCH_VERSION = 1

/** These values are on disk and never change. */
export const ROW_OPERATION = { put: 0, delete: 1 } as const

const COUNT_AT: number = 1 + UUID_BYTES + 8

/** Builds one batch after another in the same memory. */
export class RowBatchBuilder {
  readonly #out = new ByteWriter(4096)
  count = 0
  /** Sums over the batch's rows. */
  keyBytes = 0
  valueBytes = 0

  begin(domain: Uint8Array, sequence: number): this {
    this.#out.reset().u8(ROW_BATCH_VERSION).raw(domain).u64(sequence).u32(0)
    this.count = 0
    this.keyBytes = 0
    this.valueBytes = 0
    return this
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#out.u8(ROW_OPERATION.put).blob(key).blob(value)
    this.count++
    this.keyBytes += key.length
    this.valueBytes += value.length
  }

  delete(key: Uint8Array): void {
    this.#out.u8(ROW_OPERATION.delete).blob(key)
    this.count++
    this.keyBytes += key.length
  }

  /** The whole batch; borrowed until the next begin(). */
  finish(): Uint8Array {
    putU32(this.#out.bytes, COUNT_AT, this.count)
    return this.#out.view()
  }
}

export interface RowBatchHeader {
  domain: Uint8Array
  sequence: number
  count: number
}

export function readBatchHeader(reader: ByteReader): RowBatchHeader {
  const version = reader.u8()
  if (version !== ROW_BATCH_VERSION) throw corruption(`row batch version ${version} is not known`)
  return { domain: reader.raw(UUID_BYTES), sequence: reader.u64(), count: reader.u32() }
}

/** Walks the rows of a batch without allocating; positions are into `bytes`. */
export class RowBatchReader {
  bytes: Uint8Array = new Uint8Array(0)
  header: RowBatchHeader = { domain: this.bytes, sequence: 0, count: 0 }
  isDelete = false
  keyStart = 0
  keyLength = 0
  valueStart = 0
  valueLength = 0
  #left = 0
  #reader = new ByteReader(this.bytes, 'row batch')

  /** @throws CORRUPTION when the header does not decode. */
  reset(bytes: Uint8Array, start = 0, end: number = bytes.length): this {
    this.bytes = bytes
    this.#reader = new ByteReader(bytes, 'row batch', start, end)
    this.header = readBatchHeader(this.#reader)
    this.#left = this.header.count
    return this
  }

  /** Moves to the next row; false at the end. */
  next(): boolean {
    const reader = this.#reader
    if (this.#left === 0) {
      reader.expectEnd()
      return false
    }
    this.#left--
    const operation = reader.u8()
    if (operation > ROW_OPERATION.delete) throw corruption(`unknown row operation ${operation}`)
    this.isDelete = operation === ROW_OPERATION.delete
    this.keyLength = reader.varint()
    this.keyStart = reader.need(this.keyLength)
    this.valueLength = this.isDelete ? 0 : reader.varint()
    this.valueStart = reader.need(this.valueLength)
    return true
  }
}

/** The sequence of an encoded batch. @throws CORRUPTION when its header does not decode */
export function batchSequence(bytes: Uint8Array): number {
  return readBatchHeader(new ByteReader(bytes, 'row batch')).sequence
}

/** Makes an encoded batch another domain's, in place. */
export function setBatchDomain(bytes: Uint8Array, domain: Uint8Array): void {
  bytes.set(domain, 1)
}
