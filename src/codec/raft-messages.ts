/**
 * Raft messages on the wire: their shape, their codes and the limits of a batch. A batch is the
 * content of a raft frame: messages of many groups, one after the other, each
 *
 *   u8 head: type in the low four bits, flags above; varint group and varint term unless the flags
 *   say that they follow from the message before; then the fields of the type
 *   (docs/wire-format.md has them; raft-batch-writer.ts and raft-batch-reader.ts follow it)
 */

/** The types that go from member to member. On the wire: position + 1, which never changes. */
export const WIRE_MESSAGE_TYPES = [
  'vote',
  'voteResponse',
  'preVote',
  'preVoteResponse',
  'append',
  'appendResponse',
  'heartbeat',
  'heartbeatResponse',
  'snapshot',
  'timeoutNow',
  'transferLeader',
  'readIndex',
  'readIndexResponse',
  'propose',
] as const
export type WireMessageType = (typeof WIRE_MESSAGE_TYPES)[number]

export const TYPE_MASK = 0x0f
/** The group is the one of the message before plus one; before the first message it is -1. */
export const NEXT_GROUP = 0x10
/** The term is the one of the message before; before the first message it is 0. */
export const SAME_TERM = 0x20
/** Responses: refused. */
export const REJECT = 0x40
/** Votes: asked for by the leader itself. */
export const TRANSFER = 0x40
/** Heartbeats: commit, and round, as in the heartbeat before; 0 before the first one. */
export const SAME_COMMIT = 0x40
export const SAME_ROUND = 0x80
/** Messages that are passed on: a member other than the sender has made it, and is named. */
export const HAS_FROM = 0x80

/** Limits of one batch, so that a few bytes cannot become millions of objects. */
export const BATCH_MESSAGES_MAX = 65_536
export const BATCH_ENTRIES_MAX = 1_048_576
/** Members of one list of a configuration. */
export const MEMBERS_MAX = 65_535
/** Groups are numbered from 0 to this. */
export const GROUP_MAX = 4_294_967_295

export interface WireEntry {
  readonly term: number
  readonly index: number
  /** 0 to 255. */
  readonly kind: number
  readonly payload: Uint8Array
}

/** Ids ascending. */
export interface WireConfiguration {
  readonly voters: readonly number[]
  readonly votersOutgoing: readonly number[]
  readonly learners: readonly number[]
  readonly learnersNext: readonly number[]
  readonly autoLeave: boolean
}

export interface WireSnapshot {
  readonly index: number
  readonly term: number
  readonly configuration: WireConfiguration
  readonly data: Uint8Array
}

/**
 * One shape for all types; which fields a type uses is in docs/wire-format.md. What it does not use
 * is not written, and comes back as zero or empty.
 */
export interface WireMessage {
  readonly type: string
  readonly from: number
  readonly to: number
  readonly term: number
  readonly logTerm: number
  readonly index: number
  readonly entries: readonly WireEntry[]
  readonly commit: number
  readonly snapshot: WireSnapshot | undefined
  readonly reject: boolean
  readonly rejectHint: number
  readonly round: number
  readonly context: number
  readonly transfer: boolean
}

export interface ReceivedMessage extends WireMessage {
  readonly type: WireMessageType
}

export interface GroupMessage {
  readonly group: number
  readonly message: ReceivedMessage
}

/** Types that followers pass on for another member; all others come from who sends them. */
export function isPassedOn(type: string): boolean {
  return type === 'transferLeader' || type === 'readIndex' || type === 'propose'
}

/** Flags that mean something for a type, besides NEXT_GROUP and SAME_TERM. */
export function flagsOf(type: WireMessageType): number {
  switch (type) {
    case 'vote':
    case 'preVote':
      return TRANSFER
    case 'voteResponse':
    case 'preVoteResponse':
    case 'appendResponse':
      return REJECT
    case 'heartbeat':
      return SAME_COMMIT | SAME_ROUND
    case 'heartbeatResponse':
      return SAME_ROUND
    default:
      return isPassedOn(type) ? HAS_FROM : 0
  }
}
