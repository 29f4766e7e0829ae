/**
 * All Raft groups of one node, driven in turns: what the groups want is collected, everything that
 * is to be written goes to the shared log in one write with one sync, and messages leave together.
 *
 * Invariants
 *  1. What a group promises (AppendWork.responses) is let go when the disk has said that all of
 *     that append is durable, in the order of the appends.
 *  2. Committed entries are handed to their owner once each, in order, from the cut of the log on.
 *  3. Reads are numbered from a random start, so no answer is taken for that of an earlier life.
 *  4. A member whose owner is behind does not stand for election: it would lead without being able
 *     to write, and whoever has everything waits longer for its votes.
 *  5. Ticks are counted by one timer; a late one counts once, so a stalled event loop lets no
 *     election time out.
 */
import type { ConfigChange } from '../../codec/config-change.ts'
import { MetastoreError } from '../../codec/errors.ts'
import { placementStep } from '../cluster/placement-step.ts'
import type { DiskLog } from '../log/disk-log.ts'
import { Queue } from '../queue.ts'
import { type ConfState, isOnlyVoter } from '../raft/configuration.ts'
import { CONFIG_KIND, type Entry, type Proposal, type Snapshot } from '../raft/entry.ts'
import type { Message } from '../raft/message.ts'
import { leaseMsMax } from '../raft/options.ts'
import type { Role } from '../raft/raft.ts'
import { RaftGroup, type RaftStatus } from '../raft/raft-group.ts'
import type { AppendWork, ApplyWork } from '../raft/ready.ts'
import type { GroupLog } from './group-log.ts'
import { GroupReads } from './group-reads.ts'
import type { ReplicatedLog } from './replicated-log.ts'

/** Whom a group's committed entries and changes of role concern. All calls are synchronous. */
export interface GroupOwner {
  /** In order and without a gap; the owner may keep them. */
  onCommitted(entries: readonly Entry[]): void
  /** Whether committed entries wait: until resume() no more are handed out than are allowed. */
  readonly isBehind: boolean
  /** The group's entries from `index` on are replaced by others. */
  onTruncated(index: number): void
  /** A snapshot replaces the log and the state. */
  onSnapshot(snapshot: Snapshot): void
  onRole(role: Role, term: number, leader: number): void
  /** Proposals that propose() has taken were refused: the group is led elsewhere. */
  onRefused(): void
}

export interface RaftNodeOptions {
  readonly nodeId: number
  readonly disk: DiskLog
  readonly logs: readonly GroupLog[]
  readonly owners: readonly GroupOwner[]
  /** Milliseconds from tick to tick, which is from heartbeat to heartbeat. */
  readonly tickMs: number
  readonly electionTicks: number
  /** Whether leaders answer reads by lease (docs/raft.md, Reads and leases). */
  readonly hasLeases: boolean
  readonly random: (below: number) => number
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly send: (group: number, message: Message) => void
  /** A group cannot go on: what was done to it is a defect, or the disk has failed. */
  readonly onFailure: (error: unknown) => void
}

/** How much faster one node's clock may run than another's, where there are leases. */
const DRIFT_MAX = 0.01
/** Timers count whole milliseconds. */
const SLACK_MS = 1
/** How long a read waits for its confirmation. */
const READ_TIMEOUT_MS = 10_000

interface Member {
  readonly group: number
  readonly core: RaftGroup
  readonly log: GroupLog
  readonly owner: GroupOwner
  readonly reads: GroupReads
  proposals: Proposal[]
  /** Reports of applied work, until the owner has caught up. */
  held: Message[]
  isDirty: boolean
  appliedIndex: number
  /** As of the newest entry that was applied. */
  configuration: ConfState
  /** Of a leader: the entry behind the last change that it was asked for. */
  seal: { readonly term: number; readonly index: number } | undefined
}

/** An append that is on its way to the disk. */
interface Appending {
  readonly ticket: number
  readonly member: Member
  readonly work: AppendWork
}

export class RaftNode implements ReplicatedLog {
  readonly #options: RaftNodeOptions
  readonly #members: Member[]
  readonly #dirty: Member[] = []
  readonly #appending = new Queue<Appending>()
  /** Of the newest record that was handed to the disk. */
  #lastTicket = 0
  #timer: NodeJS.Timeout | undefined
  #tickedMs = Number.NEGATIVE_INFINITY
  #isInTurn = false
  #isClosed = false

  constructor(options: RaftNodeOptions) {
    this.#options = options
    const { nodeId, electionTicks, tickMs, random, logs, owners } = options
    const leaseMs = options.hasLeases ? leaseMsMax(electionTicks, tickMs - SLACK_MS, DRIFT_MAX) : 0
    const readTicks = Math.ceil(READ_TIMEOUT_MS / tickMs)
    this.#members = logs.map((log, group) => {
      const applied = log.firstIndex() - 1
      const settings = { id: nodeId, electionTicks, leaseMs, random, applied }
      const core = new RaftGroup(settings, log)
      const ask = (context: number): boolean => core.readIndex(context, options.now())
      const reads = new GroupReads(ask, 1 + random(2 ** 32) * 2 ** 16, readTicks)
      const owner = owners[group]
      return {
        ...{ group, core, log, owner, reads },
        ...{ proposals: [], held: [], isDirty: false, appliedIndex: applied, seal: undefined },
        configuration: log.initialState().configuration,
      }
    })
    options.disk.onDurable = ticket => this.#onDurable(ticket)
  }

  /**
   * Begins to work. Groups of which this node is the only voter are led by it at once.
   * @param campaignAt groups in which this node shall stand for election without waiting
   */
  start(campaignAt: readonly number[]): void {
    for (const group of campaignAt) {
      this.#members[group].core.campaign()
      this.#touch(this.#members[group])
    }
    for (const member of this.#members) this.#touch(member)
    const { tickMs } = this.#options
    this.#timer = setInterval(() => this.#tick(), tickMs)
    this.#timer.unref()
    this.turn()
  }

  #tick(): void {
    const { now: clock, tickMs } = this.#options
    const now = clock()
    // Leases count on ticks that are no closer: after a late one the timer may fire early.
    if (now - this.#tickedMs < tickMs - SLACK_MS) return
    this.#tickedMs = now
    for (const member of this.#members) {
      member.core.holdBack(member.owner.isBehind)
      member.core.tick(now)
      member.reads.tick()
      this.#touch(member)
    }
    this.turn()
  }

  // -------------------------------------------------------------- what comes in

  /** A message of another node; a turn must follow. */
  receive(group: number, message: Message): void {
    const member = this.#members[group]
    if (member === undefined || this.#isClosed) return
    // It may have voted before it lost its disk.
    const isElection = message.type === 'vote' || message.type === 'preVote'
    if (isElection && isEmpty(member.configuration)) return
    if (message.type === 'timeoutNow') member.core.holdBack(member.owner.isBehind)
    this.#step(member, message)
    this.#touch(member)
  }

  #step(member: Member, message: Message): void {
    try {
      member.core.step(message)
    } catch (error) {
      // The core finds that somebody has lost what it had promised to keep.
      this.#fail(error)
    }
  }

  /** Messages of one frame; a turn follows. */
  receiveAll(messages: readonly { group: number; message: Message }[]): void {
    for (const { group, message } of messages) this.receive(group, message)
    this.turn()
  }

  /** A member cannot be reached. */
  unreachable(nodeId: number): void {
    for (const member of this.#members) {
      member.core.reportUnreachable(nodeId)
      this.#touch(member)
    }
  }

  propose(group: number, kind: number, payload: Uint8Array): number {
    const member = this.#members[group]
    member.proposals.push({ kind, payload: payload.slice() })
    this.#touch(member)
    return member.core.lastIndex + member.proposals.length
  }

  /** @returns false when the group is led elsewhere, or in the middle of a transfer */
  proposeChange(group: number, change: ConfigChange): boolean {
    const member = this.#members[group]
    const isTaken = member.core.proposeChange(change)
    this.#touch(member)
    this.turn()
    return isTaken
  }

  /**
   * A step of a group that this node leads towards other voters.
   * @returns whether it is there, and can do without those that were removed
   */
  place(group: number, voters: readonly number[]): boolean {
    const member = this.#members[group]
    const { core } = member
    const { configuration, progress } = core.status()
    const matchOf = (member: number): number => {
      const known = progress.get(member)
      return known?.isActive === true ? known.match : 0
    }
    const step = placementStep(configuration, voters, core.lastIndex, matchOf)
    if (step.kind === 'done') return this.#isSealed(member)
    member.seal = undefined
    if (step.kind === 'change') this.proposeChange(group, step.change)
    return false
  }

  /**
   * A voter that starts anew with a log that ends with a change does not know that this one is
   * committed, and may need the votes of members that are gone since. One more change behind it, a
   * void one, says so (implied-commit.ts): when that is committed, a majority has it.
   */
  #isSealed(member: Member): boolean {
    const { core, seal } = member
    if (seal?.term === core.term) return member.appliedIndex >= seal.index
    const change: ConfigChange = {
      transition: 'auto',
      changes: [{ operation: 'update', member: this.#options.nodeId }],
    }
    if (this.proposeChange(member.group, change)) {
      member.seal = { term: core.term, index: core.lastIndex }
    }
    return false
  }

  transferLeadership(group: number, target: number): void {
    const member = this.#members[group]
    member.core.transferLeadership(target)
    this.#touch(member)
    this.turn()
  }

  /**
   * Resolves with the index up to which a read must see, so that it sees every write that was
   * acknowledged before this call. All reads of a turn share one question to the members, and the
   * promise.
   */
  readIndex(group: number): Promise<number> {
    const member = this.#members[group]
    const read = member.reads.ask()
    this.#touch(member)
    // After all that this turn's microtasks still ask.
    if (!this.#isTurnPlanned) {
      this.#isTurnPlanned = true
      queueMicrotask(() => this.turn())
    }
    return read
  }

  #isTurnPlanned = false

  /** The group's owner is not behind any more. */
  resume(group: number): void {
    const member = this.#members[group]
    for (const response of member.held.splice(0)) this.#step(member, response)
    this.#touch(member)
    this.turn()
  }

  // -------------------------------------------------------------- turns

  #touch(member: Member): void {
    if (member.isDirty) return
    member.isDirty = true
    this.#dirty.push(member)
  }

  flush(): void {
    this.turn()
  }

  /** Everything that is wanted is done or begun: one write to the log, one frame a node. */
  turn(): void {
    this.#isTurnPlanned = false
    if (this.#isInTurn || this.#isClosed) return
    this.#isInTurn = true
    try {
      for (let member = this.#dirty.pop(); member !== undefined; member = this.#dirty.pop()) {
        member.isDirty = false
        this.#work(member)
      }
      this.#options.disk.flush()
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#isInTurn = false
    }
  }

  /** Part of the work is lost: going on could break what was promised. */
  #fail(error: unknown): void {
    this.stop(new MetastoreError('UNAVAILABLE', 'this node takes part no more'))
    this.#options.onFailure(error)
  }

  #work(member: Member): void {
    const { core } = member
    if (member.proposals.length > 0) {
      const { proposals } = member
      member.proposals = []
      if (!core.propose(proposals)) member.owner.onRefused()
    }
    member.reads.send()
    while (core.hasReady()) {
      const { softState, messages, append, apply, reads, readsDropped } = core.ready()
      for (const message of messages) this.#options.send(member.group, message)
      if (append !== undefined) this.#append(member, append)
      if (apply !== undefined) this.#apply(member, apply)
      for (const { context, index } of reads) member.reads.release(context, index)
      for (const context of readsDropped) member.reads.drop(context)
      if (softState !== undefined) member.owner.onRole(softState.role, core.term, softState.lead)
    }
  }

  #append(member: Member, work: AppendWork): void {
    const { entries, snapshot } = work
    if (snapshot !== undefined) {
      member.appliedIndex = Math.max(member.appliedIndex, snapshot.index)
      member.configuration = snapshot.configuration
      member.owner.onSnapshot(snapshot)
    } else if (entries.length > 0 && entries[0].index <= member.log.lastIndex()) {
      member.owner.onTruncated(entries[0].index)
    }
    const ticket = member.log.append(work)
    if (ticket !== undefined) this.#lastTicket = ticket
    // What needs no disk still follows what was ordered before it.
    if (ticket === undefined && this.#appending.length === 0) this.#respond(member, work)
    else this.#appending.push({ ticket: this.#lastTicket, member, work })
  }

  #onDurable(ticket: number): void {
    for (let next = this.#appending.peek(); next !== undefined; next = this.#appending.peek()) {
      if (next.ticket > ticket) break
      this.#appending.shift()
      this.#respond(next.member, next.work)
    }
    this.turn()
  }

  #respond(member: Member, { responses }: AppendWork): void {
    const { nodeId, send } = this.#options
    for (const response of responses) {
      if (response.to === nodeId) this.#step(member, response)
      else send(member.group, response)
    }
    this.#touch(member)
  }

  #apply(member: Member, { entries, response }: ApplyWork): void {
    const { core, log, owner } = member
    for (const entry of entries) {
      if (entry.kind !== CONFIG_KIND) continue
      const configuration = core.applyChange(entry)
      // A snapshot is being installed that has the rest.
      if (configuration === undefined) break
      log.configurationChanged(entry.index, configuration)
      member.configuration = configuration
    }
    member.appliedIndex = entries[entries.length - 1].index
    log.committed(entries, core.commit)
    owner.onCommitted(entries)
    // One that is behind gets no more than the core's limit of what is being applied.
    if (owner.isBehind) member.held.push(response)
    else core.step(response)
  }

  // -------------------------------------------------------------- what is asked of it

  term(group: number): number {
    return this.#members[group].core.term
  }

  isLeader(group: number): boolean {
    return this.#members[group].core.role === 'leader'
  }

  roleOf(group: number): 'leader' | 'follower' | 'learner' | 'none' {
    const { core, configuration } = this.#members[group]
    if (core.role === 'leader') return 'leader'
    if (!this.isMember(group)) return 'none'
    return configuration.learners.includes(this.#options.nodeId) ? 'learner' : 'follower'
  }

  /** The leader as far as this node knows; 0 when it knows none. */
  leader(group: number): number {
    return this.#members[group].core.lead
  }

  /** Whether this node has the group's entries: as a voter or learner. */
  isMember(group: number): boolean {
    const { voters, votersOutgoing, learners } = this.#members[group].configuration
    const { nodeId } = this.#options
    return voters.includes(nodeId) || votersOutgoing.includes(nodeId) || learners.includes(nodeId)
  }

  /** Whether this node leads the group and is its only voter: nobody else need be asked. */
  isAlone(group: number): boolean {
    const { configuration, core } = this.#members[group]
    return core.role === 'leader' && isOnlyVoter(configuration, this.#options.nodeId)
  }

  /** A voter that may know the leader; another one than `besides`, if there is one. 0: none. */
  someMember(group: number, besides: number): number {
    const { voters } = this.#members[group].configuration
    const others = voters.filter(id => id !== this.#options.nodeId && id !== besides)
    return others.length === 0 ? 0 : others[this.#options.random(others.length)]
  }

  status(group: number): RaftStatus {
    return this.#members[group].core.status()
  }

  entries(group: number, from: number, to: number, bytesMax: number): readonly Entry[] {
    const { log } = this.#members[group]
    return log.entries(Math.max(from, log.firstIndex()), to, bytesMax) ?? []
  }

  /** No further than what was handed to the group's owner. */
  cut(group: number, index: number): void {
    const { log, appliedIndex, core } = this.#members[group]
    log.cut(Math.min(index, appliedIndex), core.commit)
    this.#options.disk.flush()
  }

  groupBytes(group: number): number {
    return this.#options.disk.groupBytes(group)
  }

  get sizeBytes(): number {
    return this.#options.disk.sizeBytes
  }

  get isFull(): boolean {
    return this.#options.disk.isFull
  }

  pinningGroup(): number | undefined {
    return this.#options.disk.pinningGroup()
  }

  /**
   * It neither sends nor votes nor leads any more, so that the others elect somebody in its place.
   * Reads that wait are refused with `reason`.
   */
  stop(reason: Error): void {
    this.#isClosed = true
    clearInterval(this.#timer)
    for (const { reads } of this.#members) reads.fail(reason)
  }

  /** Stops. The log is closed with it, and says of each group what is committed. */
  async close(): Promise<void> {
    this.stop(new MetastoreError('CLOSED', 'the metastore is closed'))
    try {
      for (const { core, log } of this.#members) log.noteCommit(core.commit)
    } catch {
      // The log has failed, or is closed: it learns from a leader what is committed.
    }
    await this.#options.disk.close()
  }
}

/** Nothing is known of the group's members. */
function isEmpty({ voters, votersOutgoing, learners }: ConfState): boolean {
  return voters.length + votersOutgoing.length + learners.length === 0
}
