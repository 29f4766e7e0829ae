/** Tracker: the configuration, what a leader knows of its members, the votes of an election. */
import type { Configuration } from './configuration.ts'
import { ascending, EMPTY_CONF_STATE } from './configuration.ts'
import { type Membership, restoredMembership } from './membership.ts'
import type { RaftLimits } from './options.ts'
import { Progress } from './progress.ts'
import { type Acknowledged, jointAcknowledged, jointVote, type VoteResult } from './quorum.ts'

export class Tracker {
  membership: Membership = restoredMembership(EMPTY_CONF_STATE)
  /** One a member, this one included; ascending by id, so that messages have an order. */
  progress: ReadonlyMap<number, Progress> = new Map()
  readonly #votes = new Map<number, boolean>()
  readonly #limits: RaftLimits

  constructor(limits: RaftLimits) {
    this.#limits = limits
  }

  get configuration(): Configuration {
    return this.membership.configuration
  }

  /** Takes a membership over; who stays keeps what is known of it. */
  adopt(membership: Membership, lastIndex: number): void {
    const progress = new Map<number, Progress>()
    for (const id of ascending(membership.members.keys())) {
      const { isLearner = false, isNew = true } = membership.members.get(id) ?? {}
      const known = isNew ? undefined : this.progress.get(id)
      if (known !== undefined) known.isLearner = isLearner
      // New ones count as active, or the next check of the quorum would find them missing.
      const next = Math.max(lastIndex, 1)
      progress.set(id, known ?? new Progress(next, isLearner, true, this.#limits))
    }
    this.membership = membership
    this.progress = progress
  }

  /** A new term begins: nothing is known of anybody (figure 2, volatile state on leaders). */
  forget(self: number, lastIndex: number): void {
    this.#votes.clear()
    const progress = new Map<number, Progress>()
    for (const [id, { isLearner }] of this.progress) {
      const fresh = new Progress(lastIndex + 1, isLearner, false, this.#limits)
      if (id === self) fresh.match = lastIndex
      progress.set(id, fresh)
    }
    this.progress = progress
  }

  clearVotes(): void {
    this.#votes.clear()
  }

  /** The first vote of a member counts. */
  recordVote(from: number, isGranted: boolean): VoteResult {
    if (!this.#votes.has(from)) this.#votes.set(from, isGranted)
    return jointVote(this.configuration, this.#votes)
  }

  /** The newest index that is durable at a quorum. */
  committed(): number {
    return jointAcknowledged(this.configuration, this.#match)
  }

  acknowledged(of: Acknowledged): number {
    return jointAcknowledged(this.configuration, of)
  }

  /** Whether a quorum was heard from since the last check (dissertation 6.2). */
  isQuorumActive(): boolean {
    const active = new Map<number, boolean>()
    for (const [id, { isLearner, isActive }] of this.progress) {
      if (!isLearner) active.set(id, isActive)
    }
    return jointVote(this.configuration, active) === 'won'
  }

  readonly #match: Acknowledged = voter => this.progress.get(voter)?.match ?? 0
}
