/**
 * The way of all domains to the bucket and back: flushes, compactions, the schedule that starts
 * them, and the tables that reads use. Main thread; the work itself is the I/O pool's.
 */
import { MetastoreError } from '../../codec/errors.ts'
import type { Manifest, ManifestName } from '../../codec/manifest.ts'
import type { CollectedTables } from '../../shared/io-tasks.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { IoPool } from '../io-pool.ts'
import type { CheckedOptions } from '../options.ts'
import type { ReplicatedLog } from '../replication/replicated-log.ts'
import { Compactor } from './compactor.ts'
import { FlushSchedule } from './flush-schedule.ts'
import { Flusher } from './flusher.ts'
import { ManifestCommitter } from './manifest-committer.ts'
import { Slots } from './slots.ts'
import type { TableStore } from './table-store.ts'

export interface StorageOptions {
  domains: readonly DomainHandle[]
  log: ReplicatedLog
  io: IoPool
  tables: TableStore
  options: CheckedOptions
  cacheDirectory: string
  now: () => number
  random: () => number
}

export class Storage {
  readonly #storage: StorageOptions
  readonly #committers: readonly ManifestCommitter[]
  readonly #flushers: readonly Flusher[]
  readonly #compactors: readonly Compactor[]
  readonly #schedule: FlushSchedule

  /** Begins at once with what the instance before has left undone. */
  constructor(storage: StorageOptions) {
    this.#storage = storage
    const { domains, log, io, tables, options, cacheDirectory, now, random } = storage
    const { compression, logger, ioThreads } = options
    // One thread at least stays free for flushes and fetches.
    const slots = new Slots(Math.max(1, ioThreads.max - 1))
    const shared = { log, io, compression, cacheDirectory, logger, now, random }
    const parts = domains.map(domain => {
      const committer = new ManifestCommitter({ domain, log, io, tables, now })
      const compactor = new Compactor({ ...shared, domain, committer, slots })
      const onFlushed = (): void => compactor.wake()
      return {
        committer,
        compactor,
        flusher: new Flusher({ ...shared, domain, committer, onFlushed }),
      }
    })
    this.#committers = parts.map(({ committer }) => committer)
    this.#flushers = parts.map(({ flusher }) => flusher)
    this.#compactors = parts.map(({ compactor }) => compactor)
    this.#schedule = new FlushSchedule({
      candidates: this.#flushers,
      log,
      flushIntervalMs: options.flushIntervalMs,
      logBytesMax: options.logBytesMax,
      now,
      onFailure: error => {
        logger.debug({ err: error }, 'a flush of the schedule did not succeed at once')
      },
    })
    this.#schedule.start()
  }

  /** Flushes one domain or all; resolves when a restore would find what was written before. */
  async flush(domain: number | undefined): Promise<void> {
    await Promise.all(chosen(this.#flushers, domain).map(flusher => flusher.flush()))
  }

  /** Flushes, then merges everything into the deepest level. */
  async compact(domain: number | undefined): Promise<void> {
    await this.flush(domain)
    await Promise.all(chosen(this.#compactors, domain).map(compactor => compactor.compact()))
  }

  /** Deletes, or only counts, the tables and manifests that nobody refers to any more. */
  async collectGarbage(isDryRun: boolean): Promise<CollectedTables> {
    const { domains, log, io, options, now } = this.#storage
    const sum = { tables: 0, manifests: 0, sizeBytes: 0 }
    for (const [i, domain] of domains.entries()) {
      const found = await io.run({
        type: 'collectTables',
        domain: domain.uuid,
        committed: domain.manifest && manifestName(domain.manifest),
        epoch: log.term(domain.number),
        firstIdUnderWay: this.#committers[i].firstIdUnderWay,
        delayMs: options.garbageDelayMs,
        now: now(),
        isDryRun,
      })
      sum.tables += found.tables
      sum.manifests += found.manifests
      sum.sizeBytes += found.sizeBytes
    }
    return sum
  }

  /** Bytes of tables that this instance has put into the bucket. */
  get writtenBytes(): { flushed: number; compacted: number } {
    return {
      flushed: this.#flushers.reduce((sum, flusher) => sum + flusher.flushedBytes, 0),
      compacted: this.#compactors.reduce((sum, compactor) => sum + compactor.compactedBytes, 0),
    }
  }

  /** Nothing new begins; what is under way ends with the I/O pool, which must be closed as well. */
  async close(): Promise<void> {
    this.#schedule.close()
    await Promise.all([
      ...this.#flushers.map(flusher => flusher.close()),
      ...this.#compactors.map(compactor => compactor.close()),
    ])
    const closed = new MetastoreError('CLOSED', 'the metastore is closed')
    for (const compactor of this.#compactors) compactor.fail(closed)
  }
}

function manifestName({ domain, epoch, version }: Manifest): ManifestName {
  return { domain, epoch, version }
}

function chosen<T>(all: readonly T[], one: number | undefined): readonly T[] {
  return one === undefined ? all : [all[one]]
}
