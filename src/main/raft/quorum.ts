/**
 * Majorities as pure functions: what a set of voters has acknowledged, and how it has voted. Of a
 * joint configuration both sets must agree (paper, section 6).
 */

export type VoteResult = 'pending' | 'lost' | 'won'

/** What a voter has acknowledged, 0 when nothing. */
export type Acknowledged = (voter: number) => number

/**
 * The greatest number that a majority has acknowledged (figure 2, rules for leaders, last line).
 * @returns Infinity when there are no voters, so that an empty set decides nothing in a joint one
 */
export function majorityAcknowledged(voters: ReadonlySet<number>, of: Acknowledged): number {
  if (voters.size === 0) return Number.POSITIVE_INFINITY
  const sorted: number[] = []
  // Insertion sort: groups have three, five or seven voters.
  for (const voter of voters) {
    const value = of(voter)
    let at = sorted.length
    while (at > 0 && sorted[at - 1] > value) at--
    sorted.splice(at, 0, value)
  }
  return sorted[(sorted.length - 1) >> 1]
}

/** An empty set has won: in a joint configuration the other one decides. */
export function majorityVote(
  voters: ReadonlySet<number>,
  votes: ReadonlyMap<number, boolean>,
): VoteResult {
  let yes = 0
  let missing = 0
  for (const voter of voters) {
    const vote = votes.get(voter)
    if (vote === undefined) missing++
    else if (vote) yes++
  }
  const needed = (voters.size >> 1) + 1
  if (voters.size === 0 || yes >= needed) return 'won'
  return yes + missing >= needed ? 'pending' : 'lost'
}

/** Both halves; the outgoing one is empty when the configuration is not joint. */
export interface JointVoters {
  readonly incoming: ReadonlySet<number>
  readonly outgoing: ReadonlySet<number>
}

export function jointAcknowledged(voters: JointVoters, of: Acknowledged): number {
  return Math.min(
    majorityAcknowledged(voters.incoming, of),
    majorityAcknowledged(voters.outgoing, of),
  )
}

export function jointVote(voters: JointVoters, votes: ReadonlyMap<number, boolean>): VoteResult {
  const incoming = majorityVote(voters.incoming, votes)
  const outgoing = majorityVote(voters.outgoing, votes)
  if (incoming === outgoing) return incoming
  return incoming === 'lost' || outgoing === 'lost' ? 'lost' : 'pending'
}
