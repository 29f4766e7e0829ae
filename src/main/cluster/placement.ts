/**
 * Which members are the first voters of which group, and who of them should lead it: the members in
 * a circle, `replicationFactor` neighbours from the group's number on; so voters and leaders are
 * spread evenly. Every node comes to the same result by itself.
 */
import { type ConfState, EMPTY_CONF_STATE } from '../raft/configuration.ts'

export function initialConfiguration(
  group: number,
  nodeIds: readonly number[],
  replicationFactor: number,
): ConfState {
  const voters = Array.from(
    { length: replicationFactor },
    (_, i) => nodeIds[(group + i) % nodeIds.length],
  )
  return { ...EMPTY_CONF_STATE, voters: voters.sort((a, b) => a - b) }
}

/** The voter that should lead the group when all are well. */
export function preferredLeader(group: number, voters: readonly number[]): number | undefined {
  return voters.length === 0 ? undefined : voters[group % voters.length]
}
