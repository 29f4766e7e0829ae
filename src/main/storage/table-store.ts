/**
 * What main knows of the tables of all domains: their memory (index, filters, bounds), which it
 * hands to the workers and reads itself, and their files in the local cache, each within a budget.
 * Brings what a worker's read misses, by tasks of the I/O pool.
 *
 * Invariants
 *  1. A table's memory is posted to its worker before any record that needs it: the install of a
 *     manifest that names the table, or the answer to a fetch.
 *  2. Every fetch of a worker is answered once, with bytes or with an error, also when the bucket
 *     fails and when the metastore closes: a request that is parked is never forgotten.
 */

import { tableKey } from '../../codec/bucket-layout.ts'
import type { ByteReader } from '../../codec/bytes.ts'
import { MetastoreError } from '../../codec/errors.ts'
import { getTable, type Manifest, type TableDescription } from '../../codec/manifest.ts'
import type { BuiltTable } from '../../shared/io-tasks.ts'
import { putErrorAnswer, REQUEST } from '../../shared/messages.ts'
import type { BlockSource } from '../../shared/tables/table-handle.ts'
import { TableHandle } from '../../shared/tables/table-handle.ts'
import { TableMemory } from '../../shared/tables/table-memory.ts'
import { Version } from '../../shared/version.ts'
import type { IoRunner } from '../io-pool.ts'
import type { Logger } from '../logger.ts'
import type { WorkerLink } from '../worker-link.ts'
import { LocalCache } from './local-cache.ts'

export interface TableStoreOptions {
  io: IoRunner
  cacheDirectory: string
  /** Bytes of files in the local cache. */
  cacheBytesMax: number
  /** Bytes of tables' memory. */
  tableMemoryBytesMax: number
  logger: Logger
  /** A file has gone from the local cache. */
  onEvicted: (name: string) => void
}

/** The side of a domain that tables have to do with. */
export interface TableOwner {
  readonly number: number
  readonly link: WorkerLink
}

interface Entry {
  readonly owner: TableOwner
  readonly handle: TableHandle
}

export class TableStore {
  readonly cache: LocalCache
  readonly #options: TableStoreOptions
  readonly #entries = new Map<string, Entry>()
  /** Those with memory, in the order of the clock; the hand is at the front. */
  #clock: Entry[] = []
  memoryBytes = 0
  /** Bytes that reads have fetched from the bucket. */
  fetchedBytes = 0
  /** Blocks and tables in the local cache that failed their check and were fetched again. */
  damagedReads = 0
  fetches = 0

  constructor(options: TableStoreOptions) {
    this.#options = options
    this.cache = new LocalCache({
      directory: options.cacheDirectory,
      bytesMax: options.cacheBytesMax,
      wasUsed: name => this.#entries.get(name)?.handle.memory?.takeFileUsed() ?? false,
      onEvicted: name => {
        options.onEvicted(name)
        this.#tellForget(name, false)
      },
      logger: options.logger,
    })
  }

  /** The version that a committed manifest describes, for reads on this thread. */
  versionOf(owner: TableOwner, manifest: Manifest, blocks: BlockSource): Version {
    return Version.of(manifest.tables, table => this.#entryOf(owner, table, blocks).handle)
  }

  /** A table that was just written: it is in the local cache, and its memory is known. */
  add(owner: TableOwner, { description, memory, cachedBytes }: BuiltTable): void {
    const name = tableKey(description)
    owner.link.postTable({ table: name, memory })
    this.#fresh.set(name, new TableMemory(memory, name))
    if (cachedBytes > 0) this.cache.added(name, cachedBytes)
  }

  /** No manifest names the table that was added. */
  discard(owner: TableOwner, { description }: BuiltTable): void {
    const name = tableKey(description)
    if (!this.#fresh.delete(name)) return
    owner.link.begin(REQUEST.forget, owner.number, undefined).u8(1).text(name)
    owner.link.send(undefined)
  }

  /** Tables of a manifest that the next one does not have: nobody reads them but who began to. */
  removeGone(before: Manifest, after: Manifest): void {
    const kept = new Set(after.tables.map(tableKey))
    for (const table of before.tables) {
      const name = tableKey(table)
      if (kept.has(name)) continue
      this.#dropMemory(name)
      this.#entries.delete(name)
      this.cache.remove(name)
    }
  }

  /** A worker misses a part of a table: see messages.ts. */
  onFetch(owner: TableOwner, reader: ByteReader): void {
    const fetch = reader.varint()
    const isDamaged = reader.u8() === 1
    const offset = reader.varint()
    const length = reader.varint()
    const table = getTable(reader)
    this.fetches++
    if (isDamaged) {
      this.damagedReads++
      const { logger } = this.#options
      logger.warn({ table: tableKey(table), offset }, 'a cached table is damaged; fetched again')
    }
    const work = length === 0 ? this.#open(table) : this.#fetchBlocks(table, offset, length)
    void work.then(
      memory => {
        owner.link.postFetched({ fetch, memory })
        owner.link.begin(REQUEST.fetched, owner.number, undefined).varint(fetch).u8(1)
        owner.link.send(undefined)
      },
      (error: unknown) => {
        const out = owner.link.begin(REQUEST.fetched, owner.number, undefined)
        out.varint(fetch).u8(0)
        putErrorAnswer(out, asMetastoreError(error))
        owner.link.send(undefined)
      },
    )
  }

  // -------------------------------------------------------------- memory

  /** Written, and in no version yet. */
  readonly #fresh = new Map<string, TableMemory>()

  #entryOf(owner: TableOwner, table: TableDescription, blocks: BlockSource): Entry {
    const name = tableKey(table)
    let entry = this.#entries.get(name)
    if (entry === undefined) {
      entry = { owner, handle: new TableHandle(table, blocks) }
      this.#entries.set(name, entry)
    }
    const fresh = this.#fresh.get(name)
    if (fresh !== undefined) {
      this.#fresh.delete(name)
      this.#setMemory(entry, fresh)
    }
    return entry
  }

  #setMemory(entry: Entry, memory: TableMemory): void {
    if (entry.handle.memory !== undefined) this.#dropMemory(entry.handle.name)
    entry.handle.memory = memory
    this.#clock.push(entry)
    this.memoryBytes += memory.sizeBytes
    const { tableMemoryBytesMax } = this.#options
    while (this.memoryBytes > tableMemoryBytesMax && this.#clock.length > 1) this.#evictOne(entry)
  }

  /** CLOCK (Corbató, 1968), as the local cache does. */
  #evictOne(newest: Entry): void {
    for (let passed = 0; ; passed++) {
      const entry = this.#clock.shift()
      if (entry === undefined) return
      const isSpared = passed <= this.#clock.length && entry.handle.memory?.takeUsed()
      if (entry !== newest && isSpared !== true) {
        this.#clock.unshift(entry)
        this.#dropMemory(entry.handle.name)
        this.#tellForget(entry.handle.name, true)
        return
      }
      this.#clock.push(entry)
    }
  }

  #dropMemory(name: string): void {
    const entry = this.#entries.get(name)
    if (entry?.handle.memory === undefined) return
    this.memoryBytes -= entry.handle.memory.sizeBytes
    entry.handle.memory = undefined
    this.#clock = this.#clock.filter(other => other !== entry)
  }

  #tellForget(name: string, isMemory: boolean): void {
    const entry = this.#entries.get(name)
    if (entry === undefined) return
    const { link, number } = entry.owner
    link
      .begin(REQUEST.forget, number, undefined)
      .u8(isMemory ? 1 : 0)
      .text(name)
    link.send(undefined)
  }

  // -------------------------------------------------------------- fetches

  async #open(table: TableDescription): Promise<SharedArrayBuffer> {
    const { io, cacheDirectory } = this.#options
    const opened = await io.run({ type: 'openTable', table, cacheDirectory })
    const name = tableKey(table)
    if (opened.fetchedBytes > 0) this.#cached(name, opened.fetchedBytes)
    // The table may have left the version meanwhile; then the worker alone keeps it.
    const entry = this.#entries.get(name)
    if (entry !== undefined) this.#setMemory(entry, new TableMemory(opened.memory, name))
    return opened.memory
  }

  async #fetchBlocks(
    table: TableDescription,
    offset: number,
    length: number,
  ): Promise<SharedArrayBuffer> {
    const { io, cacheDirectory } = this.#options
    const bytes = await io.run({ type: 'fetchBlocks', table, offset, length, cacheDirectory })
    this.#cached(tableKey(table), length)
    return bytes
  }

  #cached(name: string, sizeBytes: number): void {
    this.fetchedBytes += sizeBytes
    this.cache.added(name, sizeBytes)
  }
}

function asMetastoreError(error: unknown): MetastoreError {
  if (error instanceof MetastoreError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new MetastoreError('UNAVAILABLE', `a table could not be read: ${message}`)
}
