/**
 * A domain at one sequence: its memtables and tables, newest first. Sequences of one source are all
 * above those of the sources after it, so the first source that holds a key has its newest version.
 * Any thread that maps the memtables and can read the tables; good as long as those are kept.
 */
import { directoryPrefixBytes } from '../codec/keys.ts'
import type { Memtable } from './memtable.ts'
import { MemtableCursor } from './memtable-cursor.ts'
import { MergedScan } from './merged-scan.ts'
import type { ReadView, RowScan } from './read-view.ts'
import type { RowCursor } from './row-cursor.ts'
import { SearchKey } from './skip-list.ts'

/** A sorted run of rows in a file (table.ts). */
export interface SortedTable {
  /** Whether rows with this prefix may be in it; false is certain. */
  mayHoldPrefix(prefix: Uint8Array): boolean
  /** The newest version of `key` at or below `sequence`: its value, null for a delete. */
  get(key: Uint8Array, sequence: number): Uint8Array | null | undefined
  /** A cursor to be given back: its buffers serve the next one. */
  borrowCursor(sequence: number): RowCursor
  giveBack(cursor: RowCursor): void
}

/** Scratch of the thread; lookups never nest. */
const search = new SearchKey()

export class Snapshot implements ReadView {
  readonly #memtables: readonly Memtable[]
  readonly #tables: readonly SortedTable[]
  readonly #sequence: number
  #borrowed: { table: SortedTable; cursor: RowCursor }[] = []

  constructor(memtables: readonly Memtable[], tables: readonly SortedTable[], sequence: number) {
    this.#memtables = memtables
    this.#tables = tables
    this.#sequence = sequence
  }

  get(key: Uint8Array): Uint8Array | undefined {
    for (const memtable of this.#memtables) {
      const node = memtable.find(key, this.#sequence, search)
      if (node !== 0) return memtable.list.isDelete(node) ? undefined : memtable.value(node)
    }
    for (const table of this.#tables) {
      const value = table.get(key, this.#sequence)
      if (value !== undefined) return value === null ? undefined : value
    }
    return undefined
  }

  cursor(prefix: Uint8Array): RowScan {
    const sources: RowCursor[] = []
    const prefixLength = prefix.length
    const namesList = prefixLength > 1 && directoryPrefixBytes(prefix[0], 64) === prefixLength
    for (const memtable of this.#memtables) {
      // A memtable without the list has none of the rows.
      if (namesList && memtable.findList(search.set(prefix, 0, prefixLength)) === 0) continue
      sources.push(new MemtableCursor(memtable, this.#sequence))
    }
    for (const table of this.#tables) {
      if (!table.mayHoldPrefix(prefix)) continue
      const cursor = table.borrowCursor(this.#sequence)
      this.#borrowed.push({ table, cursor })
      sources.push(cursor)
    }
    return new MergedScan(sources, prefix)
  }

  /** The end of the request that the snapshot was for: its cursors are not to be used any more. */
  release(): void {
    for (const { table, cursor } of this.#borrowed) table.giveBack(cursor)
    this.#borrowed = []
  }
}
