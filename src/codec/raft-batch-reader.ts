/**
 * Reads the batches that RaftBatchWriter makes. Nothing in the bytes is believed: counts are held
 * against what is left before room is made for them, and every error says which field it is.
 */
import { ByteReader } from './bytes.ts'
import { corruption } from './errors.ts'
import {
  BATCH_ENTRIES_MAX,
  BATCH_MESSAGES_MAX,
  flagsOf,
  GROUP_MAX,
  type GroupMessage,
  HAS_FROM,
  isPassedOn,
  MEMBERS_MAX,
  NEXT_GROUP,
  REJECT,
  type ReceivedMessage,
  SAME_COMMIT,
  SAME_ROUND,
  SAME_TERM,
  TRANSFER,
  TYPE_MASK,
  WIRE_MESSAGE_TYPES,
  type WireConfiguration,
  type WireEntry,
  type WireMessageType,
  type WireSnapshot,
} from './raft-messages.ts'

const NO_ENTRIES: readonly WireEntry[] = []
/** The fewest bytes that an entry takes: term, kind, length; and without a term. */
const ENTRY_BYTES_MIN = 3
const PROPOSAL_BYTES_MIN = 2

/**
 * @param content of a raft frame; payloads of entries and data of snapshots are views of it
 * @param from the member that sent it. @param to this member
 * @throws CORRUPTION naming the message by number and the field; then nothing of it counts
 */
export function decodeRaftBatch(content: Uint8Array, from: number, to: number): GroupMessage[] {
  return new BatchReader(content, from, to).all()
}

/** The fields of a message while it is being read. */
type Draft = { -readonly [Field in keyof ReceivedMessage]: ReceivedMessage[Field] }

class BatchReader {
  readonly #reader: ByteReader
  readonly #from: number
  readonly #to: number
  readonly #messages: GroupMessage[] = []
  /** What is being read, for errors. */
  #field = ''
  #entryCount = 0
  #group = -1
  #term = 0
  #commit = 0
  #round = 0

  constructor(content: Uint8Array, from: number, to: number) {
    this.#reader = new ByteReader(content, 'raft batch')
    this.#from = from
    this.#to = to
  }

  all(): GroupMessage[] {
    try {
      while (this.#reader.remaining > 0) this.#messages.push(this.#next())
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw corruption(`message ${this.#messages.length}, ${this.#field}: ${reason}`)
    }
    return this.#messages
  }

  #next(): GroupMessage {
    this.#field = 'type'
    if (this.#messages.length === BATCH_MESSAGES_MAX) throw this.#bad('too many messages')
    const head = this.#reader.u8()
    const type = this.#type(head)
    const group = this.#nextGroup(head)
    this.#group = group
    if ((head & SAME_TERM) === 0) this.#term = this.#number('term')
    const isNamed = isPassedOn(type) && (head & HAS_FROM) !== 0
    const draft = this.#empty(type, isNamed ? this.#number('from') : this.#from)
    this.#fields(draft, head)
    return { group, message: draft }
  }

  #type(head: number): WireMessageType {
    const code = head & TYPE_MASK
    if (code < 1 || code > WIRE_MESSAGE_TYPES.length) throw this.#bad(`unknown type ${code}`)
    const type = WIRE_MESSAGE_TYPES[code - 1]
    const flags = head & ~TYPE_MASK & ~NEXT_GROUP & ~SAME_TERM
    if ((flags & ~flagsOf(type)) !== 0) throw this.#bad(`${type} with unknown flags ${flags}`)
    return type
  }

  #nextGroup(head: number): number {
    const isNext = (head & NEXT_GROUP) !== 0
    const group = isNext ? this.#group + 1 : this.#number('group')
    if (group > GROUP_MAX) throw this.#bad(`${group} is more than ${GROUP_MAX}`)
    return group
  }

  #empty(type: WireMessageType, from: number): Draft {
    return {
      type,
      from,
      to: this.#to,
      term: this.#term,
      logTerm: 0,
      index: 0,
      entries: NO_ENTRIES,
      commit: 0,
      snapshot: undefined,
      reject: false,
      rejectHint: 0,
      round: 0,
      context: 0,
      transfer: false,
    }
  }

  #fields(draft: Draft, head: number): void {
    switch (draft.type) {
      case 'vote':
      case 'preVote':
        draft.transfer = (head & TRANSFER) !== 0
        draft.index = this.#number('index')
        draft.logTerm = this.#number('logTerm')
        break
      case 'voteResponse':
      case 'preVoteResponse':
        draft.reject = (head & REJECT) !== 0
        break
      case 'append':
        draft.index = this.#number('index')
        draft.logTerm = this.#number('logTerm')
        draft.commit = this.#number('commit')
        draft.entries = this.#entries(draft.index, draft.logTerm)
        break
      case 'appendResponse':
        draft.index = this.#number('index')
        draft.reject = (head & REJECT) !== 0
        if (!draft.reject) break
        draft.rejectHint = this.#number('rejectHint')
        draft.logTerm = this.#number('logTerm')
        break
      case 'heartbeat':
        if ((head & SAME_COMMIT) === 0) this.#commit = this.#number('commit')
        draft.commit = this.#commit
        draft.round = this.#nextRound(head)
        break
      case 'heartbeatResponse':
        draft.round = this.#nextRound(head)
        break
      case 'readIndex':
        draft.context = this.#number('context')
        break
      case 'readIndexResponse':
        draft.context = this.#number('context')
        draft.index = this.#number('index')
        break
      case 'snapshot':
        draft.snapshot = this.#snapshot()
        break
      case 'propose':
        draft.entries = this.#proposals()
        break
    }
  }

  #nextRound(head: number): number {
    if ((head & SAME_ROUND) === 0) this.#round = this.#number('round')
    return this.#round
  }

  #entries(index: number, logTerm: number): readonly WireEntry[] {
    const count = this.#entriesBegin(ENTRY_BYTES_MIN)
    if (count === 0) return NO_ENTRIES
    this.#safe(index + count)
    const entries: WireEntry[] = []
    let term = logTerm
    for (let at = 1; at <= count; at++) {
      term = this.#safe(term + this.#number('term of an entry'))
      entries.push(this.#entry(term, index + at))
    }
    return entries
  }

  #proposals(): readonly WireEntry[] {
    const count = this.#entriesBegin(PROPOSAL_BYTES_MIN)
    const entries: WireEntry[] = []
    for (let at = 0; at < count; at++) entries.push(this.#entry(0, 0))
    return entries
  }

  #entriesBegin(bytesMin: number): number {
    const count = this.#count('entries', BATCH_ENTRIES_MAX - this.#entryCount, bytesMin)
    this.#entryCount += count
    return count
  }

  #entry(term: number, index: number): WireEntry {
    this.#field = 'kind of an entry'
    const kind = this.#reader.u8()
    this.#field = 'payload of an entry'
    return { term, index, kind, payload: this.#reader.blob() }
  }

  #snapshot(): WireSnapshot {
    const index = this.#number('index of the snapshot')
    const term = this.#number('term of the snapshot')
    const configuration = this.#configuration()
    this.#field = 'data of the snapshot'
    return { index, term, configuration, data: this.#reader.blob() }
  }

  #configuration(): WireConfiguration {
    const voters = this.#members('voters')
    const votersOutgoing = this.#members('votersOutgoing')
    const learners = this.#members('learners')
    const learnersNext = this.#members('learnersNext')
    this.#field = 'autoLeave'
    const autoLeave = this.#reader.u8()
    if (autoLeave > 1) throw this.#bad(`${autoLeave} is neither 0 nor 1`)
    return { voters, votersOutgoing, learners, learnersNext, autoLeave: autoLeave === 1 }
  }

  #members(list: string): readonly number[] {
    const count = this.#count(list, MEMBERS_MAX, 1)
    const ids: number[] = []
    let before = 0
    for (let at = 0; at < count; at++) {
      const id = this.#safe(before + this.#number(list))
      if (id === before) throw this.#bad(`${id} is there twice, or is 0`)
      ids.push(id)
      before = id
    }
    return ids
  }

  /** @param bytesMin of one of them: so many must at least be left */
  #count(field: string, most: number, bytesMin: number): number {
    const count = this.#number(field)
    const room = Math.floor(this.#reader.remaining / bytesMin)
    if (count > most || count > room) {
      throw this.#bad(`${count} of them, where ${Math.min(most, room)} are possible`)
    }
    return count
  }

  #number(field: string): number {
    this.#field = field
    return this.#reader.varint()
  }

  #safe(value: number): number {
    if (!Number.isSafeInteger(value)) throw this.#bad(`${value} is past 2^53 - 1`)
    return value
  }

  #bad(what: string): Error {
    return new RangeError(what)
  }
}
