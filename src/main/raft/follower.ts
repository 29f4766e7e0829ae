/** Followers and candidates: what they do with the messages of a leader and of candidates. */
import { campaignForTransfer, handleVote } from './election.ts'
import { NOBODY, type Snapshot } from './entry.ts'
import { restoredMembership } from './membership.ts'
import type { Message } from './message.ts'
import type { Raft } from './raft.ts'
import { adoptMembership } from './reconfiguration.ts'
import { Tracker } from './tracker.ts'

/** Sends proposals on to the leader, when that is on. @returns false when they are refused */
export function forwardProposal(raft: Raft, received: Message): boolean {
  const { forwardProposals } = raft.options
  if (raft.role !== 'follower' || raft.lead === NOBODY || !forwardProposals) return false
  raft.send('propose', raft.lead, received)
  return true
}

export function stepFollower(raft: Raft, received: Message): void {
  const { type, context, index } = received
  if (isFromLeader(received)) followLeader(raft, received)
  else if (type === 'timeoutNow') campaignForTransfer(raft)
  else if (type === 'readIndexResponse') raft.reads.release(context, index)
  else if (raft.lead !== NOBODY && (type === 'transferLeader' || type === 'readIndex')) {
    raft.send(type, raft.lead, received)
  }
}

export function stepCandidate(raft: Raft, received: Message): void {
  const awaited = raft.role === 'preCandidate' ? 'preVoteResponse' : 'voteResponse'
  if (isFromLeader(received)) {
    // Of this term, or it would not be here: the election is decided (paper, 5.2).
    raft.becomeFollower(received.term, received.from)
    followLeader(raft, received)
  } else if (received.type === awaited) {
    handleVote(raft, received)
  }
}

export function isFromLeader({ type }: Message): boolean {
  return type === 'append' || type === 'heartbeat' || type === 'snapshot'
}

function followLeader(raft: Raft, received: Message): void {
  raft.electionElapsed = 0
  raft.leaderHeardTicks = 0
  raft.lead = received.from
  if (received.type === 'append') handleAppend(raft, received)
  else if (received.type === 'heartbeat') handleHeartbeat(raft, received)
  else if (received.snapshot !== undefined) handleSnapshot(raft, received.from, received.snapshot)
}

/** AppendEntries (figure 2). A refusal says where to try next (paper, end of 5.3). */
function handleAppend(raft: Raft, received: Message): void {
  const { from, index, logTerm, entries, commit } = received
  const { log } = raft
  // Late: up to the commit index all logs agree anyway.
  if (index < log.committed) {
    raft.send('appendResponse', from, { index: log.committed })
    return
  }
  const last = log.appendAfter({ term: logTerm, index }, entries, commit)
  if (last !== undefined) {
    raft.send('appendResponse', from, { index: last })
    return
  }
  const hint = log.lastWithTermAtMost(Math.min(index, log.lastIndex), logTerm)
  const refusal = { index, reject: true, rejectHint: hint.index, logTerm: hint.term }
  raft.send('appendResponse', from, refusal)
}

function handleHeartbeat(raft: Raft, { from, commit, round }: Message): void {
  raft.log.commitTo(commit)
  raft.send('heartbeatResponse', from, { round })
}

/** InstallSnapshot (figure 13). */
function handleSnapshot(raft: Raft, from: number, snapshot: Snapshot): void {
  const isTaken = restore(raft, snapshot)
  raft.send('appendResponse', from, { index: isTaken ? raft.log.lastIndex : raft.log.committed })
}

/**
 * The configuration need not know this member: what added it may be in the log behind the snapshot.
 * @returns false when the snapshot has nothing that the log has not
 */
function restore(raft: Raft, snapshot: Snapshot): boolean {
  const { index, term, configuration } = snapshot
  if (index <= raft.log.committed) return false
  // The log goes on behind it: it stays (figure 13, rule 6).
  if (raft.log.has({ index, term })) {
    raft.log.commitTo(index)
    return false
  }
  raft.log.restore(snapshot)
  raft.tracker = new Tracker(raft.options)
  raft.configurationIndex = index
  adoptMembership(raft, restoredMembership(configuration))
  return true
}
