/**
 * Reads: linearizable reads without entries in the log (dissertation 6.4), and leases (6.4.1).
 *
 * A leader's broadcasts of heartbeats are numbered: rounds. A read that came before round r was
 * sent may be served at the commit index of its arrival once a quorum has answered round r or a
 * later one: then nobody else was leader in between. All reads of a turn share one round. A quorum
 * answers "since when": by the same rule as it commits entries (quorum.ts).
 *
 * Invariants:
 * 1. A round's time is taken no later than its first heartbeat is sent; a lease begins there.
 * 2. Once a transfer's target was told to campaign there is no lease in that term: it may do so
 *    at any time, and does not respect leases.
 */
import { NOBODY } from './entry.ts'

export interface Read {
  /** The caller's number of it. */
  readonly context: number
  /** Answer it when everything up to this is applied. */
  readonly index: number
}

interface WaitingRead extends Read {
  /** Who asked; NOBODY is this member. */
  readonly from: number
  readonly round: number
}

interface SentRound {
  readonly round: number
  readonly sentMs: number
}

export class Reads {
  readonly #leaseMs: number
  #round = 0
  /** The newest round that each member has answered. */
  readonly #answered = new Map<number, number>()
  /** In order of arrival, so rounds ascend. */
  #waiting: WaitingRead[] = []
  /** Came before this leader has committed anything: it does not know the commit index yet. */
  #early: { context: number; from: number }[] = []
  #sent: SentRound[] = []
  #leaseUntilMs = Number.NEGATIVE_INFINITY
  #isLeaseForfeited = false
  /** Monotonic milliseconds, as last heard from the caller; never ahead of its clock. */
  nowMs = 0
  /** For the next ready. */
  released: Read[] = []
  dropped: number[] = []

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs
  }

  /** Somebody waits for a round that was not sent yet. */
  get needsRound(): boolean {
    const last = this.#waiting.at(-1)
    return last !== undefined && last.round > this.#round
  }

  get hasEarly(): boolean {
    return this.#early.length > 0
  }

  get hasOutput(): boolean {
    return this.released.length > 0 || this.dropped.length > 0
  }

  hasLease(nowMs: number): boolean {
    return !this.#isLeaseForfeited && nowMs < this.#leaseUntilMs
  }

  forfeitLease(): void {
    this.#isLeaseForfeited = true
  }

  waitForCommit(context: number, from: number): void {
    this.#early.push({ context, from })
  }

  takeEarly(): { context: number; from: number }[] {
    const early = this.#early
    this.#early = []
    return early
  }

  waitForRound(context: number, from: number, commit: number): void {
    this.#waiting.push({ context, from, index: commit, round: this.#round + 1 })
  }

  /** A round begins. @returns its number, for the heartbeats */
  startRound(self: number): number {
    this.#round++
    this.#answered.set(self, this.#round)
    if (this.#leaseMs > 0) this.#sent.push({ round: this.#round, sentMs: this.nowMs })
    return this.#round
  }

  answer(member: number, round: number): void {
    this.#answered.set(member, Math.max(round, this.answeredBy(member)))
  }

  answeredBy(member: number): number {
    return this.#answered.get(member) ?? 0
  }

  /** A quorum has answered `round`. @returns the reads that it lets go */
  confirm(round: number): WaitingRead[] {
    while (this.#sent.length > 0 && this.#sent[0].round <= round) {
      const { sentMs } = this.#sent[0]
      this.#sent.shift()
      this.#leaseUntilMs = Math.max(this.#leaseUntilMs, sentMs + this.#leaseMs)
    }
    const first = this.#waiting.findIndex(read => read.round > round)
    const count = first < 0 ? this.#waiting.length : first
    return count === 0 ? [] : this.#waiting.splice(0, count)
  }

  release(context: number, index: number): void {
    this.released.push({ context, index })
  }

  /** The role or term changed: nothing is known any more, and own reads must be asked again. */
  reset(): void {
    for (const { context, from } of [...this.#waiting, ...this.#early]) {
      if (from === NOBODY) this.dropped.push(context)
    }
    this.#waiting = []
    this.#early = []
    this.#sent = []
    this.#answered.clear()
    this.#leaseUntilMs = Number.NEGATIVE_INFINITY
    this.#isLeaseForfeited = false
  }
}
