/**
 * Ships what is committed and not flushed of one domain to the bucket, while this node leads it
 * (docs/tail-shipping.md). Holds positions only: what is to be shipped is read from the log again,
 * however long the bucket does not answer.
 *
 * Only what is committed and has taken effect here is read, and that is the same on every node for
 * ever. So a leader that does not know yet that it was deposed ships nothing wrong.
 *
 * Invariants
 *  1. Rows at or below #index are at or below #sequence, and all of those are in the bucket: in
 *     tail objects, or in the manifest that this leadership began with or has announced since.
 *  2. An object begins right after #sequence. One is under way at a time.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { batchSequence } from '../../codec/row-batch.ts'
import { packBatches } from '../../shared/packed-batches.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { IoRunner } from '../io-pool.ts'
import type { Logger } from '../logger.ts'
import { backoffMs } from '../net/backoff.ts'
import type { Entry } from '../raft/entry.ts'
import { ENTRY_KIND, type ReplicatedLog } from '../replication/replicated-log.ts'
import type { Slots } from '../slots.ts'
import type { ManifestCommitter } from './manifest-committer.ts'
import { NOTHING_SHIPPED, type Shipment, type TailSource } from './tail-schedule.ts'

/** Read from the log in one turn, of all domains: a few milliseconds of the main thread. */
const READ_BYTES = 256 * 1024
/** Batches of an object: as many as make it so large, and what was read with the last of them. */
const OBJECT_BYTES = 4 * 1024 * 1024
/** Between attempts, unless the interval is longer. */
const RETRY_MS_MAX = 30_000

export interface TailShipperOptions {
  readonly domain: Pick<
    DomainHandle,
    'number' | 'uuid' | 'manifest' | 'sequenceBefore' | 'visibleSequence' | 'progress' | 'memtables'
  >
  readonly committer: Pick<ManifestCommitter, 'announcedSequence' | 'isAnnounced'>
  readonly log: Pick<ReplicatedLog, 'term' | 'entries'>
  readonly io: IoRunner
  readonly clusterId: string
  readonly compression: 'lz4' | 'none'
  readonly tailIntervalMs: number
  /** Whose turn it is to read from the log, of all domains. */
  readonly logTurns: Slots
  readonly logger: Logger
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly random: () => number
}

/** Everything that was committed at a time. */
interface Goal {
  readonly takenAt: number
  readonly index: number
  readonly sequence: number
}

interface Gathered {
  readonly batches: readonly Uint8Array[]
  /** Up to where the log was read, and the last sequence up to there. */
  readonly index: number
  readonly sequence: number
}

export class TailShipper implements TailSource {
  readonly #options: TailShipperOptions
  /** The term of this leadership. */
  readonly #epoch: number
  /** Last sequence of the manifest that this leadership began with: what is shipped follows it. */
  readonly #base: number
  #index: number
  #sequence: number
  /** Whether it was asked what the leader before has shipped. */
  #hasAsked = false
  /** Everything that was committed before is in the bucket; milliseconds since the epoch. */
  #coveredAt: number
  /** What look() has found, until it is in the bucket or an attempt has failed. */
  #goal: Goal | undefined
  /** When the oldest goal was taken that has not been reached. */
  #waitingSince: number | undefined
  #shipping: Promise<Shipment> | undefined
  /** Attempts in a row. */
  #failures = 0
  #retryAt = Number.NEGATIVE_INFINITY
  #isClosed = false

  constructor(options: TailShipperOptions) {
    this.#options = options
    const { domain, log, now } = options
    this.#epoch = log.term(domain.number)
    this.#base = domain.manifest?.lastSequence ?? 0
    this.#index = domain.manifest?.lastIndex ?? 0
    this.#sequence = this.#base
    this.#coveredAt = domain.memtables.unflushedSince ?? now()
  }

  /** Up to there the bucket has everything, in tables or tail objects. */
  get shippedSequence(): number {
    return Math.max(this.#sequence, this.#options.committer.announcedSequence)
  }

  /** Age of the oldest write that may not be in the bucket, at most; 0: all are. */
  get recoveryPointMs(): number {
    const { committer, domain, now } = this.#options
    if (this.#committedSequence <= this.shippedSequence && this.#isBaseAnnounced) return 0
    const unflushedSince = committer.isAnnounced ? domain.memtables.unflushedSince : undefined
    // What came in this very millisecond is not in the bucket either.
    return Math.max(1, now() - Math.max(this.#coveredAt, unflushedSince ?? 0))
  }

  /** How long the oldest shipment waits that is not in the bucket; 0 without one. */
  get lagMs(): number {
    const now = this.#options.now()
    return Math.max(0, now - (this.#waitingSince ?? now))
  }

  look(): boolean {
    if (this.#isClosed) return false
    this.#passFlushed()
    const takenAt = this.#options.now()
    const sequence = this.#committedSequence
    if (sequence <= this.#sequence) {
      this.#reached(takenAt)
      return false
    }
    this.#waitingSince ??= takenAt
    if (this.#shipping !== undefined || takenAt < this.#retryAt) return false
    this.#goal ??= { takenAt, index: this.#options.domain.progress.index, sequence }
    return true
  }

  ship(): Promise<Shipment> {
    this.#shipping ??= this.#attempt().finally(() => {
      this.#shipping = undefined
    })
    return this.#shipping
  }

  /** Resolves when what is under way has ended; nothing new begins. */
  async close(): Promise<void> {
    this.#isClosed = true
    // Whoever has begun it is told of its failure.
    await this.#shipping?.catch(() => NOTHING_SHIPPED)
  }

  async #attempt(): Promise<Shipment> {
    try {
      await this.#passShipped()
      const goal = this.#goal
      const shipment = goal === undefined ? NOTHING_SHIPPED : await this.#shipTowards(goal)
      this.#failures = 0
      return shipment
    } catch (error) {
      if (this.#isClosed) return NOTHING_SHIPPED
      const { tailIntervalMs, now, random } = this.#options
      const mostMs = Math.max(tailIntervalMs, RETRY_MS_MAX)
      this.#retryAt = now() + backoffMs(++this.#failures, tailIntervalMs, mostMs, random())
      // The next attempt takes everything that has come by then.
      this.#goal = undefined
      throw error
    }
  }

  async #shipTowards(goal: Goal): Promise<Shipment> {
    this.#passFlushed()
    const { batches, index, sequence } = await this.#gather(goal)
    if (this.#isClosed) return NOTHING_SHIPPED
    const sizeBytes = batches.length === 0 ? 0 : await this.#put(batches, sequence, goal.takenAt)
    // A flush may have come further meanwhile.
    this.#index = Math.max(this.#index, index)
    this.#sequence = Math.max(this.#sequence, sequence)
    const isThere = this.#index >= goal.index || this.#sequence >= goal.sequence
    // Without any batch the log was cut, and the next look is at what the bucket has then.
    const hasMore = !isThere && batches.length > 0
    if (!hasMore) {
      this.#goal = undefined
      if (this.#sequence >= goal.sequence) this.#reached(goal.takenAt)
    }
    return { sizeBytes, hasMore }
  }

  /** Reads on from where the last object ends. */
  async #gather(goal: Goal): Promise<Gathered> {
    const batches: Uint8Array[] = []
    let [index, sequence, sizeBytes] = [this.#index, this.#sequence, 0]
    while (index < goal.index && sizeBytes < OBJECT_BYTES && !this.#isClosed) {
      const entries = await this.#entries(index, goal.index)
      // The log was cut: a flush has come further.
      if (entries.length === 0) break
      const found = rowsAfter(sequence, entries)
      if (found.length > 0 && batchSequence(found[0]) !== sequence + 1) {
        if (batches.length > 0) break
        const next = batchSequence(found[0])
        throw new Error(`the log goes on at ${next}, and the bucket has what is up to ${sequence}`)
      }
      for (const batch of found) {
        batches.push(batch)
        sizeBytes += batch.length
      }
      sequence += found.length
      index = entries[entries.length - 1].index
    }
    return { batches, index, sequence }
  }

  /** Some of those after one index, up to another. Everybody else has their turns in between. */
  #entries(after: number, to: number): Promise<readonly Entry[]> {
    const { domain, log, logTurns } = this.#options
    return logTurns.run(async () => {
      const entries = log.entries(domain.number, after + 1, to + 1, READ_BYTES)
      await nextTurn()
      return entries
    })
  }

  async #put(batches: readonly Uint8Array[], last: number, createdAt: number): Promise<number> {
    const { domain, io, clusterId, compression } = this.#options
    const first = last - batches.length + 1
    const name = { domain: domain.uuid, epoch: this.#epoch, first, last }
    const packed = packBatches(batches)
    return io.run({ type: 'putTail', name, clusterId, createdAt, batches: packed, compression })
  }

  /** The newest rows before this leadership may take effect a moment after it has begun. */
  get #committedSequence(): number {
    const { visibleSequence, sequenceBefore } = this.#options.domain
    return Math.max(visibleSequence, sequenceBefore)
  }

  #reached(takenAt: number): void {
    this.#waitingSince = undefined
    if (this.#isBaseAnnounced) this.#coveredAt = takenAt
  }

  /** Until then a restore begins with an older manifest than what was shipped here follows. */
  get #isBaseAnnounced(): boolean {
    return this.#options.committer.announcedSequence >= this.#base
  }

  /** What the bucket's pointer covers need not be shipped. */
  #passFlushed(): void {
    this.#pass(this.#options.committer.announcedSequence)
  }

  /**
   * Once: what the leader before has shipped need not be shipped again. If the bucket does not say,
   * it is; readers take either.
   */
  async #passShipped(): Promise<void> {
    const { domain, io, logger } = this.#options
    const { sequenceBefore } = domain
    const after = this.#sequence
    if (this.#hasAsked || sequenceBefore <= after) return
    this.#hasAsked = true
    try {
      const reach = await io.run({ type: 'tailReach', domain: domain.uuid, after })
      // Of what this log does not have, nothing is believed.
      this.#pass(Math.min(reach, sequenceBefore))
    } catch (error) {
      const details = { domain: domain.number, err: error }
      logger.info(details, 'the tail is shipped from the manifest on: its objects were not listed')
    }
  }

  /** Each sequence has an entry of its own, so that so many entries have no later one. */
  #pass(sequence: number): void {
    if (sequence <= this.#sequence) return
    this.#index += sequence - this.#sequence
    this.#sequence = sequence
  }
}

function rowsAfter(sequence: number, entries: readonly Entry[]): Uint8Array[] {
  return entries
    .filter(({ kind, payload }) => kind === ENTRY_KIND.rows && batchSequence(payload) > sequence)
    .map(({ payload }) => payload)
}
