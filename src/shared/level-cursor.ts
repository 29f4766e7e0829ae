/**
 * One source of rows over a whole level: its tables are disjoint and in order, and are opened one
 * at a time, as the cursor comes to them.
 */
import type { RowCursor } from './row-cursor.ts'
import type { SortedTable } from './sorted-table.ts'
import type { TableHandle } from './tables/table-handle.ts'
import { findTable } from './version.ts'

export class LevelCursor implements RowCursor {
  readonly #level: readonly TableHandle[]
  readonly #borrow: (table: SortedTable) => RowCursor
  /** The table that #cursor is of. */
  #table = -1
  #cursor: RowCursor | undefined

  /** @param borrow gives a table's cursor, to be given back with the others of the request */
  constructor(level: readonly TableHandle[], borrow: (table: SortedTable) => RowCursor) {
    this.#level = level
    this.#borrow = borrow
  }

  get valid(): boolean {
    return this.#cursor?.valid === true
  }

  seek(key: Uint8Array): void {
    const table = findTable(this.#level, key)
    this.#open(table)?.seek(key)
    this.#forward()
  }

  seekBefore(key: Uint8Array): void {
    const table = findTable(this.#level, key)
    this.#open(Math.min(table, this.#level.length - 1))?.seekBefore(key)
    this.#backward()
  }

  next(): void {
    this.#cursor?.next()
    this.#forward()
  }

  prev(): void {
    this.#cursor?.prev()
    this.#backward()
  }

  key(): Uint8Array {
    return this.#standing.key()
  }

  value(): Uint8Array {
    return this.#standing.value()
  }

  isDelete(): boolean {
    return this.#standing.isDelete()
  }

  get #standing(): RowCursor {
    if (this.#cursor === undefined) throw new Error('the cursor stands nowhere')
    return this.#cursor
  }

  /** At a table's end: to the first row of the next one that has any at the snapshot. */
  #forward(): void {
    while (this.#cursor?.valid === false && this.#table + 1 < this.#level.length) {
      const next = this.#table + 1
      this.#open(next)?.seek(this.#level[next].description.smallestKey)
    }
  }

  #backward(): void {
    while (this.#cursor?.valid === false && this.#table > 0) {
      // Nothing of the table before is at or after this one's smallest key.
      const { smallestKey } = this.#level[this.#table].description
      this.#open(this.#table - 1)?.seekBefore(smallestKey)
    }
  }

  #open(table: number): RowCursor | undefined {
    if (table < 0 || table >= this.#level.length) {
      this.#table = -1
      this.#cursor = undefined
    } else if (table !== this.#table) {
      this.#cursor = undefined
      this.#cursor = this.#borrow(this.#level[table])
      this.#table = table
    }
    return this.#cursor
  }
}
