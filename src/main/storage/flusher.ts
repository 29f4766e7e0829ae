/**
 * Flushes one domain: frozen memtables become tables of level 0, one after the other, oldest first.
 * A failure leaves the frozen memtable where it is; what was built is kept for the next attempt.
 */
import type { MetastoreError } from '../../codec/errors.ts'
import type { BuiltTable } from '../../shared/io-tasks.ts'
import { REQUEST } from '../../shared/messages.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { FrozenMemtable } from '../domain-memtables.ts'
import type { IoRunner } from '../io-pool.ts'
import type { Logger } from '../logger.ts'
import type { ReplicatedLog } from '../replication/replicated-log.ts'
import { BackgroundWork } from './background-work.ts'
import type { ManifestCommitter, TableIds } from './manifest-committer.ts'

/** Ids set aside for one attempt: more tables than a memtable of 1 GiB can fill. */
const TABLE_IDS_AN_ATTEMPT = 64

export interface FlusherOptions {
  domain: DomainHandle
  committer: ManifestCommitter
  log: ReplicatedLog
  io: IoRunner
  compression: 'lz4' | 'none'
  cacheDirectory: string
  logger: Logger
  now: () => number
  random: () => number
  /** Told after each flush was committed: there may be something to compact. */
  onFlushed: () => void
}

interface Waiter {
  sequence: number
  resolve: () => void
  reject: (error: Error) => void
}

export class Flusher {
  readonly #options: FlusherOptions
  readonly #work: BackgroundWork
  readonly #queue: FrozenMemtable[] = []
  /** Of the queue's first memtable: in the bucket, and not yet in a manifest. */
  #built: { tables: BuiltTable[]; ids: TableIds } | undefined
  #waiters: Waiter[] = []
  /** Why nothing more will be flushed. */
  #closed: MetastoreError | undefined
  /** When the last flush was committed, or this instance opened; milliseconds since the epoch. */
  lastFlushAt: number
  /** Bytes of tables that went to the bucket. */
  flushedBytes = 0

  constructor(options: FlusherOptions) {
    this.#options = options
    this.lastFlushAt = options.now()
    const { domain, logger } = options
    this.#work = new BackgroundWork({
      step: () => this.#step(),
      onFailure: (error, failures) => {
        const details = { domain: domain.number, failures, err: error }
        logger.warn(details, 'a flush failed and will be tried again')
        this.#settle(waiter => waiter.reject(error as Error))
      },
      random: options.random,
    })
    domain.onFrozen = frozen => this.#enqueue(frozen)
    for (const frozen of domain.memtables.frozen) this.#enqueue(frozen)
    // The instance before may have ended between a commit and moving the pointer.
    if (domain.manifest !== null) this.#work.wake()
  }

  /**
   * Flushes what was written before the call; resolves when a restore would find it.
   * @throws what the next attempt fails with; it is retried all the same
   */
  async flush(): Promise<void> {
    const { committer } = this.#options
    const target = await this.#freeze()
    while (committer.announcedSequence < target) {
      if (this.#closed !== undefined) throw this.#closed
      const last = this.#queue.at(-1)
      // While memtables wait for the bucket there may be none to rotate to: then once more.
      if (last === undefined && committer.isAnnounced) await this.#freeze()
      else await this.#until(last?.lastSequence ?? 0)
    }
  }

  /** When the oldest row came that no manifest covers; undefined when there is none. */
  get unflushedSince(): number | undefined {
    return this.#options.domain.memtables.unflushedSince
  }

  /** Without rows to flush: moves the domain's manifest to the end of the log. */
  async moveForward(): Promise<void> {
    await this.#options.committer.moveForward()
  }

  /** Stops after the step under way; what is not flushed stays in the log. */
  async close(reason: MetastoreError): Promise<void> {
    this.#closed = reason
    await this.#work.close()
    this.#settle(waiter => waiter.reject(reason))
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
    return new Promise((resolve, reject) => {
      this.#waiters.push({ sequence, resolve, reject })
      this.#work.wake()
    })
  }

  #enqueue(frozen: FrozenMemtable): void {
    this.#queue.push(frozen)
    this.#work.wake()
  }

  /** @returns whether there is more to flush */
  async #step(): Promise<boolean> {
    const { committer, domain, now, onFlushed } = this.#options
    domain.expectAlive()
    const frozen = this.#queue.at(0)
    if (frozen !== undefined) {
      const { lastSequence, index } = frozen
      await domain.committed(index)
      this.#built ??= await this.#build(frozen)
      const { tables, ids } = this.#built
      await committer.commit({ kind: 'flush', tables, lastSequence, lastIndex: index })
      committer.endJob(ids)
      this.#built = undefined
      this.#queue.shift()
      this.lastFlushAt = now()
      this.flushedBytes += tables.reduce((sum, table) => sum + table.description.sizeBytes, 0)
      onFlushed()
    }
    await committer.announce()
    this.#settle(waiter => waiter.resolve(), committer.announcedSequence)
    return this.#queue.length > 0
  }

  async #build(frozen: FrozenMemtable): Promise<{ tables: BuiltTable[]; ids: TableIds }> {
    const { committer, domain, io, log, compression, cacheDirectory, now } = this.#options
    const ids = committer.beginJob(TABLE_IDS_AN_ATTEMPT)
    try {
      const tables = await io.run({
        type: 'buildTables',
        memory: frozen.memory,
        domain: domain.uuid,
        epoch: log.term(domain.number),
        firstTableId: ids.first,
        lastTableId: ids.last,
        lastSequence: frozen.lastSequence,
        // Taken now that all its rows are committed: a later snapshot sees the newest versions.
        snapshots: domain.snapshots.sequences(),
        compression,
        createdAt: now(),
        cacheDirectory,
      })
      return { tables, ids }
    } catch (error) {
      committer.endJob(ids)
      throw error
    }
  }

  #settle(act: (waiter: Waiter) => void, upTo: number = Number.POSITIVE_INFINITY): void {
    const due = this.#waiters.filter(({ sequence }) => sequence <= upTo)
    this.#waiters = this.#waiters.filter(({ sequence }) => sequence > upTo)
    for (const waiter of due) act(waiter)
  }
}
