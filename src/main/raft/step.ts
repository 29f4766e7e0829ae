/** Step: a message or a tick comes in. The rule of terms is here, for all servers (figure 2). */
import { campaignNow, handleVoteRequest } from './election.ts'
import { NOBODY, payloadBytes } from './entry.ts'
import { forwardProposal, isFromLeader, stepCandidate, stepFollower } from './follower.ts'
import { propose, stepLeader, tickLeader } from './leader.ts'
import { isResponse, type Message } from './message.ts'
import type { Raft } from './raft.ts'
import { applied } from './reconfiguration.ts'

/**
 * What became of a message: 'dropped' is a proposal that was refused, 'unknownMember' an answer of
 * somebody outside the configuration. Messages that are late or void are no failure.
 */
export type StepResult = 'done' | 'dropped' | 'unknownMember'

export function tick(raft: Raft, nowMs: number): void {
  raft.reads.nowMs = nowMs
  raft.leaderHeardTicks++
  if (raft.role === 'leader') {
    tickLeader(raft)
    return
  }
  raft.electionElapsed++
  if (raft.canStand && raft.electionElapsed >= raft.electionTimeout) {
    raft.electionElapsed = 0
    campaignNow(raft)
  }
}

export function step(raft: Raft, received: Message): StepResult {
  const { type, from, term, transfer } = received
  if (isResponse(type) && raft.progressOf(from) === undefined) return 'unknownMember'
  if (type === 'propose') return stepProposal(raft, received) ? 'done' : 'dropped'
  if (type === 'applied') {
    handleApplied(raft, received)
    return 'done'
  }
  const isElection = type === 'vote' || type === 'preVote'
  if (isElection && !transfer && raft.refusesElection(term)) return 'done'
  if (term > raft.term && type !== 'readIndex') enterTerm(raft, received)
  if (term < raft.term && type !== 'readIndex') handleOld(raft, received)
  else handleCurrent(raft, received)
  return 'done'
}

export function stepProposal(raft: Raft, received: Message): boolean {
  if (raft.role === 'leader') return propose(raft, received.entries)
  return forwardProposal(raft, received)
}

/** A newer term (paper, 5.1). */
function enterTerm(raft: Raft, received: Message): void {
  const { type, term, from, reject } = received
  // Asking first changes nobody's term; nor does the promise to vote in it (dissertation 9.6).
  if (type === 'preVote' || (type === 'preVoteResponse' && !reject)) return
  raft.becomeFollower(term, isFromLeader(received) ? from : NOBODY)
}

/** Of an older term. */
function handleOld(raft: Raft, received: Message): void {
  const { type, from } = received
  const { checkQuorum, preVote } = raft.options
  const isSilent = checkQuorum || preVote || !raft.isPromotable
  if (isSilent && (type === 'heartbeat' || type === 'append')) {
    // An old leader must learn of the term, though nobody campaigns here, whose term is newer:
    // stickiness and pre-vote would keep this member out for ever, and a learner never stands.
    raft.send('appendResponse', from)
  } else if (type === 'preVote') {
    raft.send('preVoteResponse', from, { term: raft.term, reject: true })
  } else if (type === 'appended' && received.snapshot !== undefined) {
    // Entries may have been replaced since, a snapshot not.
    snapshotInstalled(raft, received.snapshot.index)
  }
}

function handleCurrent(raft: Raft, received: Message): void {
  const { type } = received
  if (type === 'vote' || type === 'preVote') handleVoteRequest(raft, received)
  else if (type === 'appended') handleAppended(raft, received)
  else if (raft.role === 'leader') stepLeader(raft, received)
  else if (raft.role === 'follower') stepFollower(raft, received)
  else stepCandidate(raft, received)
}

/** The append side: everything up to the mark is durable, if the log still has it there. */
function handleAppended(raft: Raft, { index, logTerm, snapshot }: Message): void {
  if (index > 0) raft.log.unstable.written({ index, term: logTerm })
  if (snapshot !== undefined) snapshotInstalled(raft, snapshot.index)
}

function snapshotInstalled(raft: Raft, index: number): void {
  raft.log.unstable.snapshotWritten(index)
  applied(raft, index, 0)
}

/** The apply side. */
function handleApplied(raft: Raft, { entries }: Message): void {
  if (entries.length === 0) return
  applied(raft, entries[entries.length - 1].index, raft.log.bytesOf(entries))
  raft.uncommittedBytes = Math.max(0, raft.uncommittedBytes - payloadBytes(entries))
}
