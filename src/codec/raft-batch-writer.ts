/** RaftBatchWriter: gathers Raft messages of many groups to one member into one frame. */
import type { ByteWriter } from './bytes.ts'
import { invalidRequest } from './errors.ts'
import {
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  FRAME_RAFT,
  finishFrame,
  startFrame,
} from './frame-format.ts'
import {
  BATCH_ENTRIES_MAX,
  BATCH_MESSAGES_MAX,
  GROUP_MAX,
  HAS_FROM,
  isPassedOn,
  MEMBERS_MAX,
  NEXT_GROUP,
  REJECT,
  SAME_COMMIT,
  SAME_ROUND,
  SAME_TERM,
  TRANSFER,
  WIRE_MESSAGE_TYPES,
  type WireConfiguration,
  type WireEntry,
  type WireMessage,
  type WireSnapshot,
} from './raft-messages.ts'

/** From here on a batch is sent and a new one begun: its receiver shall not wait for more. */
const FULL_BYTES = 1_048_576
const FULL_MESSAGES = 4096
const FULL_ENTRIES = 65_536

const CODE_OF: ReadonlyMap<string, number> = new Map(
  WIRE_MESSAGE_TYPES.map((type, position) => [type, position + 1]),
)

export class RaftBatchWriter {
  readonly #self: number
  readonly #writer: ByteWriter
  #messageCount = 0
  #entryCount = 0
  #group = -1
  #term = 0
  #commit = 0
  #round = 0

  /** @param self the id of the member that sends */
  constructor(self: number, capacityBytes = 1024) {
    this.#self = self
    this.#writer = startFrame(FRAME_RAFT, capacityBytes)
  }

  get isEmpty(): boolean {
    return this.#messageCount === 0
  }

  /** Of the frame so far. */
  get bytes(): number {
    return this.#writer.length
  }

  get isFull(): boolean {
    return (
      this.bytes >= FULL_BYTES ||
      this.#messageCount >= FULL_MESSAGES ||
      this.#entryCount >= FULL_ENTRIES
    )
  }

  /**
   * Adds a message; payloads are copied. Groups in ascending order take the least room.
   * @throws INVALID_REQUEST naming the field that does not fit; the batch is as it was before
   */
  add(group: number, message: WireMessage): void {
    const { length } = this.#writer
    try {
      this.#put(group, message)
    } catch (error) {
      this.#writer.length = length
      throw error
    }
    this.#messageCount++
    this.#entryCount += message.entries.length
    this.#group = group
    this.#term = message.term
    if (message.type === 'heartbeat') this.#commit = message.commit
    if (message.type === 'heartbeat' || message.type === 'heartbeatResponse') {
      this.#round = message.round
    }
  }

  /** @returns the whole frame, owned by the caller; the batch must not be used again */
  finish(): Uint8Array {
    return finishFrame(this.#writer)
  }

  #put(group: number, message: WireMessage): void {
    const { type, from, term } = message
    const code = CODE_OF.get(type)
    if (code === undefined) throw invalidRequest(`type: ${type} does not go to other members`)
    if (from !== this.#self && !isPassedOn(type)) {
      throw invalidRequest(`from of ${type} must be ${this.#self}, not ${from}`)
    }
    if (group > GROUP_MAX) throw invalidRequest(`group must be at most ${GROUP_MAX}, not ${group}`)
    this.#checkRoom(message)
    let head = code | this.#flags(message)
    if (group === this.#group + 1) head |= NEXT_GROUP
    if (term === this.#term) head |= SAME_TERM
    this.#writer.u8(head)
    this.#number(group, 'group', (head & NEXT_GROUP) !== 0)
    this.#number(term, 'term', (head & SAME_TERM) !== 0)
    this.#fields(message, head)
    const bodyBytes = this.#writer.length - FRAME_HEADER_BYTES
    if (bodyBytes > FRAME_BYTES_MAX) {
      throw invalidRequest(`${type}: a batch of ${bodyBytes} bytes is larger than a frame`)
    }
  }

  #checkRoom({ entries, type }: WireMessage): void {
    if (this.#messageCount >= BATCH_MESSAGES_MAX) {
      throw invalidRequest(`${type} is one more than the ${BATCH_MESSAGES_MAX} messages of a batch`)
    }
    if (this.#entryCount + entries.length > BATCH_ENTRIES_MAX) {
      throw invalidRequest(`entries of ${type}: more than ${BATCH_ENTRIES_MAX} in a batch`)
    }
  }

  #flags({ type, from, reject, transfer, commit, round }: WireMessage): number {
    switch (type) {
      case 'vote':
      case 'preVote':
        return transfer ? TRANSFER : 0
      case 'voteResponse':
      case 'preVoteResponse':
      case 'appendResponse':
        return reject ? REJECT : 0
      case 'heartbeat':
        return this.#sameRound(round) | (commit === this.#commit ? SAME_COMMIT : 0)
      case 'heartbeatResponse':
        return this.#sameRound(round)
      default:
        return from === this.#self ? 0 : HAS_FROM
    }
  }

  #sameRound(round: number): number {
    return round === this.#round ? SAME_ROUND : 0
  }

  #fields(message: WireMessage, head: number): void {
    const { type, from, index, logTerm, commit, context, snapshot } = message
    if (isPassedOn(type)) this.#number(from, 'from', (head & HAS_FROM) === 0)
    switch (type) {
      case 'vote':
      case 'preVote':
        this.#number(index, 'index')
        this.#number(logTerm, 'logTerm')
        break
      case 'append':
        this.#number(index, 'index')
        this.#number(logTerm, 'logTerm')
        this.#number(commit, 'commit')
        this.#entries(message)
        break
      case 'appendResponse':
        this.#number(index, 'index')
        if (!message.reject) break
        this.#number(message.rejectHint, 'rejectHint')
        this.#number(logTerm, 'logTerm')
        break
      case 'heartbeat':
        this.#number(commit, 'commit', (head & SAME_COMMIT) !== 0)
        this.#number(message.round, 'round', (head & SAME_ROUND) !== 0)
        break
      case 'heartbeatResponse':
        this.#number(message.round, 'round', (head & SAME_ROUND) !== 0)
        break
      case 'readIndex':
        this.#number(context, 'context')
        break
      case 'readIndexResponse':
        this.#number(context, 'context')
        this.#number(index, 'index')
        break
      case 'snapshot':
        if (snapshot === undefined) throw invalidRequest('snapshot of snapshot must not be missing')
        this.#snapshot(snapshot)
        break
      case 'propose':
        this.#proposals(message.entries)
        break
    }
  }

  /** Indexes are not written: they count on from the message's own. */
  #entries({ index, logTerm, entries }: WireMessage): void {
    this.#writer.varint(entries.length)
    let term = logTerm
    for (const [position, entry] of entries.entries()) {
      if (entry.index !== index + 1 + position) {
        throw invalidRequest(`index of entry ${position} must count on, not be ${entry.index}`)
      }
      this.#number(entry.term - term, `term of entry ${position} (from the one before)`)
      term = entry.term
      this.#proposal(entry)
    }
  }

  /** Term and index are the leader's to give. */
  #proposals(entries: readonly WireEntry[]): void {
    this.#writer.varint(entries.length)
    for (const entry of entries) this.#proposal(entry)
  }

  #proposal({ kind, payload }: WireEntry): void {
    if (!Number.isInteger(kind) || kind < 0 || kind > 255) {
      throw invalidRequest(`kind of an entry must be from 0 to 255, not ${kind}`)
    }
    this.#writer.u8(kind).blob(payload)
  }

  #snapshot({ index, term, configuration, data }: WireSnapshot): void {
    this.#number(index, 'index of the snapshot')
    this.#number(term, 'term of the snapshot')
    this.#configuration(configuration)
    this.#writer.blob(data)
  }

  #configuration(configuration: WireConfiguration): void {
    const { voters, votersOutgoing, learners, learnersNext, autoLeave } = configuration
    this.#members(voters, 'voters')
    this.#members(votersOutgoing, 'votersOutgoing')
    this.#members(learners, 'learners')
    this.#members(learnersNext, 'learnersNext')
    this.#writer.u8(autoLeave ? 1 : 0)
  }

  /** Each id as its distance from the one before, which is at least 1. */
  #members(ids: readonly number[], list: string): void {
    if (ids.length > MEMBERS_MAX) throw invalidRequest(`${list} has ${ids.length} members`)
    this.#writer.varint(ids.length)
    let before = 0
    for (const id of ids) {
      if (id <= before) throw invalidRequest(`${list} must ascend from 1: ${id} after ${before}`)
      this.#number(id - before, list)
      before = id
    }
  }

  /** @param isKnown checked, but not written: the receiver knows it from the flags */
  #number(value: number, field: string, isKnown = false): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw invalidRequest(`${field} must be a safe integer from 0 on, not ${value}`)
    }
    if (!isKnown) this.#writer.varint(value)
  }
}
