/**
 * Opens a table and reads its blocks (docs/table-format.md). No I/O of its own: bytes come from a
 * TableSource. Index, filters and bounds stay in memory; blocks are the caller's to cache.
 */
import { equalBytes } from '../bytes.ts'
import { type CorruptionPlace, corruption, MetastoreError } from '../errors.ts'
import { lz4Decompress } from '../lz4.ts'
import { BloomFilter } from './bloom-filter.ts'
import { verifyChecksum } from './table-checksum.ts'
import { decodeDirectory, decodeFooter, type TableSection } from './table-footer.ts'
import {
  BLOCK_COMPRESSION,
  BLOCK_TRAILER_BYTES,
  CHECKSUM_BYTES,
  FOOTER_BYTES,
  SECTION_TYPE,
  type SectionType,
  TABLE_BYTES_MAX,
} from './table-format.ts'
import { TableIndex } from './table-index.ts'
import { decodeProperties, type TableProperties } from './table-properties.ts'
import { decodeTimestampBounds, type TimestampBounds } from './timestamp-bounds.ts'

/** Where the bytes of a table come from. Errors that it throws pass through unchanged. */
export interface TableSource {
  readonly sizeBytes: number
  /** Bytes [offset, offset + length); the reader is done with them before it reads again. */
  read(offset: number, length: number): Uint8Array
}

/** All of a table but its blocks, verified. */
export interface TableParts {
  readonly properties: TableProperties
  readonly index: TableIndex
  readonly keyFilter: BloomFilter
  readonly prefixFilter: BloomFilter
  /** Least and greatest of each block in turn. */
  readonly timestamps: Float64Array
}

/** A table that was opened. Immutable, but for what its source does. */
export class TableReader {
  /** What errors call the file. */
  readonly name: string
  readonly properties: TableProperties
  readonly #source: TableSource
  /** Owned by the reader. */
  readonly parts: TableParts

  private constructor(source: TableSource, name: string, parts: TableParts) {
    this.name = name
    this.properties = parts.properties
    this.#source = source
    this.parts = parts
  }

  /**
   * Reads and verifies all but the blocks.
   * @throws CORRUPTION naming the file and the offset of the part that is damaged.
   */
  static open(source: TableSource, name: string): TableReader {
    const { sizeBytes } = source
    if (!(sizeBytes >= FOOTER_BYTES && sizeBytes <= TABLE_BYTES_MAX)) {
      throw corruption(`${name}: ${sizeBytes} bytes are no table`, { file: name, offset: 0 })
    }
    const sections = readDirectory(source, name)
    const section = <T>(type: SectionType, decode: (bytes: Uint8Array) => T): T =>
      readSection(source, name, sections, type, decode)
    const properties = section(SECTION_TYPE.properties, decodeProperties)
    const index = section(SECTION_TYPE.index, bytes => {
      const decoded = TableIndex.decode(bytes)
      verifyIndex(decoded, properties, sections[0].offset)
      return decoded
    })
    return new TableReader(source, name, {
      properties,
      index,
      keyFilter: section(SECTION_TYPE.keyFilter, bytes => new BloomFilter(bytes.slice())),
      prefixFilter: section(SECTION_TYPE.prefixFilter, bytes => new BloomFilter(bytes.slice())),
      timestamps: section(SECTION_TYPE.timestamps, bytes =>
        decodeTimestampBounds(bytes, index.blockCount),
      ),
    })
  }

  get blockCount(): number {
    return this.parts.index.blockCount
  }

  /** Estimate of what the reader keeps in memory. */
  get memoryBytes(): number {
    const { index, keyFilter, prefixFilter, timestamps } = this.parts
    const filters = keyFilter.memoryBytes + prefixFilter.memoryBytes
    return index.memoryBytes + filters + timestamps.byteLength + 1024
  }

  /** The first block that may hold a key at or after `key`; blockCount when none does. */
  findBlock(key: Uint8Array): number {
    return this.parts.index.find(key)
  }

  /** Rows of block `i`, deletes included. */
  blockRowCount(i: number): number {
    this.#verifyNumber(i)
    return this.parts.index.rows(i)
  }

  /**
   * Reads block `i`, verified and decompressed; the caller's.
   * @throws CORRUPTION naming file, block and offset in the file; whatever the source throws.
   */
  readBlock(i: number): Uint8Array {
    this.#verifyNumber(i)
    const { index } = this.parts
    const offset = index.offset(i)
    const length = index.storedBytes(i)
    const place = { file: this.name, block: i, offset }
    const bytes = readExactly(this.#source, place, offset, length)
    return decodeStoredBlock(bytes, index.rawBytes(i), place)
  }

  /** False: no row of this user key is in the table, not even a delete. */
  mayContainKey(key: Uint8Array): boolean {
    return this.parts.keyFilter.mayContain(key)
  }

  /** False: no key of the table has this prefix, if it is one that the builder was told of. */
  mayContainPrefix(prefix: Uint8Array): boolean {
    return this.parts.prefixFilter.mayContain(prefix)
  }

  /** Of the rows of block `i` that have a timestamp; undefined when none has. */
  timestampBounds(i: number): TimestampBounds | undefined {
    this.#verifyNumber(i)
    const { timestamps } = this.parts
    const least = timestamps[i * 2]
    return least === Infinity ? undefined : { least, greatest: timestamps[i * 2 + 1] }
  }

  #verifyNumber(i: number): void {
    if (!(i >= 0 && i < this.blockCount)) {
      throw new RangeError(`block ${i} of ${this.blockCount} in ${this.name}`)
    }
  }
}

function readDirectory(source: TableSource, name: string): TableSection[] {
  const footerPlace = { file: name, offset: source.sizeBytes - FOOTER_BYTES }
  const footerBytes = readExactly(source, footerPlace, footerPlace.offset, FOOTER_BYTES)
  const footer = located(footerPlace, () => decodeFooter(footerBytes, source.sizeBytes))
  const place = { file: name, offset: footer.directoryOffset }
  const bytes = readExactly(source, place, place.offset, footer.directoryBytes)
  return located(place, () => decodeDirectory(bytes, footer))
}

/** A type that this reader does not know is never asked for: that is how it is skipped. */
function readSection<T>(
  source: TableSource,
  name: string,
  sections: readonly TableSection[],
  type: SectionType,
  decode: (bytes: Uint8Array) => T,
): T {
  const section = sections.find(candidate => candidate.type === type)
  if (section === undefined) throw corruption(`${name} has no section ${type}`, { file: name })
  const place = { file: name, offset: section.offset }
  const bytes = readExactly(source, place, section.offset, section.sizeBytes)
  return located(place, () => {
    verifyChecksum(section.checksum, 0, bytes, `section ${type}`)
    return decode(bytes)
  })
}

function verifyIndex(index: TableIndex, properties: TableProperties, sectionsOffset: number): void {
  if (index.dataBytes !== sectionsOffset) {
    throw corruption(`blocks of ${index.dataBytes} bytes before sections at ${sectionsOffset}`)
  }
  if (index.rowCount !== properties.rowCount) {
    throw corruption(`${index.rowCount} rows in the index, ${properties.rowCount} in all`)
  }
  // The last separator is not shortened, so that a key past the last row is known to be.
  const { blockCount } = index
  if (blockCount > 0 && !equalBytes(index.separator(blockCount - 1), properties.greatestKey)) {
    throw corruption('the index does not end with the greatest key')
  }
}

/**
 * A block from its stored bytes, trailer included: verified, decompressed, and the caller's.
 * @throws CORRUPTION naming the place
 */
export function decodeStoredBlock(
  bytes: Uint8Array,
  rawBytes: number,
  place: CorruptionPlace,
): Uint8Array {
  return located(place, () => decodeBlock(bytes, rawBytes))
}

function decodeBlock(bytes: Uint8Array, rawBytes: number): Uint8Array {
  const checksumAt = bytes.length - CHECKSUM_BYTES
  verifyChecksum(bytes, checksumAt, bytes.subarray(0, checksumAt), 'the block')
  const storedBytes = bytes.length - BLOCK_TRAILER_BYTES
  const stored = bytes.subarray(0, storedBytes)
  const compression = bytes[storedBytes]
  if (compression === BLOCK_COMPRESSION.lz4) return lz4Decompress(stored, rawBytes)
  if (compression !== BLOCK_COMPRESSION.none) {
    throw corruption(`compression ${compression} is not known`)
  }
  if (storedBytes !== rawBytes) throw corruption(`${storedBytes} bytes, not ${rawBytes}`)
  return stored.slice()
}

function readExactly(
  source: TableSource,
  place: CorruptionPlace,
  offset: number,
  length: number,
): Uint8Array {
  const bytes = source.read(offset, length)
  if (bytes.length !== length) {
    throw corruption(`${place.file} gives ${bytes.length} of ${length} bytes at ${offset}`, place)
  }
  return bytes
}

/** Runs a decoder that knows what is wrong, and adds to its CORRUPTION where. */
function located<T>(place: CorruptionPlace, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (!(error instanceof MetastoreError && error.code === 'CORRUPTION')) throw error
    const block = place.block === undefined ? '' : `block ${place.block}, `
    throw new MetastoreError(
      'CORRUPTION',
      `${place.file}: ${block}offset ${place.offset}: ${error.message}`,
      { details: place, cause: error },
    )
  }
}
