/**
 * Everything that an open Metastore owns on the main thread: dataDir, log, I/O pool, workers and
 * domains; how it is put together, how responses and commits flow, and how it all ends.
 */
import type { ClusterFile } from '../codec/cluster-file.ts'
import { invalidRequest, MetastoreError } from '../codec/errors.ts'
import type { GarbageReport, MetastoreStatus, RestoreReport } from '../shared/api.ts'
import { type Announced, Checkpoints } from './checkpoints.ts'
import type { Member } from './cluster/member-book.ts'
import type { AdminOperation } from './cluster/member-requests.ts'
import { RoutedDomain } from './cluster/routed-domain.ts'
import type { DomainHandle } from './domain-handle.ts'
import { IoPool } from './io-pool.ts'
import { DiskLog } from './log/disk-log.ts'
import type { CheckedOptions } from './options.ts'
import { answered, asUnavailable, PartitionThreads } from './partition-threads.ts'
import { DataDir } from './recovery/data-dir.ts'
import { type OpenedCluster, openCluster } from './recovery/open-cluster.ts'
import type { RestoreRequest } from './recovery/restore-request.ts'
import { Replication } from './replication/replication.ts'
import { partitionStatus, storageStatus } from './status.ts'
import type { DomainGarbage } from './storage/garbage-collector.ts'
import { collectEverywhere } from './storage/garbage-report.ts'
import { Storage } from './storage/storage.ts'

/** How long close() waits for answers; only a bucket or disk that hangs needs more. */
const CLOSE_GRACE_MS = 2_000

export class Engine {
  readonly options: CheckedOptions
  readonly cluster: ClusterFile
  /** What was restored, if this was opened by a restore. */
  readonly restoreReport: RestoreReport | undefined
  readonly checkpoints: Checkpoints
  readonly domains: readonly DomainHandle[]
  /** The same, wherever they are led. */
  readonly routed: RoutedDomain[] = []
  readonly #dataDir: DataDir
  readonly #io: IoPool
  readonly #threads: PartitionThreads
  #disk: DiskLog | undefined
  #replication: Replication | undefined
  #storage: Storage | undefined
  #failure: MetastoreError | undefined
  #closing: Promise<void> | undefined

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
    this.#threads = new PartitionThreads({
      ...{ options, cluster, io, cacheDirectory: dataDir.cacheDirectory },
      // One write and one sync for all that a turn has proposed.
      onDrained: () => this.#replication?.node.flush(),
      onFailure: error => this.#fail(asUnavailable(error)),
    })
    this.domains = this.#threads.domains
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
    this.#threads.start()
    await this.#threads.tables.cache.load()
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
      ...{ domains, options, io: this.#io, tables: this.#threads.tables, log: node },
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

  // -------------------------------------------------------------- failure

  /** This node cannot go on; what is on disk is whole, and opening it again recovers it. */
  #fail(error: MetastoreError): void {
    if (this.#failure !== undefined) return
    this.options.logger.error({ err: error }, 'the metastore has failed')
    this.#end(error)
  }

  #end(error: MetastoreError): void {
    this.#failure ??= error
    this.#replication?.fail(error)
    this.#threads.fail(error)
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
    const operation = isDryRun ? 'countGarbage' : 'collectGarbage'
    return await collectEverywhere({
      clusterId: this.cluster.clusterId,
      domains: this.routed,
      io: this.#io,
      before: Date.now() - this.options.garbageDelayMs,
      cacheDirectory: this.#dataDir.cacheDirectory,
      collect: domain => this.#atLeader(operation, domain) as Promise<DomainGarbage>,
    })
  }

  status(): MetastoreStatus {
    const partitions = this.domains.map(domain => {
      const worker = this.#threads.workerOf(domain)
      return partitionStatus(domain, this.#replication?.node, worker, this.#storage)
    })
    return {
      clusterId: this.cluster.clusterId,
      nodeId: this.#replication?.nodeId ?? 0,
      recoveryPointMs: Math.max(...partitions.map(({ recoveryPointMs }) => recoveryPointMs ?? 0)),
      partitions,
      ...this.#replication?.networkStatus(),
      storage: storageStatus(
        this.domains,
        this.#threads.tables,
        this.#threads.blocks,
        this.#storage,
      ),
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
    this.#threads.endPacing()
    const leave = async (): Promise<void> => {
      if (this.#failure === undefined) await step(() => this.#replication?.leave())
    }
    await leave()
    this.#replication?.members?.close()
    await this.#answered()
    const storage = step(() => this.#storage?.close())
    // Its tasks end with the pool, whatever the bucket does.
    await step(() => this.#io.close())
    await storage
    // Reads that waited for the bucket have been refused by now.
    await this.#answered()
    // The others may have given back what this node should lead, as long as it was there.
    await leave()
    await step(() => this.#threads.tables.cache.close())
    await step(() => this.#threads.stop())
    this.#end(new MetastoreError('CLOSED', 'the metastore is closed'))
    await step(() => this.#replication?.close())
    await step(() => this.#disk?.close())
    await step(() => this.#dataDir.close())
    if (failures.length > 0) throw failures[0]
  }

  /** Calls made before close() get their answers, unless they wait for the bucket. */
  #answered(): Promise<void> {
    const isBusy = (): boolean =>
      this.#failure === undefined &&
      (this.#replication?.members?.isIdle === false || this.#threads.isBusy)
    return answered(isBusy, CLOSE_GRACE_MS)
  }
}
