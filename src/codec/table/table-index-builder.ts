/** Builds the index of a table, and chooses its separators (docs/table-format.md). */
import { ByteWriter } from '../bytes.ts'
import { INDEX_HEAD_BYTES, INDEX_LINE_BYTES } from './table-format.ts'

/**
 * The shorter of `last` and the beginning of `next` that still tells the two apart; a view of one
 * of them. It is taken from `next`, not made by counting `last` up, because looking for the last
 * row before a key is the common search, and this keeps it within the first of the two blocks.
 */
export function separatorOf(last: Uint8Array, next: Uint8Array): Uint8Array {
  const length = sharedBytes(last, next) + 1
  return length < last.length && length < next.length ? next.subarray(0, length) : last
}

export class TableIndexBuilder {
  readonly #keys = new ByteWriter(4096)
  readonly #keyEnds = new ByteWriter(1024)
  readonly #storedSizes = new ByteWriter(1024)
  readonly #rawSizes = new ByteWriter(1024)
  readonly #rowCounts = new ByteWriter(1024)

  get blockCount(): number {
    return this.#keyEnds.length >>> 2
  }

  /** Size of the section that finish() would make. */
  get sizeBytes(): number {
    return INDEX_HEAD_BYTES + this.blockCount * INDEX_LINE_BYTES + this.#keys.length
  }

  /** Adds the next block; `separator` is copied. */
  add(separator: Uint8Array, storedBytes: number, rawBytes: number, rowCount: number): void {
    this.#keys.raw(separator)
    this.#keyEnds.u32(this.#keys.length)
    this.#storedSizes.u32(storedBytes)
    this.#rawSizes.u32(rawBytes)
    this.#rowCounts.u32(rowCount)
  }

  finish(): Uint8Array {
    return new ByteWriter(this.sizeBytes)
      .u32(this.blockCount)
      .u32(this.#keys.length)
      .raw(this.#keyEnds.view())
      .raw(this.#storedSizes.view())
      .raw(this.#rawSizes.view())
      .raw(this.#rowCounts.view())
      .raw(this.#keys.view())
      .view()
  }
}

/** How many bytes two keys have in common from their beginning. */
export function sharedBytes(a: Uint8Array, b: Uint8Array): number {
  const shortest = Math.min(a.length, b.length)
  let shared = 0
  while (shared < shortest && a[shared] === b[shared]) shared++
  return shared
}
