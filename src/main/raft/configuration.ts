/**
 * Configuration: who belongs to a group, and as what (dissertation 4.2.1 for learners, 4.3 for
 * joint configurations).
 *
 * Invariants:
 * 1. Nobody is voter (of either half) and learner at once.
 * 2. learnersNext holds voters of the outgoing half that become learners when it is left.
 * 3. Without an outgoing half there are no learnersNext and no autoLeave.
 */

export interface Configuration {
  /** The voters, or in a joint configuration those of its new half. */
  readonly incoming: ReadonlySet<number>
  /** Of a joint configuration the voters of its old half; else empty. */
  readonly outgoing: ReadonlySet<number>
  readonly learners: ReadonlySet<number>
  readonly learnersNext: ReadonlySet<number>
  /** The leader proposes to leave the joint configuration as soon as it is applied. */
  readonly autoLeave: boolean
}

/** A configuration as snapshots carry it: ids ascending. */
export interface ConfState {
  readonly voters: readonly number[]
  readonly votersOutgoing: readonly number[]
  readonly learners: readonly number[]
  readonly learnersNext: readonly number[]
  readonly autoLeave: boolean
}

export const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
}

export function configurationOf(state: ConfState): Configuration {
  return {
    incoming: new Set(state.voters),
    outgoing: new Set(state.votersOutgoing),
    learners: new Set(state.learners),
    learnersNext: new Set(state.learnersNext),
    autoLeave: state.autoLeave,
  }
}

export function confStateOf(configuration: Configuration): ConfState {
  return {
    voters: ascending(configuration.incoming),
    votersOutgoing: ascending(configuration.outgoing),
    learners: ascending(configuration.learners),
    learnersNext: ascending(configuration.learnersNext),
    autoLeave: configuration.autoLeave,
  }
}

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.size > 0
}

/** A voter of either half. */
export function isVoter(configuration: Configuration, member: number): boolean {
  return configuration.incoming.has(member) || configuration.outgoing.has(member)
}

/** Whether the member alone is a majority. */
export function isOnlyVoter({ voters, votersOutgoing }: ConfState, member: number): boolean {
  return voters.length === 1 && voters[0] === member && votersOutgoing.length === 0
}

/** Voters of both halves, ascending. */
export function allVoters(configuration: Configuration): number[] {
  return ascending(new Set([...configuration.incoming, ...configuration.outgoing]))
}

export function ascending(ids: Iterable<number>): number[] {
  return [...ids].sort((a, b) => a - b)
}
