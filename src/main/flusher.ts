/**
 * Flushes one domain: frozen memtables become tables, one after the other, oldest first. The order
 * of steps is what makes a crash harmless: tables, then the manifest that names them, then its
 * commit, and only then is anything dropped; what is left of a failed attempt is unreferenced.
 */

import { committedKey, manifestKey } from '../codec/bucket-layout.ts'
import { encodeCommitted } from '../codec/committed-pointer.ts'
import { MetastoreError } from '../codec/errors.ts'
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

export class Flusher {
  readonly #options: FlusherOptions
  readonly #queue: FrozenMemtable[] = []
  #running: Promise<void> | undefined
  #nextTableId: number
  #isClosed = false
  #wakeUp: (() => void) | undefined
  #waiters: { sequence: number; resolve: () => void; reject: (error: Error) => void }[] = []
  /** Bytes of tables that went to the bucket. */
  flushedBytes = 0

  constructor(options: FlusherOptions) {
    this.#options = options
    this.#nextTableId = options.domain.manifest?.nextTableId ?? 1
    options.domain.onFrozen = frozen => this.#enqueue(frozen)
    for (const frozen of options.domain.frozen) this.#enqueue(frozen)
  }

  /** Flushes what is in memory now. @throws what the next attempt fails with; it is then retried */
  async flush(): Promise<void> {
    const { domain } = this.#options
    await domain.manage(
      REQUEST.freeze,
      () => {},
      () => undefined,
    )
    const last = this.#queue.at(-1)
    if (last === undefined) return
    await new Promise<void>((resolve, reject) => {
      this.#waiters.push({ sequence: last.lastSequence, resolve, reject })
    })
  }

  /** Stops after the step under way; what is not flushed stays in the log. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#wakeUp?.()
    await this.#running
    this.#settle(waiter => waiter.reject(new MetastoreError('CLOSED', 'the metastore is closed')))
  }

  #enqueue(frozen: FrozenMemtable): void {
    this.#queue.push(frozen)
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    // Not in the turn of enqueue(), which has yet to note that this runs.
    await Promise.resolve()
    let failures = 0
    while (this.#queue.length > 0 && !this.#isClosed) {
      const [frozen] = this.#queue
      try {
        await this.#flushOne(frozen)
        failures = 0
        this.#queue.shift()
        this.#settle(waiter => waiter.resolve(), frozen.lastSequence)
      } catch (error) {
        if (this.#isClosed) break
        const { domain, logger } = this.#options
        logger.warn(
          { domain: domain.number, failures, err: error },
          'a flush failed, to be retried',
        )
        this.#settle(waiter => waiter.reject(error as Error))
        await this.#pause(failures++)
      }
    }
    // In the same turn as the last look at the queue, so that nothing enqueued is overlooked.
    this.#running = undefined
  }

  async #flushOne(frozen: FrozenMemtable): Promise<void> {
    const { domain, io, log } = this.#options
    await domain.committed(frozen.index)
    if ((domain.manifest?.lastSequence ?? 0) < frozen.lastSequence) {
      const tables = await this.#buildTables(frozen)
      const bytes = await this.#nextManifest(frozen, tables)
      const manifest = decodeManifest(bytes, 'next manifest')
      const outcome = await io.run({ type: 'create', key: manifestKey(manifest), bytes })
      if (outcome === 'exists') {
        throw new MetastoreError('CONFLICT', `${manifestKey(manifest)} is already in the bucket`)
      }
      const index = log.propose(domain.number, ENTRY_KIND.manifest, bytes)
      log.flush()
      await domain.committed(index)
      await domain.manage(
        REQUEST.install,
        out => out.raw(bytes),
        () => undefined,
      )
      domain.installed(manifest)
      this.flushedBytes += tables.reduce((sum, table) => sum + table.sizeBytes, 0)
    }
    await this.#announce(domain.manifest as Manifest)
  }

  async #buildTables(frozen: FrozenMemtable): Promise<TableDescription[]> {
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
    return domain.manage(
      REQUEST.manifest,
      out => {
        out.varint(log.term(domain.number)).varint(frozen.lastSequence).varint(frozen.index)
        out.varint(this.#nextTableId).varint(now()).varint(tables.length)
        for (const table of tables) putTable(out, table)
      },
      reader => reader.raw(reader.remaining).slice(),
    )
  }

  /** After the commit: the bucket says which manifest counts, and the log lets go. */
  async #announce(manifest: Manifest): Promise<void> {
    const { domain, io, log } = this.#options
    const bytes = encodeCommitted(manifest)
    await io.run({ type: 'overwrite', key: committedKey(manifest.domain), bytes })
    log.cut(domain.number, manifest.lastIndex)
  }

  #settle(
    act: (waiter: { resolve: () => void; reject: (error: Error) => void }) => void,
    upTo: number = Number.POSITIVE_INFINITY,
  ): void {
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
