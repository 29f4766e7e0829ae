/** Leader: what it does on proposals, answers of followers, and the passing of time. */
import { decodeConfigChange } from '../../codec/config-change.ts'
import { isJoint } from './configuration.ts'
import { CONFIG_KIND, NOBODY, type Proposal, REFUSED_KIND } from './entry.ts'
import type { Message } from './message.ts'
import type { Progress } from './progress.ts'
import type { Raft } from './raft.ts'
import { answerRead, confirmReads } from './read-index.ts'
import {
  abortTransfer,
  advanceCommit,
  appendOwn,
  broadcastAppend,
  broadcastHeartbeat,
  sendAppend,
  sendTimeoutNow,
} from './replication.ts'

export function tickLeader(raft: Raft): void {
  const { electionTicks, heartbeatTicks, checkQuorum } = raft.options
  raft.heartbeatElapsed++
  raft.electionElapsed++
  giveUpSnapshots(raft)
  if (raft.electionElapsed >= electionTicks) {
    raft.electionElapsed = 0
    if (checkQuorum) checkQuorumActive(raft)
    // A transfer that took an election timeout has failed (dissertation 3.10).
    if (raft.role === 'leader') abortTransfer(raft)
  }
  if (raft.role === 'leader' && raft.heartbeatElapsed >= heartbeatTicks) {
    raft.heartbeatElapsed = 0
    broadcastHeartbeat(raft)
  }
}

/** A snapshot or its answer may be lost, and nothing else would ask the follower again. */
function giveUpSnapshots(raft: Raft): void {
  for (const [id, progress] of raft.tracker.progress) {
    if (progress.state !== 'snapshot') continue
    progress.snapshotAge++
    if (progress.snapshotAge >= raft.options.snapshotTicks) reportSnapshot(raft, id, false)
  }
}

/** A leader that does not reach a quorum steps down (dissertation 6.2). */
function checkQuorumActive(raft: Raft): void {
  if (!raft.tracker.isQuorumActive()) raft.becomeFollower(raft.term, NOBODY)
  for (const [id, progress] of raft.tracker.progress) {
    if (id !== raft.id) progress.isActive = false
  }
}

/** @returns false when the proposal is refused, as a whole and without a trace */
export function propose(raft: Raft, proposals: readonly Proposal[]): boolean {
  if (raft.progressOf(raft.id) === undefined || raft.transferee !== NOBODY) return false
  const pendingBefore = raft.pendingChangeIndex
  if (
    !appendOwn(
      raft,
      proposals.map((proposal, i) => checkedChange(raft, proposal, i)),
    )
  ) {
    raft.pendingChangeIndex = pendingBefore
    return false
  }
  broadcastAppend(raft)
  return true
}

/**
 * One change of the configuration at a time (dissertation 4.1), and in a joint one only its end:
 * others become empty entries, which tell who proposed them.
 */
function checkedChange(raft: Raft, proposal: Proposal, position: number): Proposal {
  if (proposal.kind !== CONFIG_KIND) return proposal
  const isPending = raft.pendingChangeIndex > raft.log.applied
  const leaves = decodeConfigChange(proposal.payload).changes.length === 0
  const isWrong = isPending || isJoint(raft.configuration) !== leaves
  if (isWrong && !raft.options.skipChangeChecks) {
    return { kind: REFUSED_KIND, payload: new Uint8Array(0) }
  }
  raft.pendingChangeIndex = raft.log.lastIndex + position + 1
  return proposal
}

export function stepLeader(raft: Raft, received: Message): void {
  const { type, from } = received
  if (type === 'readIndex') {
    answerRead(raft, received.context, from)
    return
  }
  const progress = raft.progressOf(from)
  if (progress === undefined) return
  if (type === 'appendResponse') handleAppendResponse(raft, progress, received)
  else if (type === 'heartbeatResponse') handleHeartbeatResponse(raft, progress, received)
  else if (type === 'transferLeader') transferTo(raft, progress, from)
}

function handleAppendResponse(raft: Raft, progress: Progress, received: Message): void {
  progress.isActive = true
  if (received.reject) backtrack(raft, progress, received)
  else if (progress.acknowledge(received.index)) feed(raft, progress, received)
  else if (progress.match === received.index && progress.state === 'probe') {
    feed(raft, progress, received)
  }
}

/**
 * The follower's log differs: the next probe skips a whole term at once (paper, end of 5.3). The
 * follower names the last entry of its log that may fit, and its term; the own log may know better.
 */
function backtrack(raft: Raft, progress: Progress, received: Message): void {
  const { from, index, logTerm, rejectHint } = received
  const hint = logTerm > 0 ? raft.log.lastWithTermAtMost(rejectHint, logTerm).index : rejectHint
  if (!progress.stepBack(index, hint)) return
  if (progress.state === 'replicate') progress.becomeProbe()
  sendAppend(raft, from, true)
}

/** The follower has more, or is where it was thought to be: it can be given more. */
function feed(raft: Raft, progress: Progress, { from, index }: Message): void {
  if (progress.state === 'replicate') {
    progress.inflights.freeUpTo(index)
  } else if (progress.state === 'probe') {
    progress.becomeReplicate()
  } else if (progress.match + 1 >= raft.log.firstIndex) {
    // The log reaches back far enough: the snapshot is not needed (any more).
    progress.becomeReplicate()
  }
  const isOther = from !== raft.id
  if (advanceCommit(raft)) broadcastAppend(raft)
  else if (isOther && progress.canLearnCommit(raft.log.committed)) sendAppend(raft, from, true)
  if (!isOther) return
  while (sendAppend(raft, from, false)) {
    // As long as the window and the log have room: messages are limited in size.
  }
  const isCaughtUp = progress.match === raft.log.lastIndex
  if (from === raft.transferee && isCaughtUp) sendTimeoutNow(raft, from)
}

function handleHeartbeatResponse(raft: Raft, progress: Progress, received: Message): void {
  progress.isActive = true
  progress.flowPaused = false
  // Appends may have been lost; an empty one finds out, even when the window is full.
  if (progress.match < raft.log.lastIndex || progress.state === 'probe') {
    sendAppend(raft, received.from, true)
  }
  raft.reads.answer(received.from, received.round)
  confirmReads(raft)
}

/** Leadership transfer (dissertation 3.10): proposals stop, the target catches up and campaigns. */
function transferTo(raft: Raft, progress: Progress, target: number): void {
  if (progress.isLearner || raft.transferee === target) return
  abortTransfer(raft)
  if (target === raft.id) return
  raft.electionElapsed = 0
  raft.transferee = target
  if (progress.match === raft.log.lastIndex) sendTimeoutNow(raft, target)
  else sendAppend(raft, target, true)
}

/** The network has lost messages to the member: what is in flight may not arrive. */
export function reportUnreachable(raft: Raft, member: number): void {
  const progress = raft.role === 'leader' ? raft.progressOf(member) : undefined
  if (progress?.state === 'replicate') progress.becomeProbe()
}

/** A snapshot has been sent, or could not be. The member's own answer says what it has of it. */
export function reportSnapshot(raft: Raft, member: number, isSent: boolean): void {
  const progress = raft.role === 'leader' ? raft.progressOf(member) : undefined
  if (progress?.state !== 'snapshot') return
  if (!isSent) progress.pendingSnapshot = 0
  progress.becomeProbe()
  progress.flowPaused = true
}
