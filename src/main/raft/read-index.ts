/** ReadIndex: a read's way to its index (dissertation 6.4). The bookkeeping is in reads.ts. */
import { NOBODY } from './entry.ts'
import type { Raft } from './raft.ts'

/**
 * Asks for a read of this member. It comes out of a ready with its index, or as dropped when the
 * leader changes; a message that is lost takes it along, so the caller has a deadline.
 * @returns false when no leader is known
 */
export function requestRead(raft: Raft, context: number, nowMs: number): boolean {
  raft.reads.nowMs = nowMs
  if (raft.role !== 'leader') {
    if (raft.lead === NOBODY) return false
    raft.send('readIndex', raft.lead, { context })
    return true
  }
  // The lease is good only at the time that the caller has just read.
  if (knowsCommit(raft) && raft.reads.hasLease(nowMs)) {
    raft.reads.release(context, raft.log.committed)
  } else {
    answerRead(raft, context, NOBODY)
  }
  return true
}

/** At the leader: the read of a member (NOBODY: its own) waits for a round of heartbeats. */
export function answerRead(raft: Raft, context: number, from: number): void {
  if (knowsCommit(raft)) raft.reads.waitForRound(context, from, raft.log.committed)
  else raft.reads.waitForCommit(context, from)
}

/** Lets go what a quorum of answers allows. */
export function confirmReads(raft: Raft): void {
  const { reads } = raft
  const round = raft.tracker.acknowledged(member => reads.answeredBy(member))
  if (!Number.isFinite(round)) return
  for (const { context, from, index } of reads.confirm(round)) {
    if (from === NOBODY) reads.release(context, index)
    else raft.send('readIndexResponse', from, { context, index })
  }
}

/** Before its first own entry is committed a leader may not know what is (6.4, step 1). */
function knowsCommit(raft: Raft): boolean {
  return raft.log.term(raft.log.committed) === raft.term
}
