/**
 * A cursor over a whole table, both ways. The versions of one user key may go on from block to
 * block: a seek lands on the first of them, the newest.
 */
import { BlockCursor } from './block-cursor.ts'

const NO_NUMBER = -1

/** What a cursor asks of a table: a TableReader, or its memory that several threads share. */
export interface TableBlocks {
  readonly name: string
  readonly blockCount: number
  /** The first block that may hold a key at or after `key`; blockCount when none does. */
  findBlock(key: Uint8Array): number
}

export class TableCursor {
  readonly #reader: TableBlocks
  readonly #blockOf: (i: number) => Uint8Array
  readonly #cursor = new BlockCursor()
  /** The block that #cursor holds. */
  #number: number = NO_NUMBER

  /**
   * `blockOf` gives a block's raw bytes, from a cache or by reader.readBlock; they must stay as
   * they are until it is asked for another or release() is called. What it throws passes through,
   * and the cursor then stands nowhere.
   */
  constructor(reader: TableBlocks, blockOf: (i: number) => Uint8Array) {
    this.#reader = reader
    this.#blockOf = blockOf
  }

  /** Whether it stands on an entry. Moves from nowhere lead nowhere; a seek is needed. */
  get valid(): boolean {
    return this.#cursor.valid
  }

  /** The user key is bytes [0, keyLength); the cursor's own, until it moves. */
  get keyBytes(): Uint8Array {
    return this.#cursor.keyBytes
  }

  get keyLength(): number {
    return this.#cursor.keyLength
  }

  get sequence(): number {
    return this.#cursor.sequence
  }

  get isDelete(): boolean {
    return this.#cursor.isDelete
  }

  /** True: this is its key's newest version. False: not known without looking at the one before. */
  get isFirstVersion(): boolean {
    return this.#cursor.isFirstVersion
  }

  /** The value is bytes [valueStart, valueStart + valueLength) of block `blockNumber`. */
  get valueStart(): number {
    return this.#cursor.valueStart
  }

  get valueLength(): number {
    return this.#cursor.valueLength
  }

  /** The block that it stands in; -1 when it holds none. */
  get blockNumber(): number {
    return this.#number
  }

  /** A new view of the value in the block; empty for a delete. */
  value(): Uint8Array {
    return this.#cursor.value()
  }

  /** Order of the current user key and `target`: below, at or above 0. */
  compareKey(target: Uint8Array): number {
    return this.#cursor.compareKey(target)
  }

  seekFirst(): boolean {
    return this.#toFirstOf(0)
  }

  seekLast(): boolean {
    return this.#toLastOf(this.#reader.blockCount - 1)
  }

  /** To the newest version of the first user key at or after `key`. */
  seekGE(key: Uint8Array): boolean {
    const number = this.#reader.findBlock(key)
    if (number === this.#reader.blockCount) return this.#nowhere()
    this.#load(number)
    // The separator may be after the last key: then all keys of the next block are after `key`.
    return this.#cursor.seekGE(key) || this.#toFirstOf(number + 1)
  }

  /** To the oldest version of the last user key before `key`. */
  seekLT(key: Uint8Array): boolean {
    const number = this.#reader.findBlock(key)
    if (number === this.#reader.blockCount) return this.#toLastOf(number - 1)
    this.#load(number)
    return this.#cursor.seekLT(key) || this.#toLastOf(number - 1)
  }

  /** To the first entry of block `number`; false, and it stands nowhere, past the last block. */
  seekBlock(number: number): boolean {
    return this.#toFirstOf(number)
  }

  /** As next(), but false at the end of the block, where it then stands nowhere. */
  nextInBlock(): boolean {
    return this.#cursor.next()
  }

  /** False, and it stands nowhere, after the last row. */
  next(): boolean {
    if (!this.#cursor.valid) return false
    return this.#cursor.next() || this.#toFirstOf(this.#number + 1)
  }

  /** False, and it stands nowhere, before the first row. */
  prev(): boolean {
    if (!this.#cursor.valid) return false
    return this.#cursor.prev() || this.#toLastOf(this.#number - 1)
  }

  /** Stands nowhere and holds no block. It may be used again. */
  release(): void {
    this.#cursor.clear()
    this.#number = NO_NUMBER
  }

  #toFirstOf(number: number): boolean {
    if (number >= this.#reader.blockCount) return this.#nowhere()
    this.#load(number)
    return this.#cursor.seekFirst()
  }

  #toLastOf(number: number): boolean {
    if (number < 0) return this.#nowhere()
    this.#load(number)
    return this.#cursor.seekLast()
  }

  #load(number: number): void {
    if (number === this.#number) return
    this.release()
    this.#cursor.reset(this.#blockOf(number), this.#reader.name, number)
    this.#number = number
  }

  #nowhere(): boolean {
    this.release()
    return false
  }
}
