/** The tables of a domain's version, open for reading. */

import { tableKey } from '../../codec/bucket-layout.ts'
import type { TableDescription } from '../../codec/manifest.ts'
import type { SortedTable } from '../../shared/snapshot.ts'
import type { OpenTable, TableCache } from './table-cache.ts'

export class TableSet {
  readonly #cache: TableCache
  #open = new Map<string, OpenTable>()
  #newestFirst: readonly SortedTable[] = []

  constructor(cache: TableCache) {
    this.#cache = cache
  }

  /** As reads want them. */
  get newestFirst(): readonly SortedTable[] {
    return this.#newestFirst
  }

  /**
   * Opens what is new, closes what is gone. `tables` is newest first.
   * @throws CORRUPTION when a table does not open; nothing is changed then
   */
  replace(tables: readonly TableDescription[]): void {
    const next = new Map<string, OpenTable>()
    try {
      for (const table of tables) {
        const key = tableKey(table)
        next.set(key, this.#open.get(key) ?? this.#cache.open(table))
      }
    } catch (error) {
      closeExcept(next, this.#open)
      throw error
    }
    closeExcept(this.#open, next)
    this.#open = next
    this.#newestFirst = [...next.values()].map(({ table }) => table)
  }
}

/** Closes the tables of `these` that `kept` does not hold. */
function closeExcept(
  these: ReadonlyMap<string, OpenTable>,
  kept: ReadonlyMap<string, OpenTable>,
): void {
  for (const [key, table] of these) if (!kept.has(key)) table.close()
}
