/**
 * Everything that an open Metastore owns on the main thread: dataDir, log, I/O pool, workers and
 * domains; how it is put together, how responses and commits flow, and how it all ends.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteReader } from '../codec/bytes.ts'
import type { ClusterFile } from '../codec/cluster-file.ts'
import { invalidRequest, MetastoreError } from '../codec/errors.ts'
import type { GarbageReport, MetastoreStatus, RestoreReport } from '../shared/api.ts'
import { Control } from '../shared/control.ts'
import type { Doorbell } from '../shared/doorbell.ts'
import { getError, type MemtableMessage, RESPONSE } from '../shared/messages.ts'
import { BlockCache, BlockCacheReader } from '../shared/tables/block-cache.ts'
import { TableFiles } from '../shared/tables/table-files.ts'
import { type Announced, Checkpoints } from './checkpoints.ts'
import type { Member } from './cluster/member-book.ts'
import type { AdminOperation } from './cluster/member-requests.ts'
import { RoutedDomain } from './cluster/routed-domain.ts'
import { DomainHandle } from './domain-handle.ts'
import { DomainMemtables } from './domain-memtables.ts'
import { IoPool } from './io-pool.ts'
import { DiskLog } from './log/disk-log.ts'
import type { CheckedOptions } from './options.ts'
import { DataDir } from './recovery/data-dir.ts'
import { type OpenedCluster, openCluster } from './recovery/open-cluster.ts'
import type { RestoreRequest } from './recovery/restore-request.ts'
import { Replication } from './replication/replication.ts'
import { partitionStatus, storageStatus } from './status.ts'
import { CachedBlocks } from './storage/cached-blocks.ts'
import { addGarbage, type DomainGarbage, noGarbage } from './storage/garbage-collector.ts'
import { findUnknownObjects } from './storage/object-sweep.ts'
import { Storage } from './storage/storage.ts'
import { TableStore } from './storage/table-store.ts'
import { WorkerLink } from './worker-link.ts'

/** A worker that has not ended by then is killed; nothing is lost by it. */
const STOP_GRACE_MS = 5_000
/** How long close() waits for answers; only a bucket or disk that hangs needs more. */
const CLOSE_GRACE_MS = 2_000
/**
 * Turns in which main looks for an answer that is due before it sleeps: being woken costs more than
 * most answers take.
 */
const POLLED_TURNS = 64
/** Memtables of a domain at the start: the active one, and one to rotate to. */
const FIRST_MEMTABLES = 2

export class Engine {
  readonly options: CheckedOptions
  readonly cluster: ClusterFile
  /** What was restored, if this was opened by a restore. */
  readonly restoreReport: RestoreReport | undefined
  readonly checkpoints: Checkpoints
  readonly domains: DomainHandle[] = []
  /** The same, wherever they are led. */
  readonly routed: RoutedDomain[] = []
  readonly #dataDir: DataDir
  readonly #io: IoPool
  readonly #tables: TableStore
  readonly #links: WorkerLink[] = []
  /** Of each worker. */
  readonly #blocks: CachedBlocks[] = []
  readonly #control: Control
  readonly #doorbell: Doorbell
  readonly #reader = new ByteReader(new Uint8Array(0), 'response')
  #disk: DiskLog | undefined
  #replication: Replication | undefined
  #storage: Storage | undefined
  #failure: MetastoreError | undefined
  #closing: Promise<void> | undefined
  #isPumping = true
  #idleTurns = 0

  private constructor(
    options: CheckedOptions,
    { cluster, report }: OpenedCluster,
    dataDir: DataDir,
    io: IoPool,
  ) {
    this.options = options
    this.cluster = cluster
    this.restoreReport = report
    this.checkpoints = new Checkpoints({
      ...{ io, cluster, now: Date.now },
      flushed: async domain => (await this.#atLeader('checkpoint', domain)) as Announced,
    })
    this.#dataDir = dataDir
    this.#io = io
    this.#tables = new TableStore({
      io,
      cacheDirectory: dataDir.cacheDirectory,
      cacheBytesMax: options.cacheBytesMax,
      tableMemoryBytesMax: options.tableMemoryBytesMax,
      logger: options.logger,
      onEvicted: name => {
        for (const blocks of this.#blocks) blocks.closeFile(name)
      },
    })
    const workers = Math.min(options.workers, cluster.domains.length)
    this.#control = Control.create(workers, cluster.domains.length)
    this.#doorbell = this.#control.mainDoorbell()
    this.#startWorkers(workers)
  }

  /** @param restore what to restore into an empty dataDir */
  static async open(options: CheckedOptions, restore?: RestoreRequest): Promise<Engine> {
    const dataDir = await DataDir.open(options.dataDir)
    const io = new IoPool(options.objectStore, options.ioThreads)
    let engine: Engine | undefined
    try {
      const opened = await openCluster(options, dataDir, io, restore)
      engine = new Engine(options, opened, dataDir, io)
      await engine.#recover()
      return engine
    } catch (error) {
      if (engine !== undefined) await engine.close()
      else {
        await io.close()
        dataDir.close()
      }
      throw error
    }
  }

  #startWorkers(workers: number): void {
    const { options, cluster } = this
    const firstMemtables = cluster.domains.map(() =>
      Array.from({ length: FIRST_MEMTABLES }, (_, i) => ({
        id: i + 1,
        memory: DomainMemtables.allocate(options.memtableBytesMax),
      })),
    )
    for (let worker = 0; worker < workers; worker++) {
      const domains = cluster.domains
        .map((uuid, domain) => ({ domain, uuid }))
        .filter(({ domain }) => domain % workers === worker)
      const memtables: MemtableMessage[] = domains.flatMap(({ domain }) =>
        firstMemtables[domain].map(({ id, memory }) => ({
          domain,
          life: 0,
          memtableId: id,
          memory,
        })),
      )
      const blockCache = BlockCache.create(Math.floor(options.blockCacheBytesMax / workers))
      const files = new TableFiles(
        this.#dataDir.cacheDirectory,
        new BlockCache(BlockCache.create(0)),
      )
      this.#blocks.push(new CachedBlocks(new BlockCacheReader(blockCache), files))
      const settings = {
        clusterId: cluster.clusterId,
        domains,
        memtableBytesMax: options.memtableBytesMax,
        cacheDirectory: this.#dataDir.cacheDirectory,
        blockCache,
      }
      const fail = (error: MetastoreError): void => this.#fail(error)
      this.#links.push(new WorkerLink(worker, workers, this.#control, settings, memtables, fail))
    }
    for (const [number, uuid] of cluster.domains.entries()) {
      this.domains.push(
        new DomainHandle({
          number,
          uuid,
          link: this.#links[number % workers],
          control: this.#control,
          memtableBytesMax: options.memtableBytesMax,
          readsHere: options.readPath === 'auto',
          memtables: firstMemtables[number],
          tables: this.#tables,
          blocks: this.#blocks[number % workers],
        }),
      )
    }
  }

  async #recover(): Promise<void> {
    const { options } = this
    const { logger } = options
    const startedAt = performance.now()
    this.#disk = await DiskLog.open({
      directory: this.#dataDir.logDirectory,
      durability: options.durability,
      logger,
      onFatal: error => this.#fail(asUnavailable(error)),
    })
    this.#pump()
    await this.#tables.cache.load()
    const { domains } = this
    this.#replication = await Replication.open({
      ...{ options, domains, disk: this.#disk, cluster: this.cluster, dataDir: this.#dataDir },
      onLeading: (domain, isLeading) => this.#onLeading(domain, isLeading),
      beforeHandOver: domain => this.#storage?.end(domain.number),
      administer: (operation, domain, args) => this.#administer(operation, domain, args),
      onFailure: error => this.#fail(asUnavailable(error)),
    })
    const { node, members } = this.#replication
    this.#storage = new Storage({
      ...{ domains, options, io: this.#io, tables: this.#tables, log: node },
      cacheDirectory: this.#dataDir.cacheDirectory,
      clusterId: this.cluster.clusterId,
      now: Date.now,
      random: Math.random,
    })
    for (const domain of domains) this.routed.push(new RoutedDomain(domain, members))
    await this.#replication.start()
    const tookMs = Math.round(performance.now() - startedAt)
    logger.info({ clusterId: this.cluster.clusterId, tookMs }, 'recovered')
  }

  #onLeading(domain: DomainHandle, isLeading: boolean): void {
    if (isLeading) void this.#storage?.begin(domain)
    else this.#storage?.end(domain.number)
  }

  /** @throws CLOSED after close(), UNAVAILABLE after a failure that this node does not survive */
  expectOpen(): void {
    if (this.#closing !== undefined) {
      throw new MetastoreError('CLOSED', 'the metastore is closed')
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  // -------------------------------------------------------------- flow

  /** Drains all workers' responses, and again whenever one rings. */
  #pump(): void {
    // Answers that come after the end are those of calls that were refused.
    if (!this.#isPumping) return
    const seen = this.#doorbell.count()
    let drained = 0
    try {
      for (const link of this.#links) drained += link.drain(this.#onResponse)
      // One write and one sync for all that this turn has proposed.
      if (drained > 0) this.#replication?.node.flush()
    } catch (error) {
      this.#fail(asUnavailable(error))
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
        this.#onFrozen(domain, reader)
        return
      case RESPONSE.fetch:
        this.#tables.onFetch(domain, reader)
        return
      case RESPONSE.manifest:
      case RESPONSE.picked:
      case RESPONSE.done:
        domain.onManaged(call, reader)
        return
      default:
        reader.u8()
        this.#fail(getError(reader))
    }
  }

  #onFrozen(domain: DomainHandle, reader: ByteReader): void {
    domain.frozeMemtable(reader.varint(), reader.varint())
  }

  /** This node cannot go on; what is on disk is whole, and opening it again recovers it. */
  #fail(error: MetastoreError): void {
    if (this.#failure !== undefined) return
    this.options.logger.error({ err: error }, 'the metastore has failed')
    this.#end(error)
  }

  #end(error: MetastoreError): void {
    this.#failure ??= error
    this.#replication?.fail(error)
    for (const domain of this.domains) domain.fail(error)
    for (const link of this.#links) link.calls.failAll(error)
  }

  // -------------------------------------------------------------- administration

  async flush(partition: number | undefined): Promise<void> {
    await Promise.all(this.#chosen(partition).map(domain => this.#atLeader('flush', domain)))
  }

  async compact(partition: number | undefined): Promise<void> {
    await Promise.all(this.#chosen(partition).map(domain => this.#atLeader('compact', domain)))
  }

  async transferLeadership(partition: number, toNodeId: number): Promise<void> {
    await this.#atLeader('transfer', partition, toNodeId)
  }

  async changeMembers(added: readonly Member[], removed: readonly number[]): Promise<void> {
    const members = this.#replication?.members
    const { cluster } = this.options
    if (members === undefined || cluster === undefined) {
      throw invalidRequest('a cluster of one has no members to change: open it with cluster')
    }
    await members.change(added, removed, cluster.replicationFactor)
  }

  /** Has an operation carried out by the node that leads the domain. */
  async #atLeader(operation: AdminOperation, domain: number, ...args: number[]): Promise<unknown> {
    const members = this.#replication?.members
    if (members === undefined) return await this.#administer(operation, domain, args)
    return await members.administer(operation, domain, args)
  }

  /** Of a domain that this node leads. */
  async #administer(
    operation: AdminOperation,
    domain: number,
    args: readonly number[],
  ): Promise<unknown> {
    switch (operation) {
      case 'flush':
        return await this.#storage?.flush(domain)
      case 'compact':
        return await this.#storage?.compact(domain)
      case 'collectGarbage':
        return await this.#storage?.collectGarbage(domain, false)
      case 'countGarbage':
        return await this.#storage?.collectGarbage(domain, true)
      case 'transfer':
        return await this.#replication?.handOver(domain, args[0])
      case 'checkpoint':
        return await this.#storage?.checkpoint(domain)
      case 'place':
        return this.#replication?.node.place(domain, args)
    }
  }

  #chosen(partition: number | undefined): number[] {
    return partition === undefined ? this.domains.map(({ number }) => number) : [partition]
  }

  async collectGarbage(isDryRun: boolean): Promise<GarbageReport> {
    // First: what the domains collect meanwhile is unknown afterwards.
    const unknown = await findUnknownObjects({
      clusterId: this.cluster.clusterId,
      domains: this.routed,
      io: this.#io,
      before: Date.now() - this.options.garbageDelayMs,
      cacheDirectory: this.#dataDir.cacheDirectory,
    })
    const sum = noGarbage()
    for (const domain of this.#chosen(undefined)) {
      const operation = isDryRun ? 'countGarbage' : 'collectGarbage'
      for (let isDone = false; !isDone; ) {
        const found = (await this.#atLeader(operation, domain)) as DomainGarbage
        addGarbage(sum, found)
        isDone = found.isDone
      }
    }
    const { isDone, ...counts } = sum
    return { ...counts, ...unknown }
  }

  status(): MetastoreStatus {
    const partitions = this.domains.map(domain => {
      const worker = this.#links.indexOf(domain.link)
      return partitionStatus(domain, this.#replication?.node, worker, this.#storage)
    })
    return {
      clusterId: this.cluster.clusterId,
      nodeId: this.#replication?.nodeId ?? 0,
      recoveryPointMs: Math.max(...partitions.map(({ recoveryPointMs }) => recoveryPointMs ?? 0)),
      partitions,
      ...this.#replication?.networkStatus(),
      storage: storageStatus(this.domains, this.#tables, this.#blocks, this.#storage),
      tail: this.#storage?.tailStatus ?? null,
    }
  }

  // -------------------------------------------------------------- end

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /**
   * Every step is made, whatever the one before came to; rejects with the first failure.
   */
  async #close(): Promise<void> {
    const failures: unknown[] = []
    const step = async (work: () => unknown): Promise<void> => {
      try {
        await work()
      } catch (error) {
        failures.push(error)
      }
    }
    for (const domain of this.domains) domain.endPacing()
    const leave = async (): Promise<void> => {
      if (this.#failure === undefined) await step(() => this.#replication?.leave())
    }
    await leave()
    this.#replication?.members?.close()
    await this.#answered(CLOSE_GRACE_MS)
    const storage = step(() => this.#storage?.close())
    // Its tasks end with the pool, whatever the bucket does.
    await step(() => this.#io.close())
    await storage
    // Reads that waited for the bucket have been refused by now.
    await this.#answered(CLOSE_GRACE_MS)
    // The others may have given back what this node should lead, as long as it was there.
    await leave()
    await step(() => this.#tables.cache.close())
    for (const blocks of this.#blocks) blocks.close()
    await step(() => Promise.all(this.#links.map(link => link.stop(STOP_GRACE_MS))))
    this.#isPumping = false
    this.#doorbell.ring()
    this.#end(new MetastoreError('CLOSED', 'the metastore is closed'))
    await step(() => this.#replication?.close())
    await step(() => this.#disk?.close())
    await step(() => this.#dataDir.close())
    if (failures.length > 0) throw failures[0]
  }

  /** Calls made before close() get their answers, unless they wait for the bucket. */
  async #answered(graceMs: number): Promise<void> {
    const endsAt = performance.now() + graceMs
    const isBusy = (): boolean =>
      this.#failure === undefined &&
      (this.#replication?.members?.isIdle === false ||
        this.#links.some(link => link.calls.count > 0) ||
        this.domains.some(domain => !domain.isIdle))
    while (isBusy() && performance.now() < endsAt) await sleep(1)
  }
}

function asUnavailable(error: unknown): MetastoreError {
  if (error instanceof MetastoreError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new MetastoreError('UNAVAILABLE', `this node cannot go on: ${message}`, { cause: error })
}
