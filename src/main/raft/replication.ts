/** Replication: what a leader sends to its followers, and what of it is committed. */
import { type Entry, NOBODY, type Proposal, payloadBytes } from './entry.ts'
import type { Progress } from './progress.ts'
import type { Raft } from './raft.ts'
import { answerRead, confirmReads } from './read-index.ts'

/**
 * Adds entries to the leader's own log; it counts itself when its disk has them, like a follower
 * (dissertation 10.2.1). @returns false when too much is not committed; nothing was added then
 */
export function appendOwn(raft: Raft, proposals: readonly Proposal[]): boolean {
  const bytes = payloadBytes(proposals)
  const sum = raft.uncommittedBytes + bytes
  // One proposal is always accepted, however large; and so are those without payload.
  if (raft.uncommittedBytes > 0 && bytes > 0 && sum > raft.options.uncommittedBytesMax) return false
  raft.uncommittedBytes = sum
  const first = raft.log.lastIndex + 1
  const { term } = raft
  const entries = proposals.map(
    ({ kind, payload }, i): Entry => ({ term, index: first + i, kind, payload }),
  )
  raft.log.append(entries)
  raft.send('appendResponse', raft.id, { index: raft.log.lastIndex })
  return true
}

/** Sends to everybody what is new, be it only the commit index. */
export function broadcastAppend(raft: Raft): void {
  for (const id of raft.tracker.progress.keys()) {
    if (id !== raft.id) sendAppend(raft, id, true)
  }
}

/**
 * AppendEntries to one follower, or a snapshot when its next entry was cut off.
 * @returns whether anything was sent
 */
export function sendAppend(raft: Raft, to: number, evenIfEmpty: boolean): boolean {
  const progress = raft.progressOf(to)
  if (progress === undefined || progress.isPaused) return false
  const { log } = raft
  const index = progress.next - 1
  const logTerm = log.term(index)
  if (logTerm === undefined) return sendSnapshot(raft, to, progress)
  // With a full window an empty append still finds out whether those in it were lost.
  const isThrottled = progress.state === 'replicate' && progress.inflights.isFull
  const entries = isThrottled ? [] : log.entriesFrom(index + 1, raft.options.messageBytesMax)
  if (entries === undefined) return sendSnapshot(raft, to, progress)
  if (entries.length === 0 && !evenIfEmpty) return false
  raft.send('append', to, { index, logTerm, entries, commit: log.committed })
  progress.sentEntries(entries.length, payloadBytes(entries))
  progress.sentCommit(log.committed)
  return true
}

/** Not to one that is silent: it would be sent again and again. */
function sendSnapshot(raft: Raft, to: number, progress: Progress): boolean {
  if (!progress.isActive) return false
  const snapshot = raft.log.snapshot()
  if (snapshot === undefined) return false
  progress.becomeSnapshot(snapshot.index)
  raft.send('snapshot', to, { snapshot })
  return true
}

/** A round of heartbeats (reads.ts). */
export function broadcastHeartbeat(raft: Raft): void {
  const round = raft.reads.startRound(raft.id)
  for (const [id, progress] of raft.tracker.progress) {
    if (id === raft.id) continue
    // A follower cannot commit what it may not have.
    const commit = Math.min(progress.match, raft.log.committed)
    raft.send('heartbeat', id, { commit, round })
    progress.sentCommit(commit)
  }
  confirmReads(raft)
}

/** @returns whether the commit index has moved */
export function advanceCommit(raft: Raft): boolean {
  if (!raft.log.commitOwnTerm(raft.tracker.committed(), raft.term)) return false
  for (const { context, from } of raft.reads.takeEarly()) answerRead(raft, context, from)
  return true
}

/** The target may campaign at once, whatever others were promised (dissertation 3.10). */
export function sendTimeoutNow(raft: Raft, to: number): void {
  raft.reads.forfeitLease()
  raft.send('timeoutNow', to)
}

export function abortTransfer(raft: Raft): void {
  raft.transferee = NOBODY
}
