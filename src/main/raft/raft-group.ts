/**
 * RaftGroup: the consensus of one group at one member, as a pure state machine (docs/raft.md).
 * Ticks, messages and proposals go in; a ready comes out. It reads no clock and draws no numbers,
 * and reads but never writes the log's storage. Main thread; nothing in it is asynchronous.
 */
import {
  type ConfigChange,
  decodeConfigChange,
  encodeConfigChange,
} from '../../codec/config-change.ts'
import { type ConfState, confStateOf } from './configuration.ts'
import { campaignNow } from './election.ts'
import { CONFIG_KIND, type Entry, NOBODY, type Proposal } from './entry.ts'
import { reportSnapshot, reportUnreachable } from './leader.ts'
import type { LogStorage } from './log-storage.ts'
import { type Message, message } from './message.ts'
import { type RaftSettings, raftOptions } from './options.ts'
import type { Progress } from './progress.ts'
import { Raft, type Role } from './raft.ts'
import { requestRead } from './read-index.ts'
import { type Ready, ReadyMaker } from './ready.ts'
import { applyChange } from './reconfiguration.ts'
import { type StepResult, step, stepProposal, tick } from './step.ts'

export interface RaftStatus {
  readonly role: Role
  readonly term: number
  readonly lead: number
  readonly commit: number
  readonly applied: number
  readonly configuration: ConfState
  /** What a leader knows of the members; empty at others. Borrowed: valid until the next call. */
  readonly progress: ReadonlyMap<number, Progress>
}

export class RaftGroup {
  readonly #raft: Raft
  readonly #ready: ReadyMaker

  /** @throws RangeError for an option out of range */
  constructor(settings: RaftSettings, storage: LogStorage) {
    this.#raft = new Raft(raftOptions(settings), storage)
    this.#ready = new ReadyMaker(this.#raft)
  }

  get role(): Role {
    return this.#raft.role
  }

  get term(): number {
    return this.#raft.term
  }

  /** The leader, as far as this member knows; NOBODY when it knows none. */
  get lead(): number {
    return this.#raft.lead
  }

  /** Of the newest entry, durable or not. */
  get lastIndex(): number {
    return this.#raft.log.lastIndex
  }

  /** Everything up to this index is committed. */
  get commit(): number {
    return this.#raft.log.committed
  }

  /**
   * Time passes. Ticks of one member are at least tickMs apart (see leaseMsMax); late ones are not
   * made up for.
   * @param nowMs a monotonic clock, in milliseconds, of which leases are made
   */
  tick(nowMs: number): void {
    tick(this.#raft, nowMs)
  }

  /** A message from a member, or one of the responses of a ready to this member itself. */
  step(received: Message): StepResult {
    return step(this.#raft, received)
  }

  /**
   * Appends entries, of kinds 1 to 253, if this is the leader. Payloads are kept, not copied.
   * @returns false: refused, nothing happened. True says nothing yet about a commit.
   */
  propose(proposals: readonly Proposal[]): boolean {
    const entries = proposals.map(
      ({ kind, payload }): Entry => ({ term: 0, index: 0, kind, payload }),
    )
    const { id } = this.#raft
    return stepProposal(this.#raft, message('propose', NOBODY, { from: id, entries }))
  }

  /** As propose(). A change at a wrong moment becomes an entry of REFUSED_KIND. */
  proposeChange(change: ConfigChange): boolean {
    return this.propose([{ kind: CONFIG_KIND, payload: encodeConfigChange(change) }])
  }

  /**
   * The apply side has come to an entry of CONFIG_KIND: must be called for each, in order, before
   * the response of its work is stepped.
   * @returns the configuration from now on, to be kept with the applied state; undefined when a
   * snapshot is being installed that has the entry: the rest of the work is to be left out
   */
  applyChange(entry: Entry): ConfState | undefined {
    const change = decodeConfigChange(entry.payload)
    if (!applyChange(this.#raft, entry.index, change)) return undefined
    return confStateOf(this.#raft.configuration)
  }

  /**
   * A linearizable read; its index comes with a ready. `context` is the caller's number of it,
   * never used again, not after a restart either: answers may come late, and twice.
   * @param nowMs the clock of tick(), read just now: a lease is good only then
   * @returns false when no leader is known
   */
  readIndex(context: number, nowMs: number): boolean {
    return requestRead(this.#raft, context, nowMs)
  }

  /** Starts an election, unless this member leads, may not, or has promised to wait. */
  campaign(): void {
    campaignNow(this.#raft)
  }

  /**
   * Whether this member keeps from standing for election, also when leadership is transferred to
   * it. It votes meanwhile, a leader goes on, and once it is held back no more a timeout that has
   * passed counts.
   */
  holdBack(isHeldBack: boolean): void {
    this.#raft.isHeldBack = isHeldBack
  }

  /** Asks the leader to hand over to `target`, a voter; after an election timeout it gives up. */
  transferLeadership(target: number): void {
    const { term } = this.#raft
    this.step(message('transferLeader', this.#raft.id, { from: target, term }))
  }

  /** A follower waits for no leader any more, and may vote. Not with leases: they are promised. */
  forgetLeader(): void {
    const { role, options } = this.#raft
    if (role === 'follower' && options.leaseMs === 0) this.#raft.lead = NOBODY
  }

  reportUnreachable(member: number): void {
    reportUnreachable(this.#raft, member)
  }

  /** The transport has handed over a snapshot to the member, or given up. */
  reportSnapshot(member: number, isSent: boolean): void {
    reportSnapshot(this.#raft, member, isSent)
  }

  /** Replaces the timeout drawn for the present role, in ticks. For tests. */
  setElectionTimeout(ticks: number): void {
    this.#raft.electionTimeout = ticks
  }

  hasReady(): boolean {
    return this.#ready.has()
  }

  /** Everything in it is handed over: it comes only once. */
  ready(): Ready {
    return this.#ready.take()
  }

  status(): RaftStatus {
    const { role, term, lead, log, configuration, tracker } = this.#raft
    return {
      role,
      term,
      lead,
      commit: log.committed,
      applied: log.applied,
      configuration: confStateOf(configuration),
      progress: role === 'leader' ? tracker.progress : new Map(),
    }
  }
}
