/**
 * Ready: everything that a group wants done. The caller may do the parts at the same time, in any
 * relation to each other; work of one kind stays in the order of the readies that it came with.
 */
import type { Entry, HardState, Snapshot } from './entry.ts'
import { APPEND_SIDE, APPLY_SIDE, type Message, message } from './message.ts'
import type { Raft, Role } from './raft.ts'
import type { Read } from './reads.ts'
import { broadcastHeartbeat } from './replication.ts'

export interface SoftState {
  readonly lead: number
  readonly role: Role
}

/** For the append side. When all of it is durable, `responses` are sent or stepped. */
export interface AppendWork {
  /** Undefined when it has not changed. */
  readonly hardState: HardState | undefined
  /** To be installed in place of the whole log, before the entries. */
  readonly snapshot: Snapshot | undefined
  /** The first of them takes the place of what has its index, and of everything behind. */
  readonly entries: readonly Entry[]
  /** Whether it must survive a crash, a snapshot included; else only the commit index has moved. */
  readonly mustSync: boolean
  /** To members, or to this one (`to` is its own id): those are stepped. */
  readonly responses: readonly Message[]
}

/** For the apply side. When all is applied, `response` is stepped. */
export interface ApplyWork {
  readonly entries: readonly Entry[]
  readonly response: Message
}

export interface Ready {
  /** Undefined when it has not changed. */
  readonly softState: SoftState | undefined
  /** To members, at once. */
  readonly messages: readonly Message[]
  readonly append: AppendWork | undefined
  readonly apply: ApplyWork | undefined
  /** Reads that may be answered once their index is applied. */
  readonly reads: readonly Read[]
  /** Contexts of reads that must be asked again: the leader has changed. */
  readonly readsDropped: readonly number[]
}

/** Takes what there is to do out of the state, and remembers what was said already. */
export class ReadyMaker {
  readonly #raft: Raft
  #soft: SoftState
  #hard: HardState

  constructor(raft: Raft) {
    this.#raft = raft
    this.#soft = softStateOf(raft)
    this.#hard = raft.hardState
  }

  has(): boolean {
    const { log, reads, messages, afterAppend } = this.#raft
    return (
      messages.length > 0 ||
      afterAppend.length > 0 ||
      log.unstable.hasNext() ||
      log.hasNextCommitted() ||
      log.unstable.nextSnapshot() !== undefined ||
      this.#hasNewHardState() ||
      this.#hasNewSoftState() ||
      reads.hasOutput ||
      reads.needsRound
    )
  }

  take(): Ready {
    const raft = this.#raft
    if (raft.reads.needsRound) broadcastHeartbeat(raft)
    const append = this.#takeAppend()
    const apply = this.#takeApply()
    const softState = this.#hasNewSoftState() ? softStateOf(raft) : undefined
    this.#soft = softState ?? this.#soft
    const { messages } = raft
    const { released: reads, dropped: readsDropped } = raft.reads
    raft.messages = []
    raft.reads.released = []
    raft.reads.dropped = []
    return { softState, messages, append, apply, reads, readsDropped }
  }

  #takeAppend(): AppendWork | undefined {
    const raft = this.#raft
    const { unstable } = raft.log
    const hardState = this.#hasNewHardState() ? raft.hardState : undefined
    const snapshot = unstable.nextSnapshot()
    const entries = unstable.next()
    const responses = raft.afterAppend
    if (!hardState && !snapshot && entries.length === 0 && responses.length === 0) return undefined
    // Among the responses may be the acknowledgement of the snapshot.
    const mustSync =
      snapshot !== undefined ||
      entries.length > 0 ||
      raft.term !== this.#hard.term ||
      raft.vote !== this.#hard.vote
    // After the leader's own acknowledgement: that reads terms, which are still in memory.
    if (unstable.entries.length > 0 || snapshot !== undefined) {
      responses.push(appendedMessage(raft, snapshot))
    }
    unstable.handOut()
    raft.afterAppend = []
    this.#hard = hardState ?? this.#hard
    return { hardState, snapshot, entries, mustSync, responses }
  }

  #takeApply(): ApplyWork | undefined {
    const { log, id } = this.#raft
    const entries = log.nextCommitted()
    if (entries.length === 0) return undefined
    log.handOutCommitted(entries)
    return { entries, response: message('applied', id, { from: APPLY_SIDE, entries }) }
  }

  #hasNewHardState(): boolean {
    const { term, vote, log } = this.#raft
    return (
      term !== this.#hard.term || vote !== this.#hard.vote || log.committed !== this.#hard.commit
    )
  }

  #hasNewSoftState(): boolean {
    return this.#raft.lead !== this.#soft.lead || this.#raft.role !== this.#soft.role
  }
}

/**
 * What the append side will have made durable by then: all that this ready and those before it had.
 * In the present term: in a later one, entries may have been replaced twice, and an old report
 * must not be taken for one of the new entries.
 */
function appendedMessage(raft: Raft, snapshot: Snapshot | undefined): Message {
  const hasEntries = raft.log.unstable.entries.length > 0
  const { index, term } = hasEntries ? raft.log.lastMark : { index: 0, term: 0 }
  return message('appended', raft.id, {
    from: APPEND_SIDE,
    term: raft.term,
    index,
    logTerm: term,
    snapshot,
  })
}

function softStateOf({ lead, role }: Raft): SoftState {
  return { lead, role }
}
