/**
 * The partition workers of one instance, a metastore's node or a read replica, and their domains as
 * main sees them: how they are put together, how responses flow, and how they end. Main thread.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteReader } from '../codec/bytes.ts'
import type { ClusterFile } from '../codec/cluster-file.ts'
import { MetastoreError } from '../codec/errors.ts'
import { Control } from '../shared/control.ts'
import type { Doorbell } from '../shared/doorbell.ts'
import { getError, RESPONSE } from '../shared/messages.ts'
import { BlockCache, BlockCacheReader } from '../shared/tables/block-cache.ts'
import { TableFiles } from '../shared/tables/table-files.ts'
import { DomainHandle } from './domain-handle.ts'
import { DomainMemtables, type NewMemtable } from './domain-memtables.ts'
import type { IoRunner } from './io-pool.ts'
import type { CheckedOptions } from './options.ts'
import { CachedBlocks } from './storage/cached-blocks.ts'
import { TableStore } from './storage/table-store.ts'
import { WorkerLink } from './worker-link.ts'

/** A worker that has not ended by then is killed; nothing is lost by it. */
const STOP_GRACE_MS = 5_000
/**
 * Turns in which main looks for an answer that is due before it sleeps: being woken costs more than
 * most answers take.
 */
const POLLED_TURNS = 64
/** Memtables of a domain at the start: the active one, and one to rotate to. */
const FIRST_MEMTABLES = 2

export interface PartitionThreadsOptions {
  readonly options: Pick<
    CheckedOptions,
    | 'workers'
    | 'memtableBytesMax'
    | 'cacheBytesMax'
    | 'blockCacheBytesMax'
    | 'tableMemoryBytesMax'
    | 'readPath'
    | 'logger'
  >
  readonly cluster: ClusterFile
  readonly cacheDirectory: string
  readonly io: IoRunner
  /** Responses of a turn were handled. */
  readonly onDrained: () => void
  /** A worker, or what handles its responses, cannot go on. */
  readonly onFailure: (error: unknown) => void
}

export class PartitionThreads {
  /** By number. */
  readonly domains: readonly DomainHandle[]
  readonly tables: TableStore
  /** Of each worker. */
  readonly blocks: readonly CachedBlocks[]
  readonly #options: PartitionThreadsOptions
  readonly #links: readonly WorkerLink[]
  readonly #doorbell: Doorbell
  readonly #reader = new ByteReader(new Uint8Array(0), 'response')
  #isPumping = false
  #idleTurns = 0

  /** Starts the threads; start() begins to handle what they say. */
  constructor(options: PartitionThreadsOptions) {
    this.#options = options
    const { cluster, cacheDirectory, io } = options
    const { cacheBytesMax, tableMemoryBytesMax, memtableBytesMax, logger } = options.options
    const workers = Math.min(options.options.workers, cluster.domains.length)
    const control = Control.create(workers, cluster.domains.length)
    this.#doorbell = control.mainDoorbell()
    this.tables = new TableStore({
      ...{ io, cacheDirectory, cacheBytesMax, tableMemoryBytesMax, logger },
      onEvicted: name => {
        for (const blocks of this.blocks) blocks.closeFile(name)
      },
    })
    const memtables = cluster.domains.map(() =>
      Array.from({ length: FIRST_MEMTABLES }, (_, i) => ({
        id: i + 1,
        memory: DomainMemtables.allocate(memtableBytesMax),
      })),
    )
    const started = Array.from({ length: workers }, (_, worker) =>
      this.#startWorker(worker, workers, control, memtables),
    )
    this.#links = started.map(({ link }) => link)
    this.blocks = started.map(({ blocks }) => blocks)
    this.domains = cluster.domains.map(
      (uuid, number) =>
        new DomainHandle({
          ...{ number, uuid, control, memtableBytesMax, tables: this.tables },
          link: this.#links[number % workers],
          readsHere: options.options.readPath === 'auto',
          memtables: memtables[number],
          blocks: this.blocks[number % workers],
        }),
    )
  }

  #startWorker(
    worker: number,
    workers: number,
    control: Control,
    memtables: readonly (readonly NewMemtable[])[],
  ): { link: WorkerLink; blocks: CachedBlocks } {
    const { options, cluster, cacheDirectory, onFailure } = this.#options
    const { memtableBytesMax, blockCacheBytesMax } = options
    const domains = cluster.domains
      .map((uuid, domain) => ({ domain, uuid }))
      .filter(({ domain }) => domain % workers === worker)
    const first = domains.flatMap(({ domain }) =>
      memtables[domain].map(({ id, memory }) => ({ domain, life: 0, memtableId: id, memory })),
    )
    const blockCache = BlockCache.create(Math.floor(blockCacheBytesMax / workers))
    const files = new TableFiles(cacheDirectory, new BlockCache(BlockCache.create(0)))
    const { clusterId } = cluster
    const settings = { clusterId, domains, memtableBytesMax, cacheDirectory, blockCache }
    return {
      link: new WorkerLink(worker, workers, control, settings, first, onFailure),
      blocks: new CachedBlocks(new BlockCacheReader(blockCache), files),
    }
  }

  /** Which worker has the domain. */
  workerOf(domain: DomainHandle): number {
    return this.#links.indexOf(domain.link)
  }

  // -------------------------------------------------------------- flow

  start(): void {
    this.#isPumping = true
    this.#pump()
  }

  /** Drains all workers' responses, and again whenever one rings. */
  #pump(): void {
    // Answers that come after the end are those of calls that were refused.
    if (!this.#isPumping) return
    const seen = this.#doorbell.count()
    let drained = 0
    try {
      for (const link of this.#links) drained += link.drain(this.#onResponse)
      if (drained > 0) this.#options.onDrained()
    } catch (error) {
      this.#options.onFailure(error)
    }
    if (!this.#isPumping) return
    this.#idleTurns = drained > 0 ? 0 : this.#idleTurns + 1
    const isPolling = this.#idleTurns < POLLED_TURNS && this.#isAwaited()
    // Rings do not keep the process alive; the workers' threads do.
    const rung = isPolling ? undefined : this.#doorbell.waitAsync(seen)
    if (rung === undefined) setImmediate(() => this.#pump())
    else void rung.then(() => this.#pump())
  }

  #isAwaited(): boolean {
    for (const link of this.#links) if (link.calls.count > 0) return true
    return false
  }

  readonly #onResponse = (bytes: Uint8Array, start: number, end: number): void => {
    const reader = this.#reader
    reader.bytes = bytes
    reader.position = start
    reader.end = end
    const kind = reader.u8()
    const domain = this.domains[reader.varint()]
    const call = reader.varint()
    switch (kind) {
      case RESPONSE.answer:
        domain.onAnswer(call, reader)
        return
      case RESPONSE.proposal:
        domain.onProposal(call, reader)
        return
      case RESPONSE.frozen:
        domain.frozeMemtable(reader.varint(), reader.varint())
        return
      case RESPONSE.fetch:
        this.tables.onFetch(domain, reader)
        return
      case RESPONSE.manifest:
      case RESPONSE.picked:
      case RESPONSE.done:
        domain.onManaged(call, reader)
        return
      default:
        reader.u8()
        this.#options.onFailure(getError(reader))
    }
  }

  // -------------------------------------------------------------- end

  /** Whether calls wait for their answers. */
  get isBusy(): boolean {
    return this.#isAwaited() || this.domains.some(domain => !domain.isIdle)
  }

  /** Acknowledgements that are only held back are given at once. */
  endPacing(): void {
    for (const domain of this.domains) domain.endPacing()
  }

  /** Nothing more will be answered. */
  fail(error: MetastoreError): void {
    for (const domain of this.domains) domain.fail(error)
    for (const link of this.#links) link.calls.failAll(error)
  }

  /** Ends the threads after what they were sent; whoever waited for them is failed afterwards. */
  async stop(): Promise<void> {
    for (const blocks of this.blocks) blocks.close()
    try {
      await Promise.all(this.#links.map(link => link.stop(STOP_GRACE_MS)))
    } finally {
      this.#isPumping = false
      this.#doorbell.ring()
    }
  }
}

/** Waits until calls have their answers, `graceMs` at the longest. */
export async function answered(isBusy: () => boolean, graceMs: number): Promise<void> {
  const endsAt = performance.now() + graceMs
  while (isBusy() && performance.now() < endsAt) await sleep(1)
}

/** What ends an instance, as the callers that it had are told. */
export function asUnavailable(error: unknown): MetastoreError {
  if (error instanceof MetastoreError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new MetastoreError('UNAVAILABLE', `this node cannot go on: ${message}`, { cause: error })
}
