/**
 * Raft: the state of one member of one group (figure 2 of the paper) and its changes of role. What
 * happens on a message, tick or call is in the files beside; all of it changes this one object.
 *
 * Invariants:
 * 1. term never falls; in a term at most one vote is given.
 * 2. Nothing that promises something (votes, acknowledged entries) leaves before it is durable:
 *    such messages go to `afterAppend`, also those to this member itself.
 * 3. Only a leader has entries of its own term that are not from the network.
 */
import type { Configuration } from './configuration.ts'
import type { HardState } from './entry.ts'
import { NOBODY } from './entry.ts'
import type { LogStorage } from './log-storage.ts'
import { restoredMembership } from './membership.ts'
import { isVoteMessage, type Message, type MessageType, message } from './message.ts'
import type { RaftOptions } from './options.ts'
import type { Progress } from './progress.ts'
import { RaftLog } from './raft-log.ts'
import { Reads } from './reads.ts'
import { Tracker } from './tracker.ts'

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader'

export class Raft {
  readonly options: RaftOptions
  readonly log: RaftLog
  readonly reads: Reads
  tracker: Tracker
  term = 0
  vote: number = NOBODY
  role: Role = 'follower'
  lead: number = NOBODY
  /** Ticks since the leader was heard, the vote was given, or a leader checked its quorum. */
  electionElapsed = 0
  heartbeatElapsed = 0
  /** In [electionTicks, 2 * electionTicks): split votes are rare (paper, 5.2). */
  electionTimeout = 0
  /** The caller wants nobody to be led by this member for now: it votes, but does not stand. */
  isHeldBack = false
  /**
   * Ticks since a leader, to which a lease may have been promised, was heard (6.4.1). At the start
   * it is as if one had just been: what was promised before is not on disk, not even always the
   * term of it.
   */
  leaderHeardTicks = 0
  /** Who leadership is being transferred to (dissertation 3.10). */
  transferee: number = NOBODY
  /** Index of the newest change of configuration in the log; no other until it is applied (4.1). */
  pendingChangeIndex = 0
  /** The configuration is that of this index; older changes are in it. */
  configurationIndex: number
  uncommittedBytes = 0
  /** To be sent now. */
  messages: Message[] = []
  /** To be sent when what is appended now is durable. */
  afterAppend: Message[] = []

  constructor(options: RaftOptions, storage: LogStorage) {
    this.options = options
    this.log = new RaftLog(storage, options)
    this.tracker = new Tracker(options)
    const { hardState, configuration } = storage.initialState()
    this.tracker.adopt(restoredMembership(configuration), this.log.lastIndex)
    if (hardState !== undefined) this.#load(hardState)
    this.reads = new Reads(options.leaseMs)
    if (options.applied > 0) this.log.appliedTo(options.applied, 0)
    this.configurationIndex = this.log.applied
    this.becomeFollower(this.term, NOBODY)
  }

  get id(): number {
    return this.options.id
  }

  get configuration(): Configuration {
    return this.tracker.configuration
  }

  get hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed }
  }

  progressOf(member: number): Progress | undefined {
    return this.tracker.progress.get(member)
  }

  /** A voter whose log is not waiting for a snapshot may become leader. */
  get isPromotable(): boolean {
    const own = this.progressOf(this.id)
    return own !== undefined && !own.isLearner && this.log.unstable.snapshot === undefined
  }

  /** Whether it may stand for election: it could lead, and the caller lets it. */
  get canStand(): boolean {
    return this.isPromotable && !this.isHeldBack
  }

  /**
   * Leader stickiness (dissertation 4.2.3), and what leases rely on (6.4.1): these also in the
   * present term, which may be newer than that of the leader to which a lease was promised.
   */
  refusesElection(term: number): boolean {
    const { checkQuorum, electionTicks } = this.options
    const followsLeader = this.lead !== NOBODY && this.electionElapsed < electionTicks
    return (checkQuorum && followsLeader && term > this.term) || this.hasPromisedAgainst(term)
  }

  /**
   * Whether an election in `term` may break a lease. In term 1 none can: a lease belongs to that
   * term or a later one, whose voters vote in term 1 no more. So a new group need not wait.
   */
  hasPromisedAgainst(term: number): boolean {
    const { leaseMs, electionTicks } = this.options
    return leaseMs > 0 && term > 1 && this.leaderHeardTicks < electionTicks
  }

  /** Sends a message, in the current term unless it is of a vote, which names the term itself. */
  send(type: MessageType, to: number, fields: Partial<Message> = {}): void {
    const from = fields.from ?? this.id
    const hasNoTerm = type === 'propose' || type === 'readIndex'
    const term = isVoteMessage(type) ? fields.term : hasNoTerm ? 0 : this.term
    const sent = message(type, to, { ...fields, from, term: term ?? 0 })
    const isPromise =
      type === 'appendResponse' || type === 'voteResponse' || type === 'preVoteResponse'
    if (isPromise) this.afterAppend.push(sent)
    else this.messages.push(sent)
  }

  becomeFollower(term: number, lead: number): void {
    this.#reset(term)
    this.role = 'follower'
    this.lead = lead
  }

  /** Starts an election (paper, 5.2): a new term, and the vote for itself. */
  becomeCandidate(): void {
    this.#reset(this.term + 1)
    this.vote = this.id
    this.role = 'candidate'
  }

  /** Asks how an election would end; term and vote stay (dissertation 9.6). */
  becomePreCandidate(): void {
    this.tracker.clearVotes()
    this.lead = NOBODY
    this.role = 'preCandidate'
  }

  becomeLeader(): void {
    this.#reset(this.term)
    this.role = 'leader'
    this.lead = this.id
    const own = this.progressOf(this.id)
    if (own === undefined) throw new Error('a member outside the configuration was elected')
    own.becomeReplicate()
    own.isActive = true
    // What is in the log and not applied may hold a change of configuration.
    this.pendingChangeIndex = this.log.lastIndex
  }

  #reset(term: number): void {
    if (this.term !== term) {
      this.term = term
      this.vote = NOBODY
    }
    this.lead = NOBODY
    this.electionElapsed = 0
    this.heartbeatElapsed = 0
    const { electionTicks, random } = this.options
    this.electionTimeout = electionTicks + random(electionTicks)
    this.transferee = NOBODY
    this.tracker.forget(this.id, this.log.lastIndex)
    this.pendingChangeIndex = 0
    this.uncommittedBytes = 0
    this.reads.reset()
  }

  #load({ term, vote, commit }: HardState): void {
    // A cut or the applied state may be newer than the hard state: what they hold was committed.
    this.log.commitTo(Math.max(commit, this.options.applied))
    this.term = term
    this.vote = vote
  }
}
