/**
 * What a leader knows of one follower, and how it feeds it (figure 2, nextIndex and matchIndex).
 *
 *   probe      where the follower's log agrees is not known: one append at a time
 *   replicate  known: appends are pipelined, ahead of their answers, within a window
 *   snapshot   what it needs was cut off the log: a snapshot is on its way, nothing else is sent
 *
 * Invariants:
 * 1. match < next.
 * 2. Only replicate has messages in flight.
 * 3. pendingSnapshot is 0 but in snapshot.
 */
import { Inflights } from './inflights.ts'
import type { RaftLimits } from './options.ts'

export type ProgressState = 'probe' | 'replicate' | 'snapshot'

export class Progress {
  /** The newest entry known to be durable at the follower. */
  match = 0
  /** The entry to send next. */
  next: number
  state: ProgressState = 'probe'
  isLearner: boolean
  /** Was heard from since the last check of the quorum. */
  isActive: boolean
  /** Index of the snapshot on its way, else 0. */
  pendingSnapshot = 0
  /** The leader's ticks since it was sent. */
  snapshotAge = 0
  /** Nothing is sent until an answer or the next heartbeat's. */
  flowPaused = false
  readonly inflights: Inflights
  /** The newest commit index sent: a new one is worth a message only if it can say more. */
  #sentCommit = 0

  constructor(next: number, isLearner: boolean, isActive: boolean, limits: RaftLimits) {
    this.next = next
    this.isLearner = isLearner
    this.isActive = isActive
    this.inflights = new Inflights(limits.inflightMessagesMax, limits.inflightBytesMax)
  }

  get isPaused(): boolean {
    return this.state === 'snapshot' || this.flowPaused
  }

  becomeProbe(): void {
    const afterSnapshot = this.pendingSnapshot + 1
    const wasSnapshot = this.state === 'snapshot'
    this.#enter('probe')
    // A snapshot that was sent has probably arrived: probing starts behind it.
    this.next = wasSnapshot ? Math.max(this.match + 1, afterSnapshot) : this.match + 1
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1)
  }

  becomeReplicate(): void {
    this.#enter('replicate')
    this.next = this.match + 1
  }

  becomeSnapshot(index: number): void {
    this.#enter('snapshot')
    this.pendingSnapshot = index
    this.next = index + 1
    this.#sentCommit = index
  }

  /** An append with `count` entries was sent; in replicate the next goes out before its answer. */
  sentEntries(count: number, bytes: number): void {
    if (this.state === 'replicate') {
      if (count > 0) {
        this.next += count
        this.inflights.add(this.next - 1, bytes)
      }
      this.flowPaused = this.inflights.isFull
    } else if (this.state === 'probe') {
      if (count > 0) this.flowPaused = true
    } else {
      throw new Error('an append was sent while a snapshot is on its way')
    }
  }

  sentCommit(commit: number): void {
    this.#sentCommit = commit
  }

  /** Whether the follower would learn of a newer commit: it commits at most up to next - 1. */
  canLearnCommit(commit: number): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1
  }

  /** The follower has everything up to `index`. @returns whether that is news */
  acknowledge(index: number): boolean {
    if (index <= this.match) return false
    this.match = index
    this.next = Math.max(this.next, index + 1)
    this.flowPaused = false
    return true
  }

  /**
   * The append behind `rejected` did not fit; the logs may agree at `hint` (paper, end of 5.3).
   * @returns false when the answer is to something sent before and says nothing new
   */
  stepBack(rejected: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false
      this.next = this.match + 1
    } else {
      if (this.next - 1 !== rejected) return false
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1)
      this.flowPaused = false
    }
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1)
    return true
  }

  #enter(state: ProgressState): void {
    this.state = state
    this.flowPaused = false
    this.pendingSnapshot = 0
    this.snapshotAge = 0
    this.inflights.reset()
  }
}
