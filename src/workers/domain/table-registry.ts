/**
 * The tables of all of a worker's domains, by name: where what main posts of a table, or takes
 * back, finds its handle.
 */
import { tableKey } from '../../codec/bucket-layout.ts'
import type { Manifest, TableDescription } from '../../codec/manifest.ts'
import type { TableFiles } from '../../shared/tables/table-files.ts'
import { TableHandle } from '../../shared/tables/table-handle.ts'
import { TableMemory } from '../../shared/tables/table-memory.ts'
import { Version } from '../../shared/version.ts'

export class TableRegistry {
  readonly #files: TableFiles
  readonly #handles = new Map<string, TableHandle>()
  /** Memory of tables that no manifest named yet. */
  readonly #posted = new Map<string, SharedArrayBuffer>()

  constructor(files: TableFiles) {
    this.#files = files
  }

  /** The memory of a table that the next manifest names. */
  posted(name: string, memory: SharedArrayBuffer): void {
    this.#posted.set(name, memory)
  }

  /** Main needs the room: reads that begin now have the memory fetched again. */
  forgetMemory(name: string): void {
    this.#posted.delete(name)
    const handle = this.#handles.get(name)
    if (handle?.memory === undefined) return
    this.#files.forgetBlocks(handle.memory)
    handle.memory = undefined
  }

  /** The tables of a manifest, as reads want them. */
  versionOf({ tables }: Manifest): Version {
    return Version.of(tables, table => this.#handleOf(table))
  }

  /** Lets go of tables that `after` does not have; who began to read them still can. */
  removeGone(before: Manifest, after: Manifest): void {
    const kept = new Set(after.tables.map(tableKey))
    for (const table of before.tables) {
      const name = tableKey(table)
      if (kept.has(name)) continue
      this.forgetMemory(name)
      this.#handles.delete(name)
      this.#files.closeFile(name)
    }
  }

  #handleOf(table: TableDescription): TableHandle {
    const name = tableKey(table)
    let handle = this.#handles.get(name)
    if (handle === undefined) {
      handle = new TableHandle(table, this.#files)
      this.#handles.set(name, handle)
    }
    const memory = this.#posted.get(name)
    if (memory !== undefined) {
      this.#posted.delete(name)
      handle.memory = new TableMemory(memory, name)
    }
    return handle
  }
}
