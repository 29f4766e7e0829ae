/**
 * The index of a table: for each block a separator key, sizes and the number of rows
 * (docs/table-format.md). A separator is at or after the last key of its block and before the first
 * key of the next one, or equal to both where the versions of one key go on in the next block.
 */
import { compareBytes, getU32 } from '../bytes.ts'
import { corruption } from '../errors.ts'
import {
  BLOCK_RAW_BYTES_MAX,
  BLOCK_RAW_BYTES_MIN,
  BLOCK_TRAILER_BYTES,
  INDEX_HEAD_BYTES,
  INDEX_LINE_BYTES,
  TABLE_KEY_BYTES_MAX,
} from './table-format.ts'
import { sharedBytes } from './table-index-builder.ts'

/** The index in memory: flat arrays, which may lie in shared memory. */
export interface TableIndexParts {
  /** All separators, one after the other. */
  readonly keys: Uint8Array
  /** Where each begins, and where the last one ends: one more than there are blocks. */
  readonly keyOffsets: Uint32Array
  /** The same of the blocks in the file. */
  readonly blockOffsets: Uint32Array
  readonly rawSizes: Uint32Array
  readonly rowCounts: Uint32Array
  /** Of each separator the four bytes after the common ones: they tell most of them apart. */
  readonly heads: Uint32Array
  /** How many bytes all separators have in common. */
  readonly commonBytes: number
}

/** Searched without allocating. Any thread. */
export class TableIndex {
  readonly parts: TableIndexParts
  readonly blockCount: number
  /** Of all blocks together: where the sections begin. */
  readonly dataBytes: number
  readonly #keys: Uint8Array
  readonly #keyOffsets: Uint32Array
  readonly #blockOffsets: Uint32Array
  readonly #rawSizes: Uint32Array
  readonly #rowCounts: Uint32Array
  readonly #commonBytes: number
  readonly #heads: Uint32Array

  /** @param parts borrowed; they must stay as they are */
  constructor(parts: TableIndexParts) {
    this.parts = parts
    this.blockCount = parts.heads.length
    this.#keys = parts.keys
    this.#keyOffsets = parts.keyOffsets
    this.#blockOffsets = parts.blockOffsets
    this.#rawSizes = parts.rawSizes
    this.#rowCounts = parts.rowCounts
    this.#heads = parts.heads
    this.#commonBytes = parts.commonBytes
    this.dataBytes = parts.blockOffsets[this.blockCount]
  }

  /**
   * Decodes the section and copies what it keeps.
   * @throws CORRUPTION when it does not decode.
   */
  static decode(section: Uint8Array): TableIndex {
    const count = section.length < INDEX_HEAD_BYTES ? 0 : getU32(section, 0)
    const linesEnd = INDEX_HEAD_BYTES + count * INDEX_LINE_BYTES
    // Checked before the arrays are made: they are then no larger than the section itself.
    if (section.length < linesEnd || section.length - linesEnd !== getU32(section, 4)) {
      throw corruption(`an index of ${section.length} bytes claims ${count} blocks`)
    }
    const column = (number: number): Uint32Array =>
      readColumn(section, INDEX_HEAD_BYTES + number * count * 4, count)
    const parts = {
      keys: section.slice(linesEnd),
      keyOffsets: startingAtZero(column(0)),
      blockOffsets: runningSum(column(1)),
      rawSizes: column(2),
      rowCounts: column(3),
      heads: new Uint32Array(count),
      commonBytes: 0,
    }
    const plain = new TableIndex(parts)
    plain.#verifySizes()
    plain.#verifyKeys()
    if (count === 0) return plain
    // In order, so that what the first and the last have in common all have.
    const commonBytes = sharedBytes(plain.separator(0), plain.separator(count - 1))
    for (let i = 0; i < count; i++) parts.heads[i] = headOf(plain.separator(i), commonBytes)
    return new TableIndex({ ...parts, commonBytes })
  }

  get rowCount(): number {
    return this.#rowCounts.reduce((sum, rows) => sum + rows, 0)
  }

  get memoryBytes(): number {
    return this.#keys.length + this.blockCount * (INDEX_LINE_BYTES + 4) + 8
  }

  /** The first block whose separator is at or after `key`; blockCount when there is none. */
  find(key: Uint8Array): number {
    const count = this.blockCount
    const common = this.#commonBytes
    let at = 0
    while (at < common && at < key.length && this.#keys[at] === key[at]) at++
    // Before or after all of them, as the key is before or after what they have in common.
    if (at < common) return at === key.length || key[at] < this.#keys[at] ? 0 : count

    const heads = this.#heads
    const keyHead = headOf(key, common)
    let low = -1
    let high = count
    // What the key shares with both ends of the range it shares with everything between them.
    let lowShared = common
    let highShared = common
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      let shared = Math.min(lowShared, highShared)
      let order = heads[middle] - keyHead
      if (order === 0) {
        shared = this.#sharedWith(middle, key, shared)
        order = this.#orderAfter(middle, key, shared)
      }
      if (order < 0) {
        low = middle
        lowShared = shared
      } else {
        high = middle
        highShared = shared
      }
    }
    return high
  }

  /** Where block `i` begins in the file; for blockCount: where the last one ends. */
  offset(i: number): number {
    return this.#blockOffsets[i]
  }

  /** Of block `i` in the file, trailer included. */
  storedBytes(i: number): number {
    return this.#blockOffsets[i + 1] - this.#blockOffsets[i]
  }

  /** Of block `i` when decompressed. */
  rawBytes(i: number): number {
    return this.#rawSizes[i]
  }

  /** Rows of block `i`. */
  rows(i: number): number {
    return this.#rowCounts[i]
  }

  /** The separator of block `i`; a view. */
  separator(i: number): Uint8Array {
    return this.#keys.subarray(this.#keyOffsets[i], this.#keyOffsets[i + 1])
  }

  #verifySizes(): void {
    for (let i = 0; i < this.blockCount; i++) {
      const raw = this.#rawSizes[i]
      const stored = this.storedBytes(i) - BLOCK_TRAILER_BYTES
      const isSane =
        raw >= BLOCK_RAW_BYTES_MIN &&
        raw <= BLOCK_RAW_BYTES_MAX &&
        stored >= 1 &&
        stored <= raw &&
        this.#rowCounts[i] >= 1 &&
        this.#rowCounts[i] <= raw
      if (!isSane) {
        throw corruption(`the index gives block ${i} ${stored} stored and ${raw} raw bytes`)
      }
    }
  }

  #verifyKeys(): void {
    const offsets = this.#keyOffsets
    const count = this.blockCount
    if (offsets[count] !== this.#keys.length) throw corruption('the index has bytes without a key')
    for (let i = 0; i < count; i++) {
      const length = offsets[i + 1] - offsets[i]
      if (length < 0 || length > TABLE_KEY_BYTES_MAX || offsets[i + 1] > this.#keys.length) {
        throw corruption(`the index gives block ${i} a separator of ${length} bytes`)
      }
    }
    for (let i = 1; i < count; i++) {
      if (compareBytes(this.separator(i - 1), this.separator(i)) > 0) {
        throw corruption(`the index has the separators of blocks ${i - 1} and ${i} out of order`)
      }
    }
  }

  #sharedWith(i: number, key: Uint8Array, from: number): number {
    const keys = this.#keys
    const start = this.#keyOffsets[i]
    const shortest = Math.min(this.#keyOffsets[i + 1] - start, key.length)
    let shared = from
    while (shared < shortest && keys[start + shared] === key[shared]) shared++
    return shared
  }

  /** Order of separator `i` and `key`, which have the first `shared` bytes in common, no more. */
  #orderAfter(i: number, key: Uint8Array, shared: number): number {
    const start = this.#keyOffsets[i]
    const length = this.#keyOffsets[i + 1] - start
    if (shared === length || shared === key.length) return length - key.length
    return this.#keys[start + shared] - key[shared]
  }
}

/** Four bytes of `key` from `at` on, as a number; zeros where the key ends. Keeps the order. */
function headOf(key: Uint8Array, at: number): number {
  if (at + 4 <= key.length) {
    return ((key[at] << 24) | (key[at + 1] << 16) | (key[at + 2] << 8) | key[at + 3]) >>> 0
  }
  let head = 0
  for (let i = at; i < at + 4; i++) head = head * 256 + (i < key.length ? key[i] : 0)
  return head
}

function readColumn(section: Uint8Array, at: number, count: number): Uint32Array {
  const column = new Uint32Array(count)
  for (let i = 0; i < count; i++) column[i] = getU32(section, at + i * 4)
  return column
}

function startingAtZero(ends: Uint32Array): Uint32Array {
  const offsets = new Uint32Array(ends.length + 1)
  offsets.set(ends, 1)
  return offsets
}

function runningSum(sizes: Uint32Array): Uint32Array {
  const sums = new Uint32Array(sizes.length + 1)
  let sum = 0
  for (let i = 0; i < sizes.length; i++) {
    sum += sizes[i]
    // Past 32 bits the sum would wrap and might fit again.
    if (sum > 0xffffffff) throw corruption(`the index has blocks past 4 GiB, from ${i} on`)
    sums[i + 1] = sum
  }
  return sums
}
