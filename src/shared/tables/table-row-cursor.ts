/** A table as a source of rows at a snapshot: versions that are too new are passed over. */
import { equalBytes } from '../../codec/bytes.ts'
import type { TableCursor } from '../../codec/table/table-cursor.ts'
import type { RowCursor } from '../row-cursor.ts'
import type { TableMemory } from './table-memory.ts'

export class TableRowCursor implements RowCursor {
  /** Of the table that it reads. */
  readonly memory: TableMemory
  readonly #cursor: TableCursor
  #sequence = 0
  /** The row, copied: going backward, the cursor has to look one key further. */
  #key: Uint8Array = new Uint8Array(0)
  #value: Uint8Array = this.#key
  #isDelete = false
  #isValid = false
  /** Whether the cursor stands on the row's own key or already on the key before it. */
  #isAhead = false

  constructor(cursor: TableCursor, memory: TableMemory) {
    this.#cursor = cursor
    this.memory = memory
  }

  begin(sequence: number): void {
    this.#sequence = sequence
    this.#isValid = false
  }

  /** It stands nowhere and holds no block. */
  release(): void {
    this.#cursor.release()
    this.#isValid = false
  }

  get valid(): boolean {
    return this.#isValid
  }

  seek(key: Uint8Array): void {
    // Before every move: one that fails on the way leaves the cursor nowhere, not where it was.
    this.#isValid = false
    this.#cursor.seekGE(key)
    this.#settleForward()
  }

  seekBefore(key: Uint8Array): void {
    this.#isValid = false
    this.#cursor.seekLT(key)
    this.#settleBackward()
  }

  next(): void {
    this.#isValid = false
    if (this.#isAhead) this.#cursor.seekGE(this.#key)
    const cursor = this.#cursor
    while (cursor.valid && cursor.compareKey(this.#key) === 0) cursor.next()
    this.#settleForward()
  }

  prev(): void {
    this.#isValid = false
    const cursor = this.#cursor
    if (!this.#isAhead) {
      do cursor.prev()
      while (cursor.valid && cursor.compareKey(this.#key) === 0)
    }
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
    // Most keys have one version: then there is no need to look at the key before.
    if (cursor.valid && cursor.isFirstVersion && cursor.sequence <= this.#sequence) {
      this.#take()
      this.#isAhead = false
      this.#isValid = true
      return
    }
    let isFound = false
    while (cursor.valid) {
      if (isFound && cursor.compareKey(this.#key) !== 0) break
      if (cursor.sequence <= this.#sequence) {
        this.#take()
        isFound = true
      }
      cursor.prev()
    }
    this.#isAhead = true
    this.#isValid = isFound
  }

  #take(): void {
    const { keyBytes, keyLength } = this.#cursor
    const key = keyBytes.subarray(0, keyLength)
    if (!equalBytes(this.#key, key)) this.#key = key.slice()
    this.#isDelete = this.#cursor.isDelete
    this.#value = this.#cursor.value()
  }
}
