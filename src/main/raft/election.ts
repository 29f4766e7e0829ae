/** Elections: campaigning, asking first, and giving one's vote (paper, 5.2 and 5.4.1). */

import { allVoters, isVoter } from './configuration.ts'
import { type LogMark, NOBODY, NOOP_KIND } from './entry.ts'
import type { Message } from './message.ts'
import type { Raft } from './raft.ts'
import { appendOwn, broadcastAppend } from './replication.ts'

/** pre: asks whether it would win. transfer: told to by the leader, which stickiness lets pass. */
type Campaign = 'pre' | 'election' | 'transfer'

const NO_PAYLOAD = new Uint8Array(0)

/** The election timeout has passed, or the caller wants it so. */
export function campaignNow(raft: Raft): void {
  if (raft.hasPromisedAgainst(raft.term + 1)) return
  stand(raft, raft.options.preVote ? 'pre' : 'election')
}

/** The leader steps back for this member (dissertation 3.10): no need to ask first. */
export function campaignForTransfer(raft: Raft): void {
  stand(raft, 'transfer')
}

function stand(raft: Raft, campaign: Campaign): void {
  if (raft.role === 'leader' || !raft.canStand) return
  // Its configuration would not be the newest: two of these elections might not overlap.
  if (raft.log.hasUnappliedChange(raft.log.committed)) return
  askForVotes(raft, campaign)
}

function askForVotes(raft: Raft, campaign: Campaign): void {
  if (campaign === 'pre') raft.becomePreCandidate()
  else raft.becomeCandidate()
  const isPre = campaign === 'pre'
  const term = isPre ? raft.term + 1 : raft.term
  const last = raft.log.lastMark
  for (const voter of allVoters(raft.configuration)) {
    // The own vote counts, like any other, when it is durable.
    if (voter === raft.id) {
      raft.send(isPre ? 'preVoteResponse' : 'voteResponse', voter, { term })
      continue
    }
    const transfer = campaign === 'transfer'
    const request = { term, index: last.index, logTerm: last.term, transfer }
    raft.send(isPre ? 'preVote' : 'vote', voter, request)
  }
}

/** RequestVote, receiver's rules (figure 2). Learners vote too: they may not know of their role. */
export function handleVoteRequest(raft: Raft, { type, from, term, index, logTerm }: Message): void {
  const isPre = type === 'preVote'
  const response = isPre ? 'preVoteResponse' : 'voteResponse'
  const canVote =
    raft.vote === from ||
    (raft.vote === NOBODY && raft.lead === NOBODY) ||
    (isPre && term > raft.term)
  if (!canVote || !isUpToDate({ term: logTerm, index }, decisiveMark(raft))) {
    raft.send(response, from, { term: raft.term, reject: true })
    return
  }
  // The term of the request: a pre-candidate ignores answers of its present one.
  raft.send(response, from, { term })
  if (!isPre) {
    raft.electionElapsed = 0
    raft.vote = from
  }
}

/** Whether a log that ends at `mark` may lead one that ends at `own` (paper, 5.4.1). */
function isUpToDate(mark: LogMark, own: LogMark): boolean {
  return mark.term > own.term || (mark.term === own.term && mark.index >= own.index)
}

/**
 * Up to where a candidate must have this member's log: to its end, as in the paper. But one that
 * has applied its own removal, or became a learner, does not stand for election. If the others have
 * not heard of that yet and need its vote, a longer log of its own would keep them without a leader
 * for ever. It asks for what is committed, so the candidate has the removal in its log; then what
 * came after was committed without this member, by a majority that overlaps with the candidate's.
 * Unless a change behind it makes this member a voter again.
 */
function decisiveMark({ id, log, configuration }: Raft): LogMark {
  const isOut = !isVoter(configuration, id) && configuration.incoming.size > 0
  return isOut && !log.hasUnappliedChange(log.lastIndex) ? log.committedMark : log.lastMark
}

/** A vote for this candidate or against it. */
export function handleVote(raft: Raft, { from, reject }: Message): void {
  const result = raft.tracker.recordVote(from, !reject)
  if (result === 'lost') raft.becomeFollower(raft.term, NOBODY)
  if (result !== 'won') return
  if (raft.role === 'preCandidate') askForVotes(raft, 'election')
  else lead(raft)
}

/** A new leader appends an empty entry: what came before is committed with it (paper, 5.4.2, 8). */
function lead(raft: Raft): void {
  raft.becomeLeader()
  appendOwn(raft, [{ kind: NOOP_KIND, payload: NO_PAYLOAD }])
  broadcastAppend(raft)
}
