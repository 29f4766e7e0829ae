/**
 * All of a table but its blocks, in one SharedArrayBuffer: index, filters, timestamp bounds, and
 * for each block the frame of the block cache that holds it. Made once, by whoever opens the table,
 * and mapped by every thread that reads it.
 *
 *   header     64 words, see HEADER
 *   bounds     f64 least | f64 greatest timestamp, a block
 *   u32 columns of the index: key offsets, block offsets (one more than blocks), raw sizes, row
 *              counts, heads
 *   slots      i32 a block: its frame + 1, or 0. Writer: the block cache's owner, by Atomics
 *   bytes      key filter, prefix filter, separators
 *
 * Invariant: everything but the slots and the two `used` words is written before the buffer is
 * handed to another thread, and never after.
 */
import { BloomFilter } from '../../codec/table/bloom-filter.ts'
import type { TableBlocks } from '../../codec/table/table-cursor.ts'
import { TableIndex } from '../../codec/table/table-index.ts'
import { TableReader, type TableSource } from '../../codec/table/table-reader.ts'

/** Words of the header. */
const HEADER = {
  blockCount: 0,
  commonBytes: 1,
  keyBytes: 2,
  keyFilterBytes: 3,
  prefixFilterBytes: 4,
  /** Set by readers, cleared by the clocks of main: of the memory, and of the file. */
  used: 5,
  fileUsed: 6,
  words: 64,
} as const

interface Layout {
  bounds: number
  columns: number
  slots: number
  bytes: number
  end: number
}

function layoutOf(blockCount: number, byteCount: number): Layout {
  const bounds = HEADER.words * 4
  const columns = bounds + blockCount * 16
  const slots = columns + (blockCount * 5 + 2) * 4
  const bytes = slots + blockCount * 4
  return { bounds, columns, slots, bytes, end: bytes + byteCount }
}

export class TableMemory implements TableBlocks {
  readonly memory: SharedArrayBuffer
  /** What errors call the table. */
  readonly name: string
  readonly blockCount: number
  /** Frame of each block in the block cache, plus one; 0 when it is in none. */
  readonly slots: Int32Array
  /** Least and greatest timestamp of each block; the empty range is (Infinity, -Infinity). */
  readonly bounds: Float64Array
  readonly #header: Int32Array
  readonly #index: TableIndex
  readonly #keyFilter: BloomFilter
  readonly #prefixFilter: BloomFilter

  /** Maps what open() has made, on any thread. */
  constructor(memory: SharedArrayBuffer, name: string) {
    this.memory = memory
    this.name = name
    const header = new Int32Array(memory, 0, HEADER.words)
    const count = header[HEADER.blockCount]
    const keyBytes = header[HEADER.keyBytes]
    const keyFilterBytes = header[HEADER.keyFilterBytes]
    const prefixFilterBytes = header[HEADER.prefixFilterBytes]
    const layout = layoutOf(count, keyFilterBytes + prefixFilterBytes + keyBytes)
    let at = layout.columns
    const column = (length: number): Uint32Array => {
      const values = new Uint32Array(memory, at, length)
      at += length * 4
      return values
    }
    const prefixFilterAt = layout.bytes + keyFilterBytes
    this.#header = header
    this.blockCount = count
    this.bounds = new Float64Array(memory, layout.bounds, count * 2)
    this.slots = new Int32Array(memory, layout.slots, count)
    this.#keyFilter = new BloomFilter(new Uint8Array(memory, layout.bytes, keyFilterBytes))
    this.#prefixFilter = new BloomFilter(new Uint8Array(memory, prefixFilterAt, prefixFilterBytes))
    this.#index = new TableIndex({
      keyOffsets: column(count + 1),
      blockOffsets: column(count + 1),
      rawSizes: column(count),
      rowCounts: column(count),
      heads: column(count),
      keys: new Uint8Array(memory, prefixFilterAt + prefixFilterBytes, keyBytes),
      commonBytes: header[HEADER.commonBytes],
    })
  }

  /**
   * Reads and verifies all of a table but its blocks, whose bytes are not looked at.
   * @throws CORRUPTION naming the file and the offset of the part that is damaged
   */
  static open(source: TableSource, name: string): TableMemory {
    const { index, keyFilter, prefixFilter, timestamps } = TableReader.open(source, name).parts
    const { keys, keyOffsets, blockOffsets, rawSizes, rowCounts, heads, commonBytes } = index.parts
    const bytes = [keyFilter.section, prefixFilter.section, keys]
    const byteCount = bytes.reduce((sum, part) => sum + part.length, 0)
    const layout = layoutOf(index.blockCount, byteCount)
    const memory = new SharedArrayBuffer(layout.end)
    const header = new Int32Array(memory, 0, HEADER.words)
    header[HEADER.blockCount] = index.blockCount
    header[HEADER.commonBytes] = commonBytes
    header[HEADER.keyBytes] = keys.length
    header[HEADER.keyFilterBytes] = keyFilter.section.length
    header[HEADER.prefixFilterBytes] = prefixFilter.section.length
    new Float64Array(memory, layout.bounds, timestamps.length).set(timestamps)
    let at = layout.columns
    for (const column of [keyOffsets, blockOffsets, rawSizes, rowCounts, heads]) {
      new Uint32Array(memory, at, column.length).set(column)
      at += column.length * 4
    }
    at = layout.bytes
    for (const part of bytes) {
      new Uint8Array(memory, at, part.length).set(part)
      at += part.length
    }
    return new TableMemory(memory, name)
  }

  get sizeBytes(): number {
    return this.memory.byteLength
  }

  findBlock(key: Uint8Array): number {
    return this.#index.find(key)
  }

  /** Where block `i` begins in the file; for blockCount: where the last one ends. */
  blockOffset(i: number): number {
    return this.#index.offset(i)
  }

  /** Bytes of block `i` in the file, trailer included. */
  storedBytes(i: number): number {
    return this.#index.storedBytes(i)
  }

  /** Bytes of block `i` when decompressed. */
  rawBytes(i: number): number {
    return this.#index.rawBytes(i)
  }

  /** False: no row of this user key is in the table, not even a delete. */
  mayContainKey(key: Uint8Array): boolean {
    return this.#keyFilter.mayContain(key)
  }

  /** False: no key of the table has this prefix, if it is one that filters know. */
  mayContainPrefix(prefix: Uint8Array): boolean {
    return this.#prefixFilter.mayContain(prefix)
  }

  /** A read has used the memory. Racing readers all write 1, so no atomic is needed. */
  markUsed(): void {
    this.#header[HEADER.used] = 1
  }

  /** A read has gone to the table's file. */
  markFileUsed(): void {
    this.#header[HEADER.fileUsed] = 1
  }

  /** Whether the memory was used since this was asked last. Main only. */
  takeUsed(): boolean {
    return Atomics.exchange(this.#header, HEADER.used, 0) === 1
  }

  /** Whether the file was read since this was asked last. Main only. */
  takeFileUsed(): boolean {
    return Atomics.exchange(this.#header, HEADER.fileUsed, 0) === 1
  }
}
