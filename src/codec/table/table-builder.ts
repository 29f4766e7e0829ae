/**
 * Builds a sorted table from rows in order (docs/table-format.md). The whole file stands in memory,
 * because tables are split at 64 MiB and an upload wants its bytes again when it is retried.
 */
import { ByteWriter } from '../bytes.ts'
import { lz4Compress } from '../lz4.ts'
import { BlockBuilder } from './block-builder.ts'
import { BloomFilterBuilder } from './bloom-filter.ts'
import { putChecksum } from './table-checksum.ts'
import { appendDirectory, appendSection } from './table-footer.ts'
import {
  BLOCK_BYTES_DEFAULT,
  BLOCK_BYTES_MAX,
  BLOCK_COMPRESSION,
  BLOCK_TRAILER_BYTES,
  CHECKSUM_BYTES,
  COMPRESSED_SHARE_MAX,
  DIRECTORY_LINE_BYTES,
  DOMAIN_BYTES,
  ENTRY_HEAD_BYTES_MAX,
  FOOTER_BYTES,
  SECTION_TYPE,
  TABLE_BYTES_MAX,
  TABLE_KEY_BYTES_MAX,
  TABLE_VALUE_BYTES_MAX,
  TABLE_VERSION,
} from './table-format.ts'
import { separatorOf, TableIndexBuilder } from './table-index-builder.ts'
import { encodeProperties, type TableProperties } from './table-properties.ts'
import { TimestampBoundsBuilder } from './timestamp-bounds.ts'

/** Properties without their keys, directory and footer. */
const FIXED_BYTES: number = 80 + 5 * DIRECTORY_LINE_BYTES + FOOTER_BYTES

export interface TableBuilderOptions {
  /** The 16 bytes of the domain's uuid. */
  readonly domain: Uint8Array
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  readonly compression: 'lz4' | 'none'
  /** Bytes of a block before compression, 64 B to 1 MiB; default 8 KiB. */
  readonly blockBytes?: number
  /** Length of the prefix of `key` that the prefix filter holds; 0: none. */
  readonly prefixLength: (key: Uint8Array) => number
  /** Timestamp of a row that has one, a safe integer; not asked for deletes. */
  readonly timestampOf: (key: Uint8Array, value: Uint8Array) => number | undefined
}

export interface BuiltTable {
  /** The whole file; the caller's. Its buffer may be larger. */
  readonly bytes: Uint8Array
  readonly properties: TableProperties
}

/** One table; a builder is of no use after finish(). Used by one thread. */
export class TableBuilder {
  readonly #options: TableBuilderOptions
  readonly #blockBytes: number
  readonly #out = new ByteWriter(1048576)
  readonly #block = new BlockBuilder()
  readonly #index = new TableIndexBuilder()
  readonly #keyFilter = new BloomFilterBuilder()
  readonly #prefixFilter = new BloomFilterBuilder()
  readonly #timestamps = new TimestampBoundsBuilder()
  #lastKey = new Uint8Array(256)
  #lastKeyLength = 0
  #lastSequence = 0
  #lastPrefixLength = 0
  #smallestKey = new Uint8Array(0)
  #smallestSequence = Infinity
  #greatestSequence = 0
  #rowCount = 0
  #deleteCount = 0
  #rawBytes = 0
  #isFinished = false

  constructor(options: TableBuilderOptions) {
    const { domain, createdAt, blockBytes = BLOCK_BYTES_DEFAULT } = options
    if (domain.length !== DOMAIN_BYTES) throw new RangeError(`domain has ${domain.length} bytes`)
    if (!isCount(createdAt)) throw new RangeError(`createdAt is ${createdAt}`)
    if (!isCount(blockBytes) || blockBytes < 64 || blockBytes > BLOCK_BYTES_MAX) {
      throw new RangeError(`blockBytes is ${blockBytes}, not 64 to ${BLOCK_BYTES_MAX}`)
    }
    this.#options = { ...options, domain: domain.slice() }
    this.#blockBytes = blockBytes
  }

  /** Rows added, deletes included. */
  get rowCount(): number {
    return this.#rowCount
  }

  /** Estimate of the file if it were finished now; the open block counts uncompressed. */
  get sizeBytes(): number {
    const open = this.#block.rowCount === 0 ? 0 : this.#block.sizeBytes + BLOCK_TRAILER_BYTES
    const sections =
      this.#index.sizeBytes +
      this.#keyFilter.sizeBytes +
      this.#prefixFilter.sizeBytes +
      this.#timestamps.sizeBytes
    const keys = this.#smallestKey.length + this.#lastKeyLength
    return this.#out.length + open + sections + keys + FIXED_BYTES
  }

  /**
   * Adds a row: keys ascending, of one key the sequences descending. A delete has an empty value.
   * Key and value are borrowed for the call.
   * @throws RangeError when the row is out of order or past a limit, or the options' functions give
   * what they may not, and what those throw; the builder is then as before.
   */
  add(key: Uint8Array, sequence: number, isDelete: boolean, value: Uint8Array): void {
    this.#verifyRow(key, sequence, isDelete, value)
    const shared = this.#sharedWithLast(key)
    const isNewKey = this.#verifyOrder(key, shared, sequence)
    // What may be refused comes before what changes the builder.
    const timestamp = isDelete ? undefined : this.#timestampOf(key, value)
    const prefixLength = isNewKey ? this.#prefixLengthOf(key) : 0
    // The key counts whole here: it will be, if the row becomes the first of the next block.
    const rowBytes = ENTRY_HEAD_BYTES_MAX + key.length + value.length
    if (this.#block.rowCount > 0 && this.#block.sizeBytes + rowBytes > this.#blockBytes) {
      this.#finishBlock(key)
    }
    if (isNewKey) this.#addToFilters(key, shared, prefixLength)
    this.#block.add(key, shared, sequence, isDelete, value)
    if (timestamp !== undefined) this.#timestamps.add(timestamp)
    this.#count(key, sequence, isDelete, value)
    this.#keepLast(key, shared, sequence)
  }

  /**
   * Ends the file. A table without rows is a legal one.
   * @throws RangeError when the file is larger than the format allows.
   */
  finish(): BuiltTable {
    this.#verifyOpen()
    this.#isFinished = true
    const greatestKey = this.#lastKey.slice(0, this.#lastKeyLength)
    if (this.#block.rowCount > 0) this.#finishBlock(undefined)
    const properties: TableProperties = {
      formatVersion: TABLE_VERSION,
      domain: this.#options.domain,
      createdAt: this.#options.createdAt,
      rowCount: this.#rowCount,
      deleteCount: this.#deleteCount,
      rawBytes: this.#rawBytes,
      smallestSequence: this.#rowCount === 0 ? 0 : this.#smallestSequence,
      greatestSequence: this.#greatestSequence,
      smallestKey: this.#smallestKey,
      greatestKey,
    }
    const out = this.#out
    appendDirectory(out, [
      appendSection(out, SECTION_TYPE.index, this.#index.finish()),
      appendSection(out, SECTION_TYPE.keyFilter, this.#keyFilter.finish()),
      appendSection(out, SECTION_TYPE.prefixFilter, this.#prefixFilter.finish()),
      appendSection(out, SECTION_TYPE.timestamps, this.#timestamps.finish()),
      appendSection(out, SECTION_TYPE.properties, encodeProperties(properties)),
    ])
    if (out.length > TABLE_BYTES_MAX) throw new RangeError(`a table of ${out.length} bytes`)
    return { bytes: out.view(), properties }
  }

  #verifyOpen(): void {
    if (this.#isFinished) throw new RangeError('the table is finished')
  }

  #verifyRow(key: Uint8Array, sequence: number, isDelete: boolean, value: Uint8Array): void {
    this.#verifyOpen()
    if (key.length > TABLE_KEY_BYTES_MAX) throw new RangeError(`a key of ${key.length} bytes`)
    if (value.length > TABLE_VALUE_BYTES_MAX) {
      throw new RangeError(`a value of ${value.length} bytes`)
    }
    if (isDelete && value.length > 0) throw new RangeError('a delete with a value')
    if (!isCount(sequence)) throw new RangeError(`a sequence of ${sequence}`)
  }

  #sharedWithLast(key: Uint8Array): number {
    const last = this.#lastKey
    const shortest = Math.min(key.length, this.#lastKeyLength)
    let shared = 0
    while (shared < shortest && key[shared] === last[shared]) shared++
    return shared
  }

  /** Returns whether the key is another than the last. */
  #verifyOrder(key: Uint8Array, shared: number, sequence: number): boolean {
    if (this.#rowCount === 0) return true
    const isLonger = shared === this.#lastKeyLength
    if (isLonger && shared === key.length) {
      if (sequence < this.#lastSequence) return false
      throw new RangeError(`sequence ${sequence} after ${this.#lastSequence} of the same key`)
    }
    const isAscending = isLonger || (shared < key.length && key[shared] > this.#lastKey[shared])
    if (!isAscending) throw new RangeError('a key before or within the last one')
    return true
  }

  #timestampOf(key: Uint8Array, value: Uint8Array): number | undefined {
    const timestamp = this.#options.timestampOf(key, value)
    if (timestamp !== undefined && !Number.isSafeInteger(timestamp)) {
      throw new RangeError(`a timestamp is a safe integer, not ${timestamp}`)
    }
    return timestamp
  }

  #prefixLengthOf(key: Uint8Array): number {
    const length = this.#options.prefixLength(key)
    if (length >= 0 && length <= key.length) return length
    throw new RangeError(`a prefix of ${length} bytes of a key of ${key.length}`)
  }

  /** Keys with one prefix stand together, so looking at the key before is enough. */
  #addToFilters(key: Uint8Array, shared: number, prefixLength: number): void {
    this.#keyFilter.add(key, key.length)
    const isSame = prefixLength === this.#lastPrefixLength && prefixLength <= shared
    if (prefixLength > 0 && !isSame) this.#prefixFilter.add(key, prefixLength)
    this.#lastPrefixLength = prefixLength
  }

  #count(key: Uint8Array, sequence: number, isDelete: boolean, value: Uint8Array): void {
    if (this.#rowCount === 0) this.#smallestKey = key.slice()
    this.#rowCount++
    if (isDelete) this.#deleteCount++
    this.#rawBytes += key.length + value.length
    if (sequence < this.#smallestSequence) this.#smallestSequence = sequence
    if (sequence > this.#greatestSequence) this.#greatestSequence = sequence
  }

  #keepLast(key: Uint8Array, shared: number, sequence: number): void {
    if (key.length > this.#lastKey.length) {
      const grown = new Uint8Array(Math.max(key.length, this.#lastKey.length * 2))
      grown.set(this.#lastKey.subarray(0, this.#lastKeyLength))
      this.#lastKey = grown
    }
    const last = this.#lastKey
    for (let i = shared; i < key.length; i++) last[i] = key[i]
    this.#lastKeyLength = key.length
    this.#lastSequence = sequence
  }

  /** `next` is the first key of the block to come; undefined for the last block. */
  #finishBlock(next: Uint8Array | undefined): void {
    const raw = this.#block.finish()
    const compressed = this.#options.compression === 'lz4' ? lz4Compress(raw) : raw
    const isKept = compressed.length <= raw.length * COMPRESSED_SHARE_MAX
    const stored = isKept ? compressed : raw
    const out = this.#out
    const start = out.length
    out.raw(stored).u8(isKept ? BLOCK_COMPRESSION.lz4 : BLOCK_COMPRESSION.none)
    out.reserve(CHECKSUM_BYTES)
    putChecksum(out.bytes, out.length, out.bytes.subarray(start, out.length))
    out.length += CHECKSUM_BYTES
    const last = this.#lastKey.subarray(0, this.#lastKeyLength)
    const separator = next === undefined ? last : separatorOf(last, next)
    this.#index.add(separator, out.length - start, raw.length, this.#block.rowCount)
    this.#timestamps.finishBlock()
    this.#block.reset()
  }
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}
