/**
 * Flushes one domain: frozen memtables become tables, one after the other, oldest first. The order
 * of steps is what makes a crash harmless: tables, then the manifest that names them, then its
 * commit, then its installation, and last the pointer in the bucket that says it was committed.
 *
 * Every step may fail and is tried again from where it stands: before the commit with new names,
 * since nobody knows what a failed attempt has left in the bucket; after the commit only what is
 * left to do. What a failed attempt has left is referred to by nothing.
 */
import { committedKey, manifestKey } from '../codec/bucket-layout.ts'
import { encodeCommitted } from '../codec/committed-pointer.ts'
import { conflict, MetastoreError } from '../codec/errors.ts'
import {
  decodeManifest,
  type Manifest,
  putTable,
  type TableDescription,
} from '../codec/manifest.ts'
import { REQUEST } from '../shared/messages.ts'
import type { DomainHandle, FrozenMemtable } from './domain-handle.ts'
import type { IoPool } from './io-pool.ts'
import type { Logger } from './options.ts'
import { ENTRY_KIND, type ReplicatedLog } from './replication/replicated-log.ts'

const RETRY_BASE_MS = 100
const RETRY_MAX_MS = 10_000
/** Ids set aside for one attempt: more tables than a memtable can fill. */
const TABLE_IDS_AN_ATTEMPT = 64

export interface FlusherOptions {
  domain: DomainHandle
  log: ReplicatedLog
  io: IoPool
  compression: 'lz4' | 'none'
  cacheDirectory: string
  logger: Logger
  now: () => number
  random: () => number
}

interface Waiter {
  sequence: number
  resolve: () => void
  reject: (error: Error) => void
}

export class Flusher {
  readonly #options: FlusherOptions
  readonly #queue: FrozenMemtable[] = []
  #running: Promise<void> | undefined
  #nextTableId: number
  #nextVersion: number
  /** Committed, and not yet the workers' version. */
  #uninstalled: { manifest: Manifest; bytes: Uint8Array } | undefined
  /** What the bucket's pointer names; null when this instance has not moved it yet. */
  #announced: Manifest | null = null
  #isClosed = false
  #wakeUp: () => void = () => {}
  #waiters: Waiter[] = []
  /** Bytes of tables that went to the bucket. */
  flushedBytes = 0

  constructor(options: FlusherOptions) {
    this.#options = options
    const { domain } = options
    this.#nextTableId = domain.manifest?.nextTableId ?? 1
    this.#nextVersion = (domain.manifest?.version ?? 0) + 1
    domain.onFrozen = frozen => this.#enqueue(frozen)
    for (const frozen of domain.frozen) this.#enqueue(frozen)
    // The instance before may have ended between a commit and moving the pointer.
    if (domain.manifest !== null) this.#start()
  }

  /**
   * Flushes what was written before the call; resolves when a restore would find it.
   * @throws what the next attempt fails with; it is retried all the same
   */
  async flush(): Promise<void> {
    const target = await this.#freeze()
    while (this.#announcedSequence < target) {
      const last = this.#queue.at(-1)
      // While memtables wait for the bucket there may be none to rotate to: then once more.
      if (last === undefined && this.#isAnnounced) await this.#freeze()
      else await this.#until(last?.lastSequence ?? 0)
    }
  }

  /** Stops after the step under way; what is not flushed stays in the log. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#wakeUp()
    await this.#running
    const closed = new MetastoreError('CLOSED', 'the metastore is closed')
    this.#settle(waiter => waiter.reject(closed))
  }

  /** Up to where a restore finds everything. */
  get #announcedSequence(): number {
    return this.#announced?.lastSequence ?? 0
  }

  get #isAnnounced(): boolean {
    return this.#announced === this.#options.domain.manifest
  }

  /** @returns the newest sequence */
  #freeze(): Promise<number> {
    const { domain } = this.#options
    return domain.manage(
      REQUEST.freeze,
      () => {},
      reader => reader.varint(),
    )
  }

  #until(sequence: number): Promise<void> {
    return new Promise((resolve, reject) => this.#waiters.push({ sequence, resolve, reject }))
  }

  #enqueue(frozen: FrozenMemtable): void {
    this.#queue.push(frozen)
    this.#start()
  }

  #start(): void {
    if (!this.#isClosed) this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    // Not in the turn of #start(), which has yet to note that this runs.
    await Promise.resolve()
    let failures = 0
    while (!this.#isClosed && (this.#queue.length > 0 || !this.#isAnnounced)) {
      try {
        await this.#advance()
        failures = 0
        this.#settle(waiter => waiter.resolve(), this.#announcedSequence)
      } catch (error) {
        if (this.#isClosed) break
        const { domain, logger } = this.#options
        const details = { domain: domain.number, failures, err: error }
        logger.warn(details, 'a flush failed and will be tried again')
        this.#settle(waiter => waiter.reject(error as Error))
        await this.#pause(failures++)
      }
    }
    // In the same turn as the last look at the queue, so that nothing enqueued is overlooked.
    this.#running = undefined
  }

  async #advance(): Promise<void> {
    const { domain } = this.#options
    // A node that cannot commit has nothing to put into the bucket.
    domain.expectAlive()
    const frozen = this.#queue.at(0)
    if (frozen !== undefined) {
      if (this.#uninstalled === undefined) this.#uninstalled = await this.#commit(frozen)
      await this.#install(this.#uninstalled)
      this.#uninstalled = undefined
      this.#queue.shift()
    }
    if (domain.manifest !== null) await this.#announce(domain.manifest)
  }

  /** Tables and manifest into the bucket, and the manifest's entry committed. */
  async #commit(frozen: FrozenMemtable): Promise<{ manifest: Manifest; bytes: Uint8Array }> {
    const { domain, io, log } = this.#options
    await domain.committed(frozen.index)
    const tables = await this.#buildTables(frozen)
    const bytes = await this.#nextManifest(frozen, tables)
    const manifest = decodeManifest(bytes, 'next manifest')
    const key = manifestKey(manifest)
    if ((await io.run({ type: 'create', key, bytes })) === 'exists') {
      throw conflict(`${key} is already in the bucket`)
    }
    const index = log.propose(domain.number, ENTRY_KIND.manifest, bytes)
    log.flush()
    await domain.committed(index)
    this.flushedBytes += tables.reduce((sum, table) => sum + table.sizeBytes, 0)
    return { manifest, bytes }
  }

  #buildTables(frozen: FrozenMemtable): Promise<TableDescription[]> {
    const { domain, io, log, compression, cacheDirectory, now } = this.#options
    const firstTableId = this.#nextTableId
    this.#nextTableId += TABLE_IDS_AN_ATTEMPT
    return io.run({
      type: 'buildTables',
      memory: frozen.memory,
      domain: domain.uuid,
      epoch: log.term(domain.number),
      firstTableId,
      lastSequence: frozen.lastSequence,
      compression,
      createdAt: now(),
      cacheDirectory,
    })
  }

  /** The worker has the version, so it makes the manifest. */
  #nextManifest(frozen: FrozenMemtable, tables: TableDescription[]): Promise<Uint8Array> {
    const { domain, log, now } = this.#options
    const version = this.#nextVersion++
    return domain.manage(
      REQUEST.manifest,
      out => {
        out.varint(log.term(domain.number)).varint(version)
        out.varint(frozen.lastSequence).varint(frozen.index)
        out.varint(this.#nextTableId).varint(now()).varint(tables.length)
        for (const table of tables) putTable(out, table)
      },
      reader => reader.raw(reader.remaining).slice(),
    )
  }

  async #install({ manifest, bytes }: { manifest: Manifest; bytes: Uint8Array }): Promise<void> {
    const { domain, io, cacheDirectory } = this.#options
    // A file may have left the cache since it was written, above all before a second attempt.
    await io.run({ type: 'fetchTables', tables: manifest.tables, cacheDirectory, force: false })
    await domain.manage(
      REQUEST.install,
      out => out.raw(bytes),
      () => undefined,
    )
    domain.installed(manifest)
  }

  /** The bucket says which manifest counts, and the log lets go of what it covers. */
  async #announce(manifest: Manifest): Promise<void> {
    const { domain, io, log } = this.#options
    const bytes = encodeCommitted(manifest)
    await io.run({ type: 'overwrite', key: committedKey(manifest.domain), bytes })
    this.#announced = manifest
    log.cut(domain.number, manifest.lastIndex)
  }

  #settle(act: (waiter: Waiter) => void, upTo: number = Number.POSITIVE_INFINITY): void {
    const due = this.#waiters.filter(({ sequence }) => sequence <= upTo)
    this.#waiters = this.#waiters.filter(({ sequence }) => sequence > upTo)
    for (const waiter of due) act(waiter)
  }

  /** Backoff with full jitter; close() ends it. */
  #pause(failures: number): Promise<void> {
    const longest = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** failures)
    return new Promise(resolve => {
      const timer = setTimeout(resolve, this.#options.random() * longest)
      this.#wakeUp = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
