/** A table as a source of rows at a snapshot: versions that are too new are passed over. */
import { compareBytes, equalBytes } from '../codec/bytes.ts'
import { filterPrefixBytes, prefixEnd } from '../codec/keys.ts'
import { TableCursor } from '../codec/table/table-cursor.ts'
import type { TableReader } from '../codec/table/table-reader.ts'
import type { RowCursor } from './row-cursor.ts'
import type { SortedTable } from './snapshot.ts'

export class Table implements SortedTable {
  readonly #reader: TableReader
  readonly #blockOf: (block: number) => Uint8Array
  /** For point reads, which never overlap. */
  readonly #lookup: TableCursor
  /** Cursors that were given back. */
  readonly #idle: TableRowCursor[] = []

  /** @param blockOf gives verified, decompressed blocks; it may keep them */
  constructor(reader: TableReader, blockOf: (block: number) => Uint8Array) {
    this.#reader = reader
    this.#blockOf = blockOf
    this.#lookup = new TableCursor(reader, blockOf)
  }

  mayHoldPrefix(prefix: Uint8Array): boolean {
    const { smallestKey, greatestKey } = this.#reader.properties
    const end = prefixEnd(prefix)
    if (compareBytes(greatestKey, prefix) < 0) return false
    if (end !== undefined && compareBytes(smallestKey, end) >= 0) return false
    const filtered = filterPrefixBytes(prefix)
    return filtered === 0 || this.#reader.mayContainPrefix(prefix.subarray(0, filtered))
  }

  get(key: Uint8Array, sequence: number): Uint8Array | null | undefined {
    if (!this.#reader.mayContainKey(key)) return undefined
    const cursor = this.#lookup
    for (cursor.seekGE(key); cursor.valid; cursor.next()) {
      if (cursor.compareKey(key) !== 0) return undefined
      if (cursor.sequence <= sequence) return cursor.isDelete ? null : cursor.value()
    }
    return undefined
  }

  borrowCursor(sequence: number): RowCursor {
    const cursor =
      this.#idle.pop() ?? new TableRowCursor(new TableCursor(this.#reader, this.#blockOf))
    cursor.begin(sequence)
    return cursor
  }

  giveBack(cursor: RowCursor): void {
    if (cursor instanceof TableRowCursor) this.#idle.push(cursor)
  }
}

class TableRowCursor implements RowCursor {
  readonly #cursor: TableCursor
  #sequence = 0
  /** The row, copied: going backward, the cursor has to look one key further. */
  #key: Uint8Array = new Uint8Array(0)
  #value: Uint8Array = this.#key
  #isDelete = false
  #isValid = false
  /** Whether the cursor stands on the row's own key or already on the key before it. */
  #isAhead = false

  constructor(cursor: TableCursor) {
    this.#cursor = cursor
  }

  begin(sequence: number): void {
    this.#sequence = sequence
    this.#isValid = false
  }

  get valid(): boolean {
    return this.#isValid
  }

  seek(key: Uint8Array): void {
    this.#cursor.seekGE(key)
    this.#settleForward()
  }

  seekBefore(key: Uint8Array): void {
    this.#cursor.seekLT(key)
    this.#settleBackward()
  }

  next(): void {
    if (this.#isAhead) this.#cursor.seekGE(this.#key)
    const cursor = this.#cursor
    while (cursor.valid && cursor.compareKey(this.#key) === 0) cursor.next()
    this.#settleForward()
  }

  prev(): void {
    if (!this.#isAhead) this.#cursor.seekLT(this.#key)
    this.#settleBackward()
  }

  key(): Uint8Array {
    return this.#key
  }

  value(): Uint8Array {
    return this.#value
  }

  isDelete(): boolean {
    return this.#isDelete
  }

  /** From the newest version of a key, forward to the first version that the snapshot sees. */
  #settleForward(): void {
    const cursor = this.#cursor
    while (cursor.valid && cursor.sequence > this.#sequence) cursor.next()
    this.#isAhead = false
    this.#isValid = cursor.valid
    if (cursor.valid) this.#take()
  }

  /**
   * From the oldest version of a key, backward: versions come oldest first, so of each key the last
   * one that the snapshot sees counts.
   */
  #settleBackward(): void {
    const cursor = this.#cursor
    this.#isValid = false
    while (cursor.valid) {
      const isSameKey = this.#isValid && cursor.compareKey(this.#key) === 0
      if (this.#isValid && !isSameKey) break
      if (cursor.sequence <= this.#sequence) {
        this.#take()
        this.#isValid = true
      }
      cursor.prev()
    }
    this.#isAhead = true
  }

  #take(): void {
    const { keyBytes, keyLength } = this.#cursor
    const key = keyBytes.subarray(0, keyLength)
    if (!equalBytes(this.#key, key)) this.#key = key.slice()
    this.#isDelete = this.#cursor.isDelete
    this.#value = this.#cursor.value()
  }
}
