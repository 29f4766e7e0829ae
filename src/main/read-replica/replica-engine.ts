/**
 * Everything that an open read replica owns on the main thread: dataDir, I/O pool, workers and
 * domains as a metastore has them, and in the place of log and Raft a follower of the bucket for
 * each domain.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterFile } from '../../codec/cluster-file.ts'
import { invalidRequest, MetastoreError } from '../../codec/errors.ts'
import { IoPool } from '../io-pool.ts'
import { SYSTEM_CLOCK } from '../net/clock.ts'
import { answered, asUnavailable, PartitionThreads } from '../partition-threads.ts'
import { DataDir } from '../recovery/data-dir.ts'
import { readCluster } from '../recovery/read-cluster.ts'
import { Slots } from '../slots.ts'
import { DomainFollower } from './domain-follower.ts'
import { DomainLease } from './domain-lease.ts'
import { Recurring } from './recurring.ts'
import { ReplicaDomain } from './replica-domain.ts'
import type { CheckedReplicaOptions } from './replica-options.ts'

/** Domains that talk to the bucket at the same time. */
const DOMAINS_AT_ONCE = 16
/** The longest pause between refreshes while they fail, unless the interval is longer. */
const REFRESH_PAUSE_MS_MAX = 60_000
/** Leases are looked at so many times before they expire. */
const LEASE_LOOKS = 4
/** How long close() waits for answers, and then for the leases to go; a bucket may hang. */
const CLOSE_GRACE_MS = 2_000

export class ReplicaEngine {
  readonly cluster: ClusterFile
  readonly domains: readonly ReplicaDomain[]
  readonly #options: CheckedReplicaOptions
  readonly #dataDir: DataDir
  readonly #io: IoPool
  readonly #threads: PartitionThreads
  readonly #leases: readonly DomainLease[]
  readonly #followers: readonly DomainFollower[]
  readonly #refreshSlots = new Slots(DOMAINS_AT_ONCE)
  /** Leases do not wait for refreshes that the bucket holds up. */
  readonly #leaseSlots = new Slots(DOMAINS_AT_ONCE)
  readonly #refreshing: Recurring
  readonly #renewing: Recurring
  #failure: MetastoreError | undefined
  #closing: Promise<void> | undefined

  private constructor(
    options: CheckedReplicaOptions,
    cluster: ClusterFile,
    readerId: string,
    dataDir: DataDir,
    io: IoPool,
  ) {
    this.#options = options
    this.cluster = cluster
    this.#dataDir = dataDir
    this.#io = io
    const { shared, refreshIntervalMs, leaseMs } = options
    const { logger } = shared
    this.#threads = new PartitionThreads({
      ...{ options: shared, cluster, io, cacheDirectory: dataDir.cacheDirectory },
      onDrained: () => {},
      onFailure: error => this.#fail(asUnavailable(error)),
    })
    const { clusterId } = cluster
    const now = Date.now
    this.#leases = cluster.domains.map(
      domain => new DomainLease({ io, domain, readerId, leaseMs, now }),
    )
    this.#followers = this.#threads.domains.map(
      (domain, i) =>
        new DomainFollower({ domain, clusterId, io, lease: this.#leases[i], now, logger }),
    )
    this.domains = this.#threads.domains.map(
      domain => new ReplicaDomain(domain, () => this.refresh()),
    )
    this.#refreshing = new Recurring({
      work: () => this.#overDomains(this.#refreshSlots, i => this.#followers[i].refresh()),
      intervalMs: refreshIntervalMs,
      intervalMsMax: Math.max(refreshIntervalMs, REFRESH_PAUSE_MS_MAX),
      ...{ clock: SYSTEM_CLOCK, random: Math.random },
      onFailure: (err, failures) => logger.warn({ err, failures }, 'a refresh has failed'),
    })
    const lookMs = Math.ceil(leaseMs / LEASE_LOOKS)
    this.#renewing = new Recurring({
      work: () => this.#overDomains(this.#leaseSlots, i => this.#leases[i].renew()),
      intervalMs: lookMs,
      intervalMsMax: lookMs,
      ...{ clock: SYSTEM_CLOCK, random: Math.random },
      onFailure: (err, failures) => logger.warn({ err, failures }, 'a lease was not renewed'),
    })
  }

  static async open(options: CheckedReplicaOptions): Promise<ReplicaEngine> {
    const { dataDir: path, objectStore, ioThreads } = options.shared
    const dataDir = await DataDir.open(path)
    const io = new IoPool(objectStore, ioThreads)
    let engine: ReplicaEngine | undefined
    try {
      const known = await readerIdIn(dataDir, options.clusterId)
      const cluster = await readCluster(io, options.clusterId, 'clusterId')
      const readerId = known ?? (await newReader(dataDir, options.clusterId))
      engine = new ReplicaEngine(options, cluster, readerId, dataDir, io)
      await engine.#start()
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

  async #start(): Promise<void> {
    this.#threads.start()
    await this.#threads.tables.cache.load()
    this.#renewing.start()
    await this.refresh()
  }

  /** @throws CLOSED after close(), UNAVAILABLE after a failure that it does not survive */
  expectOpen(): void {
    if (this.#closing !== undefined) throw closed()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** See Recurring.run(). */
  refresh(): Promise<void> {
    return this.#refreshing.run()
  }

  lagMs(): number {
    const asOf = Math.min(...this.#followers.map(follower => follower.asOf))
    return Math.max(0, Date.now() - asOf)
  }

  /** All of them, whatever becomes of the others. @throws the first failure */
  async #overDomains(slots: Slots, work: (domain: number) => Promise<void>): Promise<void> {
    const done = await Promise.allSettled(
      this.cluster.domains.map((_, domain) => slots.run(() => work(domain))),
    )
    for (const one of done) if (one.status === 'rejected') throw one.reason
  }

  #fail(error: MetastoreError): void {
    if (this.#failure !== undefined) return
    this.#options.shared.logger.error({ err: error }, 'the read replica has failed')
    void this.#refreshing.close()
    void this.#renewing.close()
    this.#end(error)
  }

  #end(error: MetastoreError): void {
    this.#failure ??= error
    this.#threads.fail(error)
  }

  // -------------------------------------------------------------- end

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Every step is made, whatever the one before came to; rejects with the first failure. */
  async #close(): Promise<void> {
    const failures: unknown[] = []
    const step = async (work: () => unknown): Promise<void> => {
      try {
        await work()
      } catch (error) {
        failures.push(error)
      }
    }
    const isBusy = (): boolean => this.#failure === undefined && this.#threads.isBusy
    const recurring = [this.#refreshing.close(), this.#renewing.close()]
    await answered(isBusy, CLOSE_GRACE_MS)
    await this.#releaseLeases()
    // Its tasks end with the pool, whatever the bucket does.
    await step(() => this.#io.close())
    await Promise.all(recurring)
    // Reads that waited for the bucket have been refused by now.
    await answered(isBusy, CLOSE_GRACE_MS)
    await step(() => this.#threads.tables.cache.close())
    await step(() => this.#threads.stop())
    this.#end(closed())
    await step(() => this.#dataDir.close())
    if (failures.length > 0) throw failures[0]
  }

  /** One that cannot be deleted in time expires. */
  async #releaseLeases(): Promise<void> {
    const { logger } = this.#options.shared
    const graceOver = new AbortController()
    const released = this.#overDomains(this.#leaseSlots, i => this.#leases[i].release()).catch(
      (err: unknown) => logger.warn({ err }, 'a lease is left to expire'),
    )
    const grace = sleep(CLOSE_GRACE_MS, undefined, { signal: graceOver.signal }).catch(() => {})
    await Promise.race([released, grace])
    graceOver.abort()
  }
}

/** @throws INVALID_REQUEST when the directory is another cluster's, or a metastore's */
async function readerIdIn(dataDir: DataDir, clusterId: string): Promise<string | undefined> {
  const known = await dataDir.readReplica()
  if (known !== undefined && known.clusterId !== clusterId) {
    throw invalidRequest(
      `clusterId is ${clusterId}; dataDir ${dataDir.path} is a replica's of ${known.clusterId}`,
    )
  }
  const isMetastores =
    (await dataDir.readCluster()) !== undefined ||
    (await dataDir.readIntent()) !== undefined ||
    (await dataDir.readNode()) !== undefined
  if (isMetastores) throw invalidRequest(`dataDir ${dataDir.path} is a metastore's`)
  return known?.readerId
}

async function newReader(dataDir: DataDir, clusterId: string): Promise<string> {
  const readerId = randomUUID()
  await dataDir.writeReplica({ readerId, clusterId })
  return readerId
}

function closed(): MetastoreError {
  return new MetastoreError('CLOSED', 'the read replica is closed')
}
