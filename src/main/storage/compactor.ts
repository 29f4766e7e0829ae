/**
 * Compacts one domain, a job at a time: the worker picks (workers/domain/compaction-picker.ts), the
 * I/O pool merges and uploads, a manifest edit commits. A job that fails or is cancelled has made
 * no edit, and is picked anew.
 */
import { getTable, type TableDescription } from '../../codec/manifest.ts'
import type { BuiltTable, KeyRange } from '../../shared/io-tasks.ts'
import { REQUEST } from '../../shared/messages.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { IoRunner } from '../io-pool.ts'
import type { Logger } from '../logger.ts'
import type { ReplicatedLog } from '../replication/replicated-log.ts'
import type { Slots } from '../slots.ts'
import { BackgroundWork } from './background-work.ts'
import type { ManifestCommitter, TableIds } from './manifest-committer.ts'

/** Inputs may be compressed and outputs not: a table becomes at most so many. */
const OUTPUTS_AN_INPUT = 32
/** For the last table of each output, and one more. */
const TABLE_IDS_MARGIN = 16

function tableIdsFor(job: Job): number {
  return job.inputs.length * OUTPUTS_AN_INPUT + TABLE_IDS_MARGIN
}

export interface CompactorOptions {
  domain: DomainHandle
  committer: ManifestCommitter
  log: ReplicatedLog
  io: IoRunner
  /** Of all domains together: compactions leave a thread of the I/O pool to flushes. */
  slots: Slots
  compression: 'lz4' | 'none'
  cacheDirectory: string
  logger: Logger
  now: () => number
  random: () => number
}

interface Job {
  isMove: boolean
  outputLevel: number
  inputs: TableDescription[]
  below: KeyRange[]
}

interface Waiter {
  resolve: () => void
  reject: (error: Error) => void
}

export class Compactor {
  readonly #options: CompactorOptions
  readonly #work: BackgroundWork
  /** Callers of compact() that no full job has begun for yet. */
  #waiters: Waiter[] = []
  /** Bytes of tables that compactions have put into the bucket. */
  compactedBytes = 0

  constructor(options: CompactorOptions) {
    this.#options = options
    const { domain, logger } = options
    this.#work = new BackgroundWork({
      step: () => this.#step(),
      onFailure: (error, failures) => {
        const details = { domain: domain.number, failures, err: error }
        logger.warn(details, 'a compaction failed and will be tried again')
      },
      random: options.random,
    })
    this.wake()
  }

  /** The version has changed: there may be something to compact. */
  wake(): void {
    this.#work.wake()
  }

  /**
   * Merges all tables into the deepest level; resolves when that is committed.
   * @throws what the attempt fails with
   */
  compact(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      this.wake()
    })
  }

  /** Ends with the job under way, which the I/O pool's end may cut short. */
  async close(): Promise<void> {
    await this.#work.close()
  }

  /** Rejects the callers of compact() that wait. After close(). */
  fail(error: Error): void {
    for (const { reject } of this.#waiters.splice(0)) reject(error)
  }

  /** @returns whether there may be more to do */
  async #step(): Promise<boolean> {
    const waiters = this.#waiters.splice(0)
    try {
      const isDone = await this.#compact(waiters.length > 0)
      for (const { resolve } of waiters) resolve()
      return isDone
    } catch (error) {
      for (const { reject } of waiters) reject(error as Error)
      throw error
    }
  }

  async #compact(isFull: boolean): Promise<boolean> {
    const { committer, domain, slots } = this.#options
    domain.expectAlive()
    const job = await this.#pick(isFull)
    if (job === undefined) return false
    const ids = committer.beginJob(tableIdsFor(job))
    try {
      const tables = job.isMove ? [] : await slots.run(() => this.#merge(job, ids))
      await committer.commit({ kind: 'compaction', tables })
      this.compactedBytes += tables.reduce((sum, table) => sum + table.description.sizeBytes, 0)
    } finally {
      committer.endJob(ids)
    }
    await committer.announce()
    return true
  }

  #pick(isFull: boolean): Promise<Job | undefined> {
    return this.#options.domain.manage(
      REQUEST.pick,
      out => out.u8(isFull ? 1 : 0),
      reader => {
        if (reader.u8() === 0) return undefined
        const isMove = reader.u8() === 1
        const outputLevel = reader.varint()
        const inputs = Array.from({ length: reader.varint() }, () => getTable(reader))
        const below = Array.from({ length: reader.varint() }, () => ({
          smallest: reader.blob().slice(),
          greatest: reader.blob().slice(),
        }))
        return { isMove, outputLevel, inputs, below }
      },
    )
  }

  #merge(job: Job, ids: TableIds): Promise<BuiltTable[]> {
    const { domain, io, log, compression, cacheDirectory, now } = this.#options
    return io.run({
      type: 'compactTables',
      inputs: job.inputs,
      outputLevel: job.outputLevel,
      below: job.below,
      // Tables hold committed rows only: a snapshot taken later sees the newest version of each.
      snapshots: domain.snapshots.sequences(),
      domain: domain.uuid,
      epoch: log.term(domain.number),
      firstTableId: ids.first,
      lastTableId: ids.last,
      compression,
      createdAt: now(),
      cacheDirectory,
    })
  }
}
