/**
 * The way of one group to other voters, a step at a time, at its leader: new members come as
 * learners, catch up, and take the place of others in one joint change (paper, section 6). A pure
 * function: the leader asks it again until it says that it is there.
 */
import type { ConfigChange, MemberChange } from '../../codec/config-change.ts'
import type { ConfState } from '../raft/configuration.ts'

/** A learner that lacks fewer entries than this may vote: it has the rest in a moment. */
const LAG_ENTRIES_MAX = 256

export type PlacementStep =
  | { readonly kind: 'done' }
  /** Something is under way. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'change'; readonly change: ConfigChange }

/**
 * @param target the voters that the group shall have
 * @param matchOf the last entry that a member has, as far as the leader knows; 0 when nothing is
 *   known of it, or it is not heard of
 */
export function placementStep(
  configuration: ConfState,
  target: readonly number[],
  lastIndex: number,
  matchOf: (member: number) => number,
): PlacementStep {
  const { voters, votersOutgoing, learners, learnersNext } = configuration
  if (votersOutgoing.length > 0 || learnersNext.length > 0) return { kind: 'wait' }
  const missing = target.filter(member => !voters.includes(member))
  const unknown = missing.filter(member => !learners.includes(member))
  if (unknown.length > 0) return changeOf(unknown, 'learner')
  const isLate = missing.some(member => {
    const match = matchOf(member)
    return match === 0 || match + LAG_ENTRIES_MAX < lastIndex
  })
  if (isLate) return { kind: 'wait' }
  const gone = [...voters, ...learners].filter(member => !target.includes(member))
  if (missing.length === 0 && gone.length === 0) return { kind: 'done' }
  return changeOf(missing, 'voter', gone)
}

function changeOf(
  added: readonly number[],
  operation: 'learner' | 'voter',
  removed: readonly number[] = [],
): PlacementStep {
  const changes: MemberChange[] = [
    ...added.map(member => ({ operation, member })),
    ...removed.map(member => ({ operation: 'remove' as const, member })),
  ]
  return { kind: 'change', change: { transition: 'auto', changes } }
}
