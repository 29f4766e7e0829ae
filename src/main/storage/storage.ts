/**
 * The way of all domains to the bucket and back: flushes, compactions, the schedule that starts
 * them, and the tables that reads use. Main thread; the work itself is the I/O pool's.
 */
import { MetastoreError } from '../../codec/errors.ts'
import { manifestName } from '../../codec/manifest.ts'
import type { TailStatus } from '../../shared/api.ts'
import type { Announced } from '../checkpoints.ts'
import type { DomainHandle } from '../domain-handle.ts'
import { type IoRunner, tasksAtOnce } from '../io-pool.ts'
import type { CheckedOptions } from '../options.ts'
import type { ReplicatedLog } from '../replication/replicated-log.ts'
import { Slots } from '../slots.ts'
import { DomainStorage } from './domain-storage.ts'
import { FlushSchedule } from './flush-schedule.ts'
import type { DomainGarbage } from './garbage-collector.ts'
import { GarbageSchedule } from './garbage-schedule.ts'
import type { TableStore } from './table-store.ts'
import { TailSchedule } from './tail-schedule.ts'
import type { TailShipper } from './tail-shipper.ts'

/** Tail objects under way at a time: each has some 20 MiB at most, here and in its thread. */
const SHIPMENTS_MAX = 8

export interface StorageOptions {
  domains: readonly DomainHandle[]
  log: ReplicatedLog
  io: IoRunner
  tables: TableStore
  clusterId: string
  options: CheckedOptions
  cacheDirectory: string
  now: () => number
  random: () => number
}

export class Storage {
  readonly #storage: StorageOptions
  readonly #slots: Slots
  readonly #logTurns = new Slots(1)
  /** By number; of the domains that this node leads. */
  readonly #domains: (DomainStorage | undefined)[]
  /** Those that are led no more and have not come to their end. */
  readonly #ending = new Map<number, Promise<void>>()
  readonly #schedule: FlushSchedule
  readonly #garbageSchedule: GarbageSchedule
  /** Undefined: tails are not shipped. */
  readonly #tails: TailSchedule | undefined
  #flushedBytes = 0
  #compactedBytes = 0
  #isClosed = false

  constructor(storage: StorageOptions) {
    this.#storage = storage
    const { domains, log, options, now } = storage
    // Tasks that make tables are no more than threads: one at least stays for flushes.
    this.#slots = new Slots(Math.max(1, options.ioThreads.max - 1))
    this.#domains = domains.map(() => undefined)
    this.#schedule = new FlushSchedule({
      candidateOf: domain => this.#domains[domain]?.flusher,
      domains: domains.length,
      log,
      flushIntervalMs: options.flushIntervalMs,
      logBytesMax: options.logBytesMax,
      now,
      onFailure: error => {
        options.logger.debug({ err: error }, 'a flush of the schedule did not succeed at once')
      },
    })
    this.#schedule.start()
    this.#garbageSchedule = new GarbageSchedule({
      collectorOf: domain => this.#domains[domain]?.collector,
      domains: domains.length,
      intervalMs: options.garbageIntervalMs,
      onFailure: error => options.logger.warn({ err: error }, 'garbage was not all collected'),
    })
    this.#garbageSchedule.start()
    this.#tails = this.#tailSchedule()
    this.#tails?.start()
  }

  /** This node leads the domain from now on; begins at once with what was left undone. */
  async begin(domain: DomainHandle): Promise<void> {
    await this.#ending.get(domain.number)
    if (this.#isClosed || domain.leadership === 0 || this.#domains[domain.number] !== undefined)
      return
    const { clusterId, log, io, tables, options, cacheDirectory, now, random } = this.#storage
    const { compression, logger, tailIntervalMs, garbageDelayMs, preregistrationTtlMs } = options
    this.#domains[domain.number] = new DomainStorage({
      ...{ clusterId, domain, log, io, tables, cacheDirectory, now, random },
      ...{ compression, logger, tailIntervalMs, garbageDelayMs, preregistrationTtlMs },
      ...{ slots: this.#slots, logTurns: this.#logTurns },
    })
  }

  /** This node leads the domain no more. */
  end(domain: number): void {
    const ended = this.#domains[domain]
    if (ended === undefined) return
    this.#domains[domain] = undefined
    this.#flushedBytes += ended.flusher.flushedBytes
    this.#compactedBytes += ended.compactor.compactedBytes
    const end = ended.close(notLeading(domain)).finally(() => this.#ending.delete(domain))
    this.#ending.set(domain, end)
  }

  #tailSchedule(): TailSchedule | undefined {
    const { domains, options, now } = this.#storage
    const { tailIntervalMs, ioThreads, logger, objectStore } = options
    if (tailIntervalMs === null) return undefined
    return new TailSchedule({
      sourceOf: domain => this.#domains[domain]?.tail,
      domains: domains.length,
      tailIntervalMs,
      // The other half of the pool's tasks is for flushes and reads.
      atOnceMax: Math.max(1, Math.min(SHIPMENTS_MAX, tasksAtOnce(objectStore, ioThreads.max) >> 1)),
      now,
      onFailure: (domain, error) => {
        logger.warn({ domain, err: error }, 'a tail was not shipped, which will be tried again')
      },
    })
  }

  /** Flushes a domain; resolves when a restore would find what was written before. */
  async flush(domain: number): Promise<void> {
    await this.#led(domain).flusher.flush()
  }

  /** Flushes a domain. @returns what the bucket's pointer names then */
  async checkpoint(domain: number): Promise<Announced> {
    await this.flush(domain)
    const { announced } = this.#led(domain).committer
    if (announced === null) return { sequence: 0, manifest: null }
    return { sequence: announced.lastSequence, manifest: manifestName(announced) }
  }

  /** Flushes, then merges everything into the deepest level. */
  async compact(domain: number): Promise<void> {
    await this.flush(domain)
    await this.#led(domain).compactor.compact()
  }

  /** @throws UNAVAILABLE when this node does not lead the domain */
  #led(domain: number): DomainStorage {
    const led = this.#domains[domain]
    if (led === undefined) throw notLeading(domain)
    return led
  }

  /** Deletes, or only counts, what of the domain is garbage. */
  async collectGarbage(domain: number, isDryRun: boolean): Promise<DomainGarbage> {
    return await this.#led(domain).collector.collect(isDryRun)
  }

  /** Bytes of tables that this instance has put into the bucket. */
  get writtenBytes(): { flushed: number; compacted: number } {
    let [flushed, compacted] = [this.#flushedBytes, this.#compactedBytes]
    for (const led of this.#domains) {
      flushed += led?.flusher.flushedBytes ?? 0
      compacted += led?.compactor.compactedBytes ?? 0
    }
    return { flushed, compacted }
  }

  /** What ships a domain's tail, if this node does. */
  tailOf(domain: number): TailShipper | undefined {
    return this.#domains[domain]?.tail
  }

  /** null: tails are not shipped. */
  get tailStatus(): TailStatus | null {
    if (this.#tails === undefined) return null
    const { puts, bytes, failures, putsAnHour } = this.#tails
    const lags = this.#domains.map(led => led?.tail?.lagMs ?? 0)
    return { puts, bytes, failures, putsAnHour, lagMs: Math.max(0, ...lags) }
  }

  /** Nothing new begins; what is under way ends with the I/O pool, which must be closed as well. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#schedule.close()
    this.#garbageSchedule.close()
    this.#tails?.close()
    const closed = new MetastoreError('CLOSED', 'the metastore is closed')
    // Without a majority a commit may never come.
    for (const domain of this.#storage.domains) domain.endCommits(closed)
    await Promise.all(this.#domains.map(led => led?.close(closed)))
    await Promise.all(this.#ending.values())
  }
}

function notLeading(domain: number): MetastoreError {
  return new MetastoreError('UNAVAILABLE', `this node does not lead metastore partition ${domain}`)
}
