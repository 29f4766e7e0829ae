/**
 * A version: the tables of one manifest as reads want them. Level 0 overlaps, newest first; the
 * levels below are disjoint and sorted, so of each at most one table holds a key. Immutable.
 */
import { compareBytes } from '../codec/bytes.ts'
import type { TableDescription } from '../codec/manifest.ts'
import type { TableHandle } from './tables/table-handle.ts'

export class Version {
  static readonly EMPTY: Version = new Version([], [])
  /** Newest first. */
  readonly level0: readonly TableHandle[]
  /** From level 1 on, each by key; levels without tables are left out. */
  readonly levels: readonly (readonly TableHandle[])[]

  private constructor(level0: readonly TableHandle[], levels: readonly (readonly TableHandle[])[]) {
    this.level0 = level0
    this.levels = levels
  }

  /** @param tables in the order of a manifest: by level, level 0 newest first, the others by key */
  static of(
    tables: readonly TableDescription[],
    handleOf: (table: TableDescription) => TableHandle,
  ): Version {
    const level0: TableHandle[] = []
    const byLevel = new Map<number, TableHandle[]>()
    for (const table of tables) {
      const handle = handleOf(table)
      if (table.level === 0) level0.push(handle)
      else {
        const known = byLevel.get(table.level)
        if (known === undefined) byLevel.set(table.level, [handle])
        else known.push(handle)
      }
    }
    const levels = [...byLevel].sort(([a], [b]) => a - b).map(([, handles]) => handles)
    return new Version(level0, levels)
  }
}

/** The first table of a level whose greatest key is at or after `key`; its length when none is. */
export function findTable(level: readonly TableHandle[], key: Uint8Array): number {
  let low = 0
  let high = level.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareBytes(level[middle].description.greatestKey, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
