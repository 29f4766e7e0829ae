/**
 * A domain at one sequence: its memtables and the tables of a version. Of any key, each source has
 * newer versions than those after it (docs/lsm.md, invariant 2), so the first source that holds the
 * key at or below the sequence has the version that counts. Any thread that maps the memtables and
 * can read the tables; good as long as those are kept.
 */
import { compareBytes } from '../codec/bytes.ts'
import { directoryPrefixBytes, hasPrefix } from '../codec/keys.ts'
import { LevelCursor } from './level-cursor.ts'
import type { Memtable } from './memtable.ts'
import { MemtableCursor } from './memtable-cursor.ts'
import { MergedScan } from './merged-scan.ts'
import type { FoundRow, ReadView, RowScan } from './read-view.ts'
import type { RowCursor } from './row-cursor.ts'
import { SearchKey } from './skip-list.ts'
import type { SortedTable } from './sorted-table.ts'
import { type TimestampOf, TimestampSearch } from './timestamp-search.ts'
import { findTable, type Version } from './version.ts'

/** Scratch of the thread; lookups never nest. */
const search = new SearchKey()

export class Snapshot implements ReadView {
  readonly sequence: number
  readonly #memtables: readonly Memtable[]
  readonly #version: Version
  #borrowed: { table: SortedTable; cursor: RowCursor }[] = []

  constructor(memtables: readonly Memtable[], version: Version, sequence: number) {
    this.sequence = sequence
    this.#memtables = memtables
    this.#version = version
  }

  get(key: Uint8Array): Uint8Array | undefined {
    for (const memtable of this.#memtables) {
      const node = memtable.find(key, this.sequence, search)
      if (node !== 0) return memtable.list.isDelete(node) ? undefined : memtable.value(node)
    }
    for (const table of this.#version.level0) {
      const value = table.get(key, this.sequence)
      if (value !== undefined) return value === null ? undefined : value
    }
    for (const level of this.#version.levels) {
      const table = level[findTable(level, key)]
      const value = table?.get(key, this.sequence)
      if (value !== undefined) return value === null ? undefined : value
    }
    return undefined
  }

  cursor(prefix: Uint8Array): RowScan {
    const sources = this.#memtablesWith(prefix).map(
      (memtable): RowCursor => new MemtableCursor(memtable, this.sequence),
    )
    for (const table of this.#version.level0) {
      if (table.mayHoldPrefix(prefix)) sources.push(this.#borrow(table))
    }
    for (const level of this.#version.levels) {
      const source = this.#levelSource(level, prefix)
      if (source !== undefined) sources.push(source)
    }
    return new MergedScan(sources, prefix)
  }

  firstReaching(
    prefix: Uint8Array,
    from: Uint8Array,
    timestamp: number,
    timestampOf: TimestampOf,
  ): FoundRow | undefined {
    const timestampSearch = new TimestampSearch(this, prefix, timestamp, timestampOf)
    for (const memtable of this.#memtablesWith(prefix)) {
      timestampSearch.addMemtable(memtable, from)
    }
    for (const table of this.#version.level0) timestampSearch.addLevel([table], from)
    for (const level of this.#version.levels) timestampSearch.addLevel(level, from)
    return timestampSearch.first()
  }

  /** The end of the request that the snapshot was for: its cursors are not to be used any more. */
  release(): void {
    for (const { table, cursor } of this.#borrowed) table.giveBack(cursor)
    this.#borrowed = []
  }

  /** Memtables that may have rows with the prefix. */
  #memtablesWith(prefix: Uint8Array): readonly Memtable[] {
    const { length } = prefix
    const namesList = length > 1 && directoryPrefixBytes(prefix[0], 64) === length
    if (!namesList) return this.#memtables
    // A memtable without the list has none of the rows.
    return this.#memtables.filter(
      memtable => memtable.findList(search.set(prefix, 0, length)) !== 0,
    )
  }

  /**
   * A level's only table with the prefix, else the level from there on; most often there is none.
   */
  #levelSource(level: Version['levels'][number], prefix: Uint8Array): RowCursor | undefined {
    const first = findTable(level, prefix)
    const table = level[first]
    if (table === undefined) return undefined
    const next = level[first + 1]
    const { smallestKey } = next?.description ?? {}
    const isLast =
      smallestKey === undefined ||
      (compareBytes(smallestKey, prefix) > 0 && !hasPrefix(smallestKey, prefix))
    if (!isLast) return new LevelCursor(level, borrowed => this.#borrow(borrowed))
    return table.mayHoldPrefix(prefix) ? this.#borrow(table) : undefined
  }

  #borrow(table: SortedTable): RowCursor {
    const cursor = table.borrowCursor(this.sequence)
    this.#borrowed.push({ table, cursor })
    return cursor
  }
}
