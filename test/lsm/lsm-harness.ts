/**
 * One domain's LSM on one thread: the real domain, tables, flushes, compactions, cold reads and
 * local cache, without rings and threads, so that thousands of sequences run in a minute. What main
 * does between them stands here in a few lines: fetch what a read misses, commit an edit, recover.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { manifestKey, tableKey } from '../../src/codec/bucket-layout.ts'
import { ByteReader, ByteWriter, toHex } from '../../src/codec/bytes.ts'
import { MetastoreError } from '../../src/codec/errors.ts'
import { KeyBuilder } from '../../src/codec/keys.ts'
import { decodeManifest, encodeManifest, type Manifest } from '../../src/codec/manifest.ts'
import { decodeRecord } from '../../src/codec/rows.ts'
import { uuidBytes } from '../../src/codec/uuid.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { putOnce } from '../../src/shared/conditional-put.ts'
import type { BuiltTable, TableNaming } from '../../src/shared/io-tasks.ts'
import { Memtable } from '../../src/shared/memtable.ts'
import type { Snapshot } from '../../src/shared/snapshot.ts'
import { BlockCache } from '../../src/shared/tables/block-cache.ts'
import { Carried } from '../../src/shared/tables/carried.ts'
import { TableFiles } from '../../src/shared/tables/table-files.ts'
import { ColdRead } from '../../src/shared/tables/table-handle.ts'
import { putRecords } from '../../src/shared/writes/parts.ts'
import { WRITE_KIND } from '../../src/shared/writes/write-kinds.ts'
import { Domain, type NumberedMemtable } from '../../src/workers/domain/domain.ts'
import { TableRegistry } from '../../src/workers/domain/table-registry.ts'
import { CacheFiles } from '../../src/workers/io/cache-files.ts'
import { compactTables } from '../../src/workers/io/compact-tables.ts'
import { flushTables } from '../../src/workers/io/flush-tables.ts'
import { storeTable } from '../../src/workers/io/store-table.ts'
import { type FetchContext, fetchBlocks, openTable } from '../../src/workers/io/table-fetch.ts'
import { type FinishedTable, TableOutput } from '../../src/workers/io/table-output.ts'
import { type FaultPlan, FaultyObjectStore } from '../object-stores/faulty-object-store.ts'

const DOMAIN = '00000000-0000-4000-8000-00000000000d'
const CLUSTER = '00000000-0000-4000-8000-00000000000c'
const TP: Uint8Array = new Uint8Array(20)
const KIND: Uint8Array = Uint8Array.of(0x6b)
const MEMTABLE_BYTES = 1024 * 1024
/** Small, so that jobs make several tables. */
const TABLE_BYTES = 24_576
/** Of the bucket's answers: too short for a second attempt. */
const DEADLINE_MS = 25
const keys = new KeyBuilder()

export type Rows = Map<string, Uint8Array>

interface FrozenMemtable extends NumberedMemtable {
  lastSequence: number
}

export interface LiveSnapshot {
  sequence: number
  rows: Rows
}

export class LsmHarness {
  /** What every key holds now. */
  rows: Rows = new Map()
  snapshots: LiveSnapshot[] = []
  damagedReads = 0
  fetches = 0
  readonly bucket: FaultyObjectStore
  readonly #context: FetchContext
  readonly #blockCacheBytes: number
  #files: TableFiles
  #registry: TableRegistry
  #domain: Domain
  #frozen: FrozenMemtable[] = []
  #memtables = new Map<number, Memtable>()
  #lastMemtableId = 0
  /** The log: batches that no manifest covers. */
  #batches: { sequence: number; bytes: Uint8Array }[] = []
  #manifest: Manifest | null = null
  #nextTableId = 1
  #nextVersion = 1

  /** @param cacheDirectory empty; the caller's */
  constructor(cacheDirectory: string, blockCacheBytes: number) {
    this.bucket = new FaultyObjectStore(new MemoryObjectStore(), () => null, 1)
    this.#context = {
      bucket: this.bucket,
      cache: new CacheFiles(cacheDirectory),
      cacheDirectory,
      deadlineMs: DEADLINE_MS,
    }
    this.#blockCacheBytes = blockCacheBytes
    const { files, registry, domain } = this.#start()
    this.#files = files
    this.#registry = registry
    this.#domain = domain
  }

  // -------------------------------------------------------------- steps

  /** An undefined value is a delete. */
  async write(
    operations: readonly { key: string; value: Uint8Array | undefined }[],
  ): Promise<void> {
    const request = new ByteWriter().u8(0).u8(WRITE_KIND.records)
    putRecords(request, {
      tp: TP,
      kind: KIND,
      operations: operations.map(({ key, value }) => ({ key: Buffer.from(key), value })),
    })
    const batch = await this.#answer(() =>
      this.#domain.write(new ByteReader(request.view(), 'request'), new ByteWriter())?.slice(),
    )
    for (const { key, value } of operations) {
      if (value === undefined) this.rows.delete(key)
      else this.rows.set(key, value)
    }
    if (batch !== undefined) {
      this.#batches.push({ sequence: this.#domain.sequence, bytes: batch })
    }
  }

  takeSnapshot(): void {
    this.snapshots.push({ sequence: this.#domain.sequence, rows: new Map(this.rows) })
  }

  releaseSnapshot(which: number): void {
    if (this.snapshots.length > 0) this.snapshots.splice(which % this.snapshots.length, 1)
  }

  freeze(): void {
    this.#domain.freeze()
  }

  /** The oldest frozen memtable to tables. @returns whether there was one */
  async flush(): Promise<boolean> {
    const frozen = this.#frozen.at(0)
    if (frozen === undefined) return false
    const job = {
      ...this.#naming(),
      lastSequence: frozen.lastSequence,
      snapshots: this.#sequences(),
    }
    const built: BuiltTable[] = []
    const output = new TableOutput(job, 0, TABLE_BYTES)
    const store = async (table: FinishedTable): Promise<void> => {
      built.push(await storeTable(this.#context, table))
    }
    await flushTables(frozen.memtable, job, store, () => undefined, output)
    const { lastSequence } = frozen
    await this.#commit(built, { lastSequence, lastIndex: lastSequence })
    this.#frozen.shift()
    this.#batches = this.#batches.filter(({ sequence }) => sequence > lastSequence)
    return true
  }

  /** @returns whether there was something to compact */
  async compact(isFull: boolean): Promise<boolean> {
    const job = this.#domain.pick(isFull)
    if (job === undefined) return false
    const built: BuiltTable[] = []
    if (!job.isMove) {
      const input = { ...job, ...this.#naming(), snapshots: this.#sequences() }
      await compactTables(
        this.#context,
        input,
        async table => {
          built.push(await storeTable(this.#context, table))
        },
        () => undefined,
        new TableOutput(input, job.outputLevel, TABLE_BYTES),
      )
    }
    await this.#commit(built, undefined)
    return true
  }

  /** As after a crash: memory is gone, the log and the local cache are there. Ends all snapshots. */
  async reopen(): Promise<void> {
    this.#files.close()
    this.#frozen = []
    this.#memtables = new Map()
    this.snapshots = []
    const { files, registry, domain } = this.#start()
    this.#files = files
    this.#registry = registry
    this.#domain = domain
    if (this.#manifest !== null) domain.install(this.#manifest)
    for (const { bytes } of this.#batches) domain.apply(bytes, 0, bytes.length)
    await this.#answer(() => domain.finishRecovery())
  }

  /** Tables of the version whose cache file is there. */
  get cachedTables(): string[] {
    return (this.#manifest?.tables ?? [])
      .map(tableKey)
      .filter(name => existsSync(join(this.#context.cacheDirectory, name)))
  }

  /** Spoils a cache file; memory and blocks that were read from it before may stay. */
  damageFile(name: string, how: 'remove' | 'truncate' | 'flip' | 'zero', at: number): void {
    const path = join(this.#context.cacheDirectory, name)
    this.#files.closeFile(name)
    if (how === 'remove') rmSync(path)
    else {
      const bytes = readFileSync(path)
      const place = at % Math.max(1, bytes.length)
      if (how === 'truncate') truncateSync(path, place)
      else if (how === 'flip' && bytes.length > 0) bytes[place] ^= 0x41
      else bytes.fill(0, place)
      if (how !== 'truncate') writeFileSync(path, bytes)
    }
  }

  /** Main needs room: tables' memory and blocks have to be had again. */
  forgetMemory(): void {
    for (const table of this.#manifest?.tables ?? []) this.#registry.forgetMemory(tableKey(table))
  }

  weather(plan: FaultPlan): void {
    this.bucket.plan = plan
  }

  close(): void {
    this.#files.close()
  }

  // -------------------------------------------------------------- checks

  /** Every key, and scans both ways, now and at every live snapshot. */
  async verify(universe: readonly string[]): Promise<void> {
    await this.#verifyAt(0, this.rows, universe)
    for (const { sequence, rows } of this.snapshots) {
      // Before the first batch there is no sequence to read at.
      if (sequence > 0) await this.#verifyAt(sequence, rows, universe)
    }
  }

  /** Levels as a manifest must have them, and of the objects in the bucket those it names. */
  async verifyBucket(): Promise<void> {
    if (this.#manifest === null) return
    const back = decodeManifest(encodeManifest(this.#manifest), 'manifest')
    assert.deepEqual(back, this.#manifest)
    for (const table of back.tables) {
      assert.equal((await this.bucket.head(tableKey(table)))?.sizeBytes, table.sizeBytes)
    }
  }

  async #verifyAt(sequence: number, rows: Rows, universe: readonly string[]): Promise<void> {
    for (const key of universe) {
      const found = await this.#read(sequence, view => {
        const name = keys.record(TP, KIND, Buffer.from(key))
        const value = view.get(name)
        return value === undefined ? undefined : toHex(decodeRecord(name, value))
      })
      const expected = rows.get(key)
      assert.equal(found, expected && toHex(expected), `${key} at ${sequence}`)
    }
    const sorted = [...rows.keys()].sort()
    const prefix = keys.record(TP, KIND).slice()
    const scanned = await this.#read(sequence, view => {
      const scan = view.cursor(prefix)
      const forward: string[] = []
      for (scan.seekFirst(); scan.valid; scan.next()) forward.push(nameOf(scan.key(), prefix))
      const backward: string[] = []
      for (scan.seekLast(); scan.valid; scan.prev()) backward.push(nameOf(scan.key(), prefix))
      return { forward, backward }
    })
    assert.deepEqual(scanned.forward, sorted, `scan at ${sequence}`)
    assert.deepEqual(scanned.backward, [...sorted].reverse(), `reverse scan at ${sequence}`)
  }

  async #read<T>(sequence: number, read: (view: Snapshot) => T): Promise<T> {
    const view = this.#domain.view(sequence === 0 ? undefined : sequence)
    return this.#answer(() => {
      try {
        return read(view)
      } finally {
        view.release()
      }
    })
  }

  /** Runs a request as the worker does, again after every miss. */
  async #answer<T>(request: () => T): Promise<T> {
    const carried = new Carried()
    for (let misses = 0; misses < 1000; misses++) {
      this.#files.beginRequest(carried)
      try {
        return request()
      } catch (error) {
        if (!(error instanceof ColdRead)) throw error
        await this.#bring(error, carried)
      }
    }
    throw assert.fail('a request gets no further')
  }

  async #bring({ table, block, isDamaged }: ColdRead, carried: Carried): Promise<void> {
    this.fetches++
    if (isDamaged) this.damagedReads++
    const { description, name } = table
    const memory = table.memory ?? carried.memoryOf(name)
    if (block < 0 || memory === undefined) {
      const opened = await openTable(this.#context, description)
      carried.addMemory(name, opened.memory)
      table.memory ??= carried.memoryOf(name)
      return
    }
    const offset = memory.blockOffset(block)
    const length = memory.storedBytes(block)
    const bytes = new Uint8Array(await fetchBlocks(this.#context, description, offset, length))
    carried.addExtent({ name, offset, bytes })
  }

  // -------------------------------------------------------------- what main does

  async #commit(
    built: readonly BuiltTable[],
    flushed: { lastSequence: number; lastIndex: number } | undefined,
  ): Promise<void> {
    const tables = built.map(({ description }) => description)
    const version = this.#nextVersion++
    const edit = { epoch: 1, version, nextTableId: this.#nextTableId, createdAt: 1 }
    const next = this.#domain.nextManifest({ ...edit, flushed, tables })
    const bytes = encodeManifest(next)
    await putOnce(this.bucket, manifestKey(next), bytes, { deadlineMs: DEADLINE_MS })
    for (const { description, memory } of built) {
      this.#registry.posted(tableKey(description), memory)
    }
    const manifest = decodeManifest(bytes, 'manifest')
    this.#domain.install(manifest)
    this.#manifest = manifest
  }

  #naming(): TableNaming {
    const firstTableId = this.#nextTableId
    this.#nextTableId += 100
    const lastTableId = firstTableId + 99
    return { domain: DOMAIN, epoch: 1, firstTableId, lastTableId, compression: 'lz4', createdAt: 1 }
  }

  #sequences(): number[] {
    return this.snapshots.map(({ sequence }) => sequence)
  }

  #start(): { files: TableFiles; registry: TableRegistry; domain: Domain } {
    const cache = new BlockCache(BlockCache.create(this.#blockCacheBytes))
    const files = new TableFiles(this.#context.cacheDirectory, cache)
    const registry = new TableRegistry(files)
    const domain = new Domain(
      {
        domain: 0,
        uuid: uuidBytes(DOMAIN),
        clusterId: CLUSTER,
        memtableBytesMax: MEMTABLE_BYTES,
        tables: registry,
        takeMemtable: () => this.#newMemtable(),
        now: () => 1,
        newId: () => {},
        onFrozen: (id, lastSequence) => {
          const memtable = this.#memtables.get(id)
          if (memtable === undefined) throw assert.fail(`memtable ${id} is not known`)
          this.#frozen.push({ id, memtable, lastSequence })
        },
      },
      this.#newMemtable(),
    )
    return { files, registry, domain }
  }

  #newMemtable(): NumberedMemtable {
    const memtable = new Memtable(new SharedArrayBuffer(MEMTABLE_BYTES))
    const id = ++this.#lastMemtableId
    this.#memtables.set(id, memtable)
    return { id, memtable }
  }
}

export function isUnavailable(error: unknown): boolean {
  return error instanceof MetastoreError && error.code === 'UNAVAILABLE'
}

function nameOf(key: Uint8Array, prefix: Uint8Array): string {
  return Buffer.from(key.subarray(prefix.length)).toString()
}
