/**
 * Everything that an open Metastore owns on the main thread: dataDir, log, I/O pool, workers and
 * domains; how it is put together, how responses and commits flow, and how it all ends.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteReader } from '../codec/bytes.ts'
import type { ClusterFile } from '../codec/cluster-file.ts'
import { conflict, invalidRequest, MetastoreError } from '../codec/errors.ts'
import type { MetastoreStatus } from '../shared/api.ts'
import { Control } from '../shared/control.ts'
import type { Doorbell } from '../shared/doorbell.ts'
import { getError, type MemtableMessage, RESPONSE } from '../shared/messages.ts'
import { DomainHandle } from './domain-handle.ts'
import { Flusher } from './flusher.ts'
import { IoPool } from './io-pool.ts'
import { DiskLog } from './log/disk-log.ts'
import { type CheckedOptions, PARTITIONS_DEFAULT } from './options.ts'
import { createCluster, newCluster } from './recovery/create-cluster.ts'
import { DataDir } from './recovery/data-dir.ts'
import { RecoveredIndexes, recoverDomains } from './recovery/replay.ts'
import { restoreCluster } from './recovery/restore-cluster.ts'
import type { ReplicatedLog } from './replication/replicated-log.ts'
import { SoloLog } from './replication/solo-log.ts'
import { WorkerLink } from './worker-link.ts'

/** The node's id in a cluster of one. */
const SOLO_NODE_ID = 1
/** A worker that has not ended by then is killed; nothing is lost by it. */
const STOP_GRACE_MS = 5_000
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
  readonly domains: DomainHandle[] = []
  readonly #dataDir: DataDir
  readonly #io: IoPool
  readonly #links: WorkerLink[] = []
  readonly #control: Control
  readonly #doorbell: Doorbell
  readonly #reader = new ByteReader(new Uint8Array(0), 'response')
  /** In recovery: what is in the log already. */
  #recovered: RecoveredIndexes[] | undefined
  #disk: DiskLog | undefined
  #log: ReplicatedLog | undefined
  #flushers: Flusher[] = []
  #flushTimer: NodeJS.Timeout | undefined
  #failure: MetastoreError | undefined
  #closing: Promise<void> | undefined
  #isPumping = true
  #idleTurns = 0

  private constructor(options: CheckedOptions, cluster: ClusterFile, dataDir: DataDir, io: IoPool) {
    this.options = options
    this.cluster = cluster
    this.#dataDir = dataDir
    this.#io = io
    const workers = Math.min(options.workers, cluster.domains.length)
    this.#control = Control.create(workers, cluster.domains.length)
    this.#doorbell = this.#control.mainDoorbell()
    this.#startWorkers(workers)
  }

  /** @param restoreFrom the cluster to restore into an empty dataDir */
  static async open(options: CheckedOptions, restoreFrom?: string): Promise<Engine> {
    const dataDir = await DataDir.open(options.dataDir)
    const io = new IoPool(options.objectStore, options.ioThreads)
    let engine: Engine | undefined
    try {
      const cluster = await openCluster(options, dataDir, io, restoreFrom)
      engine = new Engine(options, cluster, dataDir, io)
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
        memory: DomainHandle.newMemtable(options.memtableBytesMax),
      })),
    )
    for (let worker = 0; worker < workers; worker++) {
      const domains = cluster.domains
        .map((uuid, domain) => ({ domain, uuid }))
        .filter(({ domain }) => domain % workers === worker)
      const memtables: MemtableMessage[] = domains.flatMap(({ domain }) =>
        firstMemtables[domain].map(({ id, memory }) => ({ domain, memtableId: id, memory })),
      )
      const settings = {
        clusterId: cluster.clusterId,
        domains,
        memtableBytesMax: options.memtableBytesMax,
        cacheDirectory: this.#dataDir.cacheDirectory,
        blockCacheBytesMax: Math.floor(options.blockCacheBytesMax / workers),
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
        }),
      )
    }
  }

  async #recover(): Promise<void> {
    const { options, domains } = this
    const { logger } = options
    const startedAt = performance.now()
    this.#disk = await DiskLog.open({
      directory: this.#dataDir.logDirectory,
      durability: options.durability,
      logger,
      onFatal: error => this.#fail(asUnavailable(error)),
    })
    this.#pump()
    const recovered = domains.map(() => new RecoveredIndexes())
    this.#recovered = recovered
    const appliedBytes = await recoverDomains(
      {
        disk: this.#disk,
        domains,
        io: this.#io,
        cacheDirectory: this.#dataDir.cacheDirectory,
        logger,
      },
      recovered,
    )
    this.#recovered = undefined
    const log = this.#takeOver(this.#disk)
    // The new term names what is put into the bucket from now on: it must not come a second time.
    await this.#disk.drained()
    this.#startFlushing(log)
    const tookMs = Math.round(performance.now() - startedAt)
    logger.info({ clusterId: this.cluster.clusterId, appliedBytes, tookMs }, 'recovered')
  }

  /** From here on, what the log commits is what counts. */
  #takeOver(disk: DiskLog): ReplicatedLog {
    const { domains } = this
    const lastIndex = new Map(disk.groups().map(state => [state.group, state.lastIndex]))
    const log = new SoloLog(disk, domains.length, (group, index) => domains[group].onCommit(index))
    this.#log = log
    for (const domain of domains) domain.begin(log, lastIndex.get(domain.number) ?? 0)
    return log
  }

  #startFlushing(log: ReplicatedLog): void {
    const { options } = this
    this.#flushers = this.domains.map(
      domain =>
        new Flusher({
          domain,
          log,
          io: this.#io,
          compression: options.compression,
          cacheDirectory: this.#dataDir.cacheDirectory,
          logger: options.logger,
          now: Date.now,
          random: Math.random,
        }),
    )
    this.#flushTimer = setInterval(() => this.#flushAll(), options.flushIntervalMs)
    this.#flushTimer.unref()
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
    const seen = this.#doorbell.count()
    let drained = 0
    try {
      for (const link of this.#links) drained += link.drain(this.#onResponse)
      // One write and one sync for all that this turn has proposed.
      if (drained > 0) this.#log?.flush()
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
      case RESPONSE.manifest:
      case RESPONSE.done:
        domain.onManaged(call, reader)
        return
      default:
        reader.u8()
        this.#fail(getError(reader))
    }
  }

  #onFrozen(domain: DomainHandle, reader: ByteReader): void {
    const indexes = this.#recovered?.[domain.number]
    domain.frozeMemtable(
      reader.varint(),
      reader.varint(),
      indexes === undefined ? undefined : sequence => indexes.indexOf(sequence),
    )
  }

  /** This node cannot go on; what is on disk is whole, and opening it again recovers it. */
  #fail(error: MetastoreError): void {
    if (this.#failure !== undefined) return
    this.options.logger.error({ err: error }, 'the metastore has failed')
    this.#end(error)
  }

  #end(error: MetastoreError): void {
    this.#failure ??= error
    for (const domain of this.domains) domain.fail(error)
    for (const link of this.#links) link.calls.failAll(error)
  }

  // -------------------------------------------------------------- administration

  async flush(partition: number | undefined): Promise<void> {
    if (partition === undefined) {
      await Promise.all(this.#flushers.map(flusher => flusher.flush()))
    } else {
      await this.#flushers[partition].flush()
    }
  }

  /** By the clock; what fails is logged and retried by the flushers. */
  #flushAll(): void {
    for (const flusher of this.#flushers) {
      flusher.flush().catch((error: unknown) => {
        this.options.logger.debug({ err: error }, 'a flush by the clock did not succeed at once')
      })
    }
  }

  status(): MetastoreStatus {
    const now = Date.now()
    const ages = this.domains.map(domain => now - (domain.unflushedSince ?? now))
    return {
      clusterId: this.cluster.clusterId,
      nodeId: SOLO_NODE_ID,
      recoveryPointMs: Math.max(0, ...ages),
      partitions: this.domains.map(domain => ({
        partition: domain.number,
        role: 'leader' as const,
        leader: SOLO_NODE_ID,
        term: this.#log?.term(domain.number) ?? 0,
        worker: this.#links.indexOf(domain.link),
        committedSequence: domain.visibleSequence,
        flushedSequence: domain.manifest?.lastSequence ?? 0,
        memtableBytes: domain.memtableBytes,
        frozenMemtables: domain.frozen.length,
        logBytes: this.#log?.groupBytes(domain.number) ?? 0,
        levels: levelsOf(domain),
      })),
    }
  }

  /** Bytes of tables that this instance has flushed. */
  get flushedBytes(): number {
    return this.#flushers.reduce((sum, flusher) => sum + flusher.flushedBytes, 0)
  }

  // -------------------------------------------------------------- end

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    clearInterval(this.#flushTimer)
    await this.#answered()
    const flushers = this.#flushers.map(flusher => flusher.close())
    // Their tasks end with the pool, whatever the bucket does.
    await this.#io.close()
    await Promise.all(flushers)
    await Promise.all(this.#links.map(link => link.stop(STOP_GRACE_MS)))
    this.#isPumping = false
    this.#doorbell.ring()
    this.#end(new MetastoreError('CLOSED', 'the metastore is closed'))
    await (this.#log ?? this.#disk)?.close()
    this.#dataDir.close()
  }

  /** Calls made before close() get their answers. */
  async #answered(): Promise<void> {
    const isBusy = (): boolean =>
      this.#failure === undefined &&
      (this.#links.some(link => link.calls.count > 0) ||
        this.domains.some(domain => !domain.isIdle))
    while (isBusy()) await sleep(1)
  }
}

async function openCluster(
  options: CheckedOptions,
  dataDir: DataDir,
  io: IoPool,
  restoreFrom: string | undefined,
): Promise<ClusterFile> {
  const known = await dataDir.readCluster()
  if (known === undefined) {
    const { clusterId, partitions, durability, logger } = options
    if (restoreFrom !== undefined) {
      const source = { sourceId: restoreFrom, clusterId, partitions, durability, logger }
      return restoreCluster(dataDir, io, { ...source, now: Date.now })
    }
    const wanted = newCluster(clusterId, partitions ?? PARTITIONS_DEFAULT, Date.now())
    return createCluster(dataDir, io, wanted)
  }
  if (restoreFrom !== undefined) {
    throw conflict(`dataDir ${dataDir.path} already holds cluster ${known.clusterId}`)
  }
  if (options.partitions !== undefined && options.partitions !== known.domains.length) {
    throw invalidRequest(
      `partitions is ${options.partitions}; the cluster was created with ${known.domains.length}`,
    )
  }
  if (options.clusterId !== undefined && options.clusterId !== known.clusterId) {
    throw invalidRequest(
      `clusterId is ${options.clusterId}; dataDir ${dataDir.path} holds ${known.clusterId}`,
    )
  }
  return known
}

function levelsOf(domain: DomainHandle): MetastoreStatus['partitions'][number]['levels'] {
  const tables = domain.manifest?.tables ?? []
  const levels = [...new Set(tables.map(({ level }) => level))].sort((a, b) => a - b)
  return levels.map(level => {
    const own = tables.filter(table => table.level === level)
    return { level, tables: own.length, sizeBytes: own.reduce((sum, t) => sum + t.sizeBytes, 0) }
  })
}

function asUnavailable(error: unknown): MetastoreError {
  if (error instanceof MetastoreError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new MetastoreError('UNAVAILABLE', `this node cannot go on: ${message}`, { cause: error })
}
