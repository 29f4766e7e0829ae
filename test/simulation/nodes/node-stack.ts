/**
 * One life of a node: the real parts, put together as in src/main/engine.ts, on one thread. Its
 * workers' loops, its I/O pool, disk, bucket and connections are the simulation's.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteReader } from '../../../src/codec/bytes.ts'
import type { ClusterFile } from '../../../src/codec/cluster-file.ts'
import { MetastoreError } from '../../../src/codec/errors.ts'
import { stampVersion4 } from '../../../src/codec/uuid.ts'
import type { KnownMembers, Member } from '../../../src/main/cluster/member-book.ts'
import type { AdminOperation } from '../../../src/main/cluster/member-requests.ts'
import { RoutedDomain } from '../../../src/main/cluster/routed-domain.ts'
import { DomainHandle } from '../../../src/main/domain-handle.ts'
import { DomainMemtables } from '../../../src/main/domain-memtables.ts'
import type { IoRunner } from '../../../src/main/io-pool.ts'
import { DiskLog } from '../../../src/main/log/disk-log.ts'
import type { LogFiles } from '../../../src/main/log/log-files.ts'
import type { Logger } from '../../../src/main/logger.ts'
import type { CheckedOptions } from '../../../src/main/options.ts'
import { Replication } from '../../../src/main/replication/replication.ts'
import { CachedBlocks } from '../../../src/main/storage/cached-blocks.ts'
import { Storage } from '../../../src/main/storage/storage.ts'
import { TableStore } from '../../../src/main/storage/table-store.ts'
import { WorkerLink } from '../../../src/main/worker-link.ts'
import { Control } from '../../../src/shared/control.ts'
import type { IoResults, IoTask } from '../../../src/shared/io-tasks.ts'
import { getError, type MemtableMessage, RESPONSE } from '../../../src/shared/messages.ts'
import type { ObjectStore } from '../../../src/shared/object-store.ts'
import { BlockCache, BlockCacheReader } from '../../../src/shared/tables/block-cache.ts'
import { TableFiles } from '../../../src/shared/tables/table-files.ts'
import { runIoTask } from '../../../src/workers/io/run-io-task.ts'
import { PartitionLoop } from '../../../src/workers/partition-loop.ts'
import type { Dice } from '../dice.ts'
import type { Host } from './host.ts'
import { checkedOptions, NO_DIRECTORY } from './node-options.ts'
import { Peers, type Wire } from './peers.ts'
import type { NodeSettings } from './settings.ts'

const IO_DEADLINE_MS = 30_000
/** How long close() waits for answers, as Engine's. */
const CLOSE_GRACE_MS = 2_000
const FIRST_MEMTABLES = 2
const PUMP_DELAY_MS = 0.1
/** A worker that waits for main so often waits for ever. */
const WAITS_MAX = 1000

export interface NodeStackOptions {
  readonly settings: NodeSettings
  readonly cluster: ClusterFile
  readonly host: Host
  readonly wire: Wire
  readonly dice: Dice
  readonly files: LogFiles
  readonly bucket: ObjectStore
  /** Whom its options name. */
  readonly members: readonly Member[]
  readonly book: KnownMembers
  readonly isFounder: boolean
  readonly logger: Logger
  /** How long a worker's round begins after there is something to do, at most. */
  readonly workerDelayMs: () => number
  readonly onFailure: (error: unknown) => void
}

export class NodeStack {
  readonly domains: DomainHandle[] = []
  readonly routed: RoutedDomain[] = []
  readonly #options: NodeStackOptions
  readonly #checked: CheckedOptions
  readonly #control: Control
  readonly #tables: TableStore
  readonly #links: WorkerLink[] = []
  readonly #loops: PartitionLoop[] = []
  readonly #blocks: CachedBlocks[] = []
  readonly #io: IoRunner
  /** Rejects when the I/O pool is closed, and so whatever runs in it. */
  readonly #ioEnd = endOfIo()
  readonly #plannedLoops = new Set<number>()
  #isPumpPlanned = false
  #isPumping = false
  #waits = 0
  #disk: DiskLog | undefined
  #peers: Peers | undefined
  #replication: Replication | undefined
  #storage: Storage | undefined
  /** Whether it serves callers. */
  isOpen = false

  constructor(options: NodeStackOptions) {
    this.#options = options
    const { settings, cluster, bucket, logger, host, members } = options
    this.#checked = checkedOptions({
      ...{ nodeId: host.id, settings, cluster, members, bucket, logger },
    })
    const cache = { write: async () => false, writeRange: async () => false }
    const context = { bucket, deadlineMs: IO_DEADLINE_MS, cacheOf: () => cache }
    this.#io = {
      run: async <T extends IoTask>(task: T): Promise<IoResults[T['type']]> => {
        const result = runIoTask(task, context) as Promise<IoResults[T['type']]>
        return await Promise.race([result, this.#ioEnd.promise])
      },
    }
    this.#tables = new TableStore({
      ...{ io: this.#io, cacheDirectory: NO_DIRECTORY, logger, onEvicted: () => {} },
      cacheBytesMax: Number.MAX_SAFE_INTEGER,
      tableMemoryBytesMax: settings.tableMemoryBytesMax,
    })
    const workers = Math.min(settings.workers, cluster.domains.length)
    this.#control = Control.create(workers, cluster.domains.length)
    this.#startWorkers(workers)
  }

  #startWorkers(workers: number): void {
    const { settings, cluster } = this.#options
    const { memtableBytesMax } = settings
    const memtables = cluster.domains.map(() =>
      Array.from({ length: FIRST_MEMTABLES }, (_, i) => ({
        id: i + 1,
        memory: DomainMemtables.allocate(memtableBytesMax),
      })),
    )
    for (let worker = 0; worker < workers; worker++) {
      const domains = cluster.domains
        .map((uuid, domain) => ({ domain, uuid }))
        .filter(({ domain }) => domain % workers === worker)
      const first: MemtableMessage[] = domains.flatMap(({ domain }) =>
        memtables[domain].map(({ id, memory }) => ({ domain, life: 0, memtableId: id, memory })),
      )
      const blockCache = BlockCache.create(settings.blockCacheBytesMax)
      const files = new TableFiles(NO_DIRECTORY, new BlockCache(BlockCache.create(0)))
      this.#blocks.push(new CachedBlocks(new BlockCacheReader(blockCache), files))
      const { clusterId } = cluster
      const cacheDirectory = NO_DIRECTORY
      const data = { clusterId, domains, memtableBytesMax, cacheDirectory, blockCache }
      this.#links.push(this.#link(worker, workers, data, first))
    }
    for (const [number, uuid] of cluster.domains.entries()) {
      this.domains.push(
        new DomainHandle({
          ...{ number, uuid, memtableBytesMax, control: this.#control, tables: this.#tables },
          link: this.#links[number % workers],
          readsHere: settings.readPath === 'auto',
          memtables: memtables[number],
          blocks: this.#blocks[number % workers],
        }),
      )
    }
  }

  #link(
    worker: number,
    workers: number,
    data: ConstructorParameters<typeof WorkerLink>[3],
    memtables: readonly MemtableMessage[],
  ): WorkerLink {
    const { dice, onFailure } = this.#options
    const newId = (into: Uint8Array): void => {
      for (let i = 0; i < 16; i++) into[i] = dice.below(256)
      stampVersion4(into)
    }
    return new WorkerLink(worker, workers, this.#control, data, memtables, onFailure, started => {
      const waitForMain = (): void => this.#letMainWork()
      const loop = new PartitionLoop({ data: started, newId, waitForMain })
      this.#loops.push(loop)
      const ended = async (): Promise<void> => {
        while (!loop.isStopping) await sleep(1)
      }
      return { expectEnd: () => {}, ended }
    })
  }

  /** As Engine.open(), from the recovery of the log on. */
  async open(): Promise<void> {
    const { files, cluster, settings, logger, onFailure, host, wire, book } = this.#options
    const { isFounder } = this.#options
    this.#disk = await DiskLog.open({
      ...{ directory: '', durability: settings.durability, files, logger },
      segmentBytesMax: settings.segmentBytesMax,
      onFatal: onFailure,
    })
    const { domains } = this
    this.#replication = await Replication.open({
      ...{ options: this.#checked, domains, disk: this.#disk, cluster, onFailure },
      dataDir: { path: '', readNode: async () => ({ nodeId: this.#options.host.id, isFounder }) },
      onLeading: (domain, isLeading) => this.#onLeading(domain, isLeading),
      beforeHandOver: domain => this.#storage?.end(domain.number),
      administer: (operation, domain, args) => this.administer(operation, domain, args),
      world: {
        book,
        listen: handlers => {
          this.#peers = new Peers(host, wire, handlers)
          return this.#peers
        },
      },
    })
    const { node, members } = this.#replication
    this.#storage = new Storage({
      ...{ domains, options: this.#checked, io: this.#io, tables: this.#tables, log: node },
      cacheDirectory: NO_DIRECTORY,
      clusterId: cluster.clusterId,
      now: Date.now,
      random: Math.random,
    })
    for (const domain of domains) this.routed.push(new RoutedDomain(domain, members))
    await this.#replication.start()
    this.isOpen = true
  }

  /** As Engine.close(). */
  async close(): Promise<void> {
    this.isOpen = false
    for (const domain of this.domains) domain.endPacing()
    await this.#replication?.leave()
    this.#replication?.members?.close()
    await this.#answered()
    const storage = this.#storage?.close()
    this.#ioEnd.reject(closed())
    await storage
    await this.#answered()
    await this.#replication?.leave()
    await Promise.all(this.#links.map(link => link.stop(0)))
    // As Engine: what still comes is for calls that are refused now.
    this.#isPumping = true
    this.#replication?.fail(closed())
    for (const domain of this.domains) domain.fail(closed())
    for (const link of this.#links) link.calls.failAll(closed())
    await this.#replication?.close()
    await this.#disk?.close()
  }

  async #answered(): Promise<void> {
    const endsAt = performance.now() + CLOSE_GRACE_MS
    const isBusy = (): boolean =>
      this.#replication?.members?.isIdle === false ||
      this.#links.some(link => link.calls.count > 0) ||
      this.domains.some(domain => !domain.isIdle)
    while (isBusy() && performance.now() < endsAt) await sleep(1)
  }

  /** The process has ended. */
  release(): void {
    for (const loop of this.#loops) loop.close()
  }

  get disk(): DiskLog | undefined {
    return this.#disk
  }

  get peers(): Peers | undefined {
    return this.#peers
  }

  get replication(): Replication | undefined {
    return this.#replication
  }

  #onLeading(domain: DomainHandle, isLeading: boolean): void {
    if (isLeading) void this.#storage?.begin(domain)
    else this.#storage?.end(domain.number)
  }

  /** At the leader, wherever it is. */
  async atLeader(operation: AdminOperation, domain: number, ...args: number[]): Promise<unknown> {
    const members = this.#replication?.members
    if (members === undefined) return this.administer(operation, domain, args)
    return members.administer(operation, domain, args)
  }

  /** As Engine.changeMembers(). */
  async changeMembers(added: readonly Member[], removed: readonly number[]): Promise<void> {
    const { replicationFactor } = this.#options.settings
    await this.#replication?.members?.change(added, removed, replicationFactor)
  }

  async administer(
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

  // -------------------------------------------------------------- workers

  /** After each event of the host: workers with something to do get their turn. */
  wake(): void {
    const { host, dice, workerDelayMs } = this.#options
    for (const [worker, loop] of this.#loops.entries()) {
      if (loop.isIdle || this.#plannedLoops.has(worker)) continue
      this.#plannedLoops.add(worker)
      host.later(dice.between(0.01, workerDelayMs()), () => {
        this.#plannedLoops.delete(worker)
        this.#waits = 0
        if (loop.work()) this.#planPump()
      })
    }
  }

  #planPump(): void {
    if (this.#isPumpPlanned) return
    this.#isPumpPlanned = true
    const { host, dice } = this.#options
    host.later(dice.between(0.01, PUMP_DELAY_MS), () => {
      this.#isPumpPlanned = false
      this.#pump()
    })
  }

  /** In the middle of a worker's round: it waits for main, which is another thread. */
  #letMainWork(): void {
    if (++this.#waits > WAITS_MAX) throw new Error('a worker waits for main for ever')
    this.#pump()
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    try {
      let drained = 0
      for (const link of this.#links) drained += link.drain(this.#onResponse)
      if (drained > 0) this.#replication?.node.flush()
    } catch (error) {
      this.#options.onFailure(error)
    } finally {
      this.#isPumping = false
    }
  }

  readonly #onResponse = (bytes: Uint8Array, start: number, end: number): void => {
    const reader = new ByteReader(bytes, 'response', start, end)
    const kind = reader.u8()
    const domain = this.domains[reader.varint()]
    const call = reader.varint()
    switch (kind) {
      case RESPONSE.answer:
        domain.onAnswer(call, reader)
        break
      case RESPONSE.proposal:
        domain.onProposal(call, reader)
        break
      case RESPONSE.frozen:
        domain.frozeMemtable(reader.varint(), reader.varint())
        break
      case RESPONSE.fetch:
        this.#tables.onFetch(domain, reader)
        break
      case RESPONSE.manifest:
      case RESPONSE.picked:
      case RESPONSE.done:
        domain.onManaged(call, reader)
        break
      default:
        reader.u8()
        this.#options.onFailure(getError(reader))
    }
  }
}

function closed(): MetastoreError {
  return new MetastoreError('CLOSED', 'the metastore is closed')
}

function endOfIo(): { promise: Promise<never>; reject: (reason: Error) => void } {
  let reject: (reason: Error) => void = () => {}
  const promise = new Promise<never>((_, rejected) => {
    reject = rejected
  })
  // Without a task nobody waits for it.
  promise.catch(() => {})
  return { promise, reject }
}
