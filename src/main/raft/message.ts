/**
 * Messages between members, and the answers of a member's own append and apply sides. All have one
 * shape, so that handling them stays monomorphic; what a type does not use is zero or empty.
 *
 * | type | sent to | fields |
 * | --- | --- | --- |
 * | vote, preVote | voters | index, logTerm: where the candidate's log ends; transfer |
 * | voteResponse, preVoteResponse | candidate | reject |
 * | append | follower | index, logTerm: the entry before; entries; commit |
 * | appendResponse | leader | index; when reject: rejectHint, logTerm: where to try next |
 * | heartbeat, heartbeatResponse | follower, leader | commit; round (reads.ts) |
 * | snapshot | follower | snapshot |
 * | timeoutNow | transfer's target | |
 * | transferLeader | leader | from: the member that shall lead |
 * | readIndex, readIndexResponse | leader, follower | context; index |
 * | propose | leader | entries without term and index; only when forwarding is on |
 * | appended | own core | index, logTerm: what is durable; snapshot that was installed |
 * | applied | own core | entries that were applied |
 */
import { type Entry, NOBODY, type Snapshot } from './entry.ts'

export type MessageType =
  | 'vote'
  | 'voteResponse'
  | 'preVote'
  | 'preVoteResponse'
  | 'append'
  | 'appendResponse'
  | 'heartbeat'
  | 'heartbeatResponse'
  | 'snapshot'
  | 'timeoutNow'
  | 'transferLeader'
  | 'readIndex'
  | 'readIndexResponse'
  | 'propose'
  | 'appended'
  | 'applied'

/** `from` of the answers of the local sides; no member has these ids. */
export const APPEND_SIDE = -1
export const APPLY_SIDE = -2

export interface Message {
  readonly type: MessageType
  readonly from: number
  readonly to: number
  /** The sender's term; of votes the term voted on; 0 of what belongs to no term. */
  readonly term: number
  readonly logTerm: number
  readonly index: number
  readonly entries: readonly Entry[]
  readonly commit: number
  readonly snapshot: Snapshot | undefined
  readonly reject: boolean
  readonly rejectHint: number
  /** Of the heartbeats: which round of them this is or answers. */
  readonly round: number
  /** Of a read: the caller's own number of it. */
  readonly context: number
  /** Of a vote: asked for by the leader itself, so leases are no reason to refuse it. */
  readonly transfer: boolean
}

const NO_ENTRIES: readonly Entry[] = []

/** A message with everything empty but what is given. */
export function message(type: MessageType, to: number, fields: Partial<Message> = {}): Message {
  return {
    type,
    from: fields.from ?? NOBODY,
    to,
    term: fields.term ?? 0,
    logTerm: fields.logTerm ?? 0,
    index: fields.index ?? 0,
    entries: fields.entries ?? NO_ENTRIES,
    commit: fields.commit ?? 0,
    snapshot: fields.snapshot,
    reject: fields.reject ?? false,
    rejectHint: fields.rejectHint ?? 0,
    round: fields.round ?? 0,
    context: fields.context ?? 0,
    transfer: fields.transfer ?? false,
  }
}

export function isVoteMessage(type: MessageType): boolean {
  return (
    type === 'vote' || type === 'preVote' || type === 'voteResponse' || type === 'preVoteResponse'
  )
}

/** Answers to something this member asked; senders outside the configuration have no say. */
export function isResponse(type: MessageType): boolean {
  return (
    type === 'appendResponse' ||
    type === 'heartbeatResponse' ||
    type === 'voteResponse' ||
    type === 'preVoteResponse' ||
    type === 'readIndexResponse'
  )
}
