/** Reconfiguration: a configuration takes effect when its entry is applied, on every member. */
import { type ConfigChange, encodeConfigChange } from '../../codec/config-change.ts'
import { isVoter } from './configuration.ts'
import { CONFIG_KIND, NOBODY } from './entry.ts'
import { propose } from './leader.ts'
import { changedMembership, type Membership, MembershipError } from './membership.ts'
import type { Raft } from './raft.ts'
import { abortTransfer, advanceCommit, broadcastAppend, sendAppend } from './replication.ts'

/**
 * The entry at `index` is applied. A change that cannot be made changes nothing, on any member: all
 * have the same before.
 * @returns false when a snapshot has overtaken the entry
 */
export function applyChange(raft: Raft, index: number, change: ConfigChange): boolean {
  if (index <= raft.configurationIndex) return false
  raft.configurationIndex = index
  try {
    adoptMembership(raft, changedMembership(raft.tracker.membership, change))
  } catch (error) {
    if (!(error instanceof MembershipError)) throw error
  }
  return true
}

export function adoptMembership(raft: Raft, membership: Membership): void {
  raft.tracker.adopt(membership, raft.log.lastIndex)
  if (raft.role !== 'leader') return
  const own = raft.progressOf(raft.id)
  if (own === undefined || own.isLearner) {
    // Until now it led a group that it does not count itself in (dissertation 4.2.2).
    if (raft.options.stepDownOnRemoval) raft.becomeFollower(raft.term, NOBODY)
    return
  }
  // Fewer voters may be a quorum already; new ones need not wait for the next heartbeat.
  if (advanceCommit(raft)) {
    broadcastAppend(raft)
  } else {
    for (const id of raft.tracker.progress.keys()) {
      if (id !== raft.id) sendAppend(raft, id, false)
    }
  }
  if (!isVoter(raft.configuration, raft.transferee)) abortTransfer(raft)
}

/** Everything up to `index` is applied. The leader ends a joint configuration by itself. */
export function applied(raft: Raft, index: number, bytes: number): void {
  const newest = Math.max(index, raft.log.applied)
  raft.log.appliedTo(newest, bytes)
  const { autoLeave } = raft.configuration
  if (!autoLeave || raft.role !== 'leader' || newest < raft.pendingChangeIndex) return
  // Refused during a transfer; the next entry that is applied comes by here again.
  const leave = encodeConfigChange({ transition: 'auto', changes: [] })
  propose(raft, [{ kind: CONFIG_KIND, payload: leave }])
}
