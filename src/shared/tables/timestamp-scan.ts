/**
 * The rows of one table, in key order, that may reach a timestamp. Whole blocks are skipped by
 * their bounds without being read; versions and snapshots are the caller's to sort out.
 */
import type { TableCursor } from '../../codec/table/table-cursor.ts'
import type { TableMemory } from './table-memory.ts'

export class TimestampScan {
  readonly #cursor: TableCursor
  readonly #memory: TableMemory
  readonly #timestamp: number

  /** Stands on the first such row at or after `from`. */
  constructor(cursor: TableCursor, memory: TableMemory, from: Uint8Array, timestamp: number) {
    this.#cursor = cursor
    this.#memory = memory
    this.#timestamp = timestamp
    const block = memory.findBlock(from)
    if (block < memory.blockCount && this.#reaches(block)) {
      cursor.seekGE(from)
      // The seek may have gone on into the next block, whose bounds were not asked.
      if (cursor.valid && !this.#reaches(cursor.blockNumber)) this.#toBlock(cursor.blockNumber + 1)
    } else this.#toBlock(block + 1)
  }

  get valid(): boolean {
    return this.#cursor.valid
  }

  /** Borrowed until it moves. */
  get key(): Uint8Array {
    return this.#cursor.keyBytes.subarray(0, this.#cursor.keyLength)
  }

  get sequence(): number {
    return this.#cursor.sequence
  }

  get isDelete(): boolean {
    return this.#cursor.isDelete
  }

  value(): Uint8Array {
    return this.#cursor.value()
  }

  next(): void {
    const block = this.#cursor.blockNumber
    if (!this.#cursor.nextInBlock()) this.#toBlock(block + 1)
  }

  release(): void {
    this.#cursor.release()
  }

  #toBlock(from: number): void {
    let block = from
    while (block < this.#memory.blockCount && !this.#reaches(block)) block++
    this.#cursor.seekBlock(block)
  }

  #reaches(block: number): boolean {
    return this.#memory.bounds[block * 2 + 1] >= this.#timestamp
  }
}
