/** What a group's core is told once: rules, limits, and where its randomness comes from. */
import { type EntryBytes, entryBytes } from './entry.ts'

export interface RaftLimits {
  /** Appends on their way to one follower. Default 256. */
  readonly inflightMessagesMax: number
  /** Bytes of payload on their way to one follower. Default 16 MiB: 160 MiB/s at 100 ms. */
  readonly inflightBytesMax: number
  /** Bytes of entries in one append; one entry always fits. Default 1 MiB. */
  readonly messageBytesMax: number
  /** Bytes of entries handed out to be applied and not yet applied. Default 16 MiB. */
  readonly applyingBytesMax: number
  /** Bytes of payload that a leader has not committed; more is refused. Default 64 MiB. */
  readonly uncommittedBytesMax: number
}

export interface RaftOptions extends RaftLimits {
  /** This member's id: a positive safe integer. */
  readonly id: number
  /** Ticks without a leader before a follower campaigns: from this to twice this less one. */
  readonly electionTicks: number
  /** Ticks from heartbeat to heartbeat; less than electionTicks. Default 1. */
  readonly heartbeatTicks: number
  /**
   * Ticks after which a snapshot that was sent counts as lost, if the transport has not said so
   * before (reportSnapshot). Longer than an installation takes. Default 100.
   */
  readonly snapshotTicks: number
  /** Returns an integer in [0, below), evenly spread; a test gives a seeded generator. */
  readonly random: (below: number) => number
  /** Asks first, so that a cut-off member disturbs nobody (dissertation 9.6). Default on. */
  readonly preVote: boolean
  /**
   * A leader without a majority steps down, and who hears from a leader votes for nobody else
   * (dissertation 6.2, 4.2.3). Default on.
   */
  readonly checkQuorum: boolean
  /**
   * Milliseconds that a quorum's answer lets a leader read without asking again; 0 (default): no
   * leases. Needs checkQuorum. See leaseMsMax for the greatest safe one.
   */
  readonly leaseMs: number
  /** A leader that is no voter any more becomes a follower (dissertation 4.2.2). Default on. */
  readonly stepDownOnRemoval: boolean
  /** Followers send proposals on to the leader. Default off: the router does that. */
  readonly forwardProposals: boolean
  /** Lets pass configuration changes that come at a wrong moment. Default off; for tests. */
  readonly skipChangeChecks: boolean
  /**
   * Hands out committed entries before this member's own disk has them. Only for callers that
   * append everything that a ready has before they apply anything of it. Default off.
   */
  readonly applyBeforeAppend: boolean
  /** The newest entry that the state machine has; 0 (default): what the storage begins with. */
  readonly applied: number
  /** What an entry weighs against the limits, but those that say payload. */
  readonly entryBytes: EntryBytes
}

const MIB = 1024 * 1024

export const RAFT_DEFAULTS: Omit<RaftOptions, 'id' | 'electionTicks' | 'random'> = {
  inflightMessagesMax: 256,
  inflightBytesMax: 16 * MIB,
  messageBytesMax: MIB,
  applyingBytesMax: 16 * MIB,
  uncommittedBytesMax: 64 * MIB,
  heartbeatTicks: 1,
  snapshotTicks: 100,
  preVote: true,
  checkQuorum: true,
  leaseMs: 0,
  stepDownOnRemoval: true,
  forwardProposals: false,
  skipChangeChecks: false,
  applyBeforeAppend: false,
  applied: 0,
  entryBytes,
}

/** Everything without a default, and what shall differ. */
export type RaftSettings = Partial<RaftOptions> &
  Pick<RaftOptions, 'id' | 'electionTicks' | 'random'>

/** @throws RangeError naming the option and its value */
export function raftOptions(settings: RaftSettings): RaftOptions {
  const options: RaftOptions = { ...RAFT_DEFAULTS, ...settings }
  const { id, electionTicks, heartbeatTicks, leaseMs } = options
  const require = (isRight: boolean, name: keyof RaftOptions, rule: string): void => {
    if (!isRight) throw new RangeError(`${name} must be ${rule}, not ${String(options[name])}`)
  }
  require(Number.isSafeInteger(id) && id > 0, 'id', 'a positive safe integer')
  require(Number.isSafeInteger(heartbeatTicks) && heartbeatTicks > 0, 'heartbeatTicks', 'positive')
  require(Number.isSafeInteger(electionTicks) &&
    electionTicks > heartbeatTicks, 'electionTicks', 'greater than heartbeatTicks')
  require(options.snapshotTicks > 0, 'snapshotTicks', 'positive')
  require(options.inflightMessagesMax > 0, 'inflightMessagesMax', 'positive')
  require(options.inflightBytesMax > 0, 'inflightBytesMax', 'positive')
  require(options.applyingBytesMax > 0, 'applyingBytesMax', 'positive')
  require(leaseMs >= 0, 'leaseMs', 'zero or positive')
  require(leaseMs === 0 || options.checkQuorum, 'leaseMs', '0 without checkQuorum')
  return options
}

/**
 * The longest lease that is safe (dissertation 6.4.1). A follower refuses its vote until it has
 * counted electionTicks ticks after it heard from the leader. The first of them may follow at once,
 * and its clock may run faster than the leader's by the factor 1 + driftMax.
 * @param tickMs least distance of two ticks of a member, by its own clock, in milliseconds
 * @param driftMax bound on how much faster one member's clock runs than another's; 0.01 is 1 %
 */
export function leaseMsMax(electionTicks: number, tickMs: number, driftMax: number): number {
  return ((electionTicks - 1) * tickMs) / (1 + driftMax)
}
