/** What a simulated cluster is: drawn from its seed, printed with a failure. */

import type { Message } from '../../src/main/raft/message.ts'
import { leaseMsMax, type RaftSettings } from '../../src/main/raft/options.ts'
import type { Dice } from './dice.ts'

export interface ClusterSettings {
  /** Voters at the start: nodes 1 to `voters`. */
  readonly voters: number
  /** Nodes after them that no group knows at the start. */
  readonly spares: number
  readonly groups: number
  readonly tickMs: number
  /** No node's clock runs faster than another's by more than this share. */
  readonly driftMax: number
  /** All clocks are the same, and all nodes tick together: only chance tells members apart. */
  readonly isInLockstep: boolean
  readonly raft: Omit<RaftSettings, 'id' | 'random' | 'applied'>
  /** What the core sees of its storage: what was handed to the disk, or what the disk has done. */
  readonly showsHandedOver: boolean
  /** Whether the commit index is written with the hard state. */
  readonly keepsCommit: boolean
  /** Entries after which a state machine writes a checkpoint, and the log is cut. */
  readonly checkpointEntries: number
  /** Milliseconds a fault comes after the other, on average. */
  readonly faultEveryMs: number
  readonly clients: number
  readonly keys: number
  readonly readsPercent: number
  /** Disks say that they have synced, and have not: the cluster must be seen to break. */
  readonly disksLie: boolean
  /** What becomes of a message on its way; default: it arrives as it is. */
  readonly carry?: (message: Message) => Message
}

const BYTES = 100

export function drawSettings(dice: Dice): ClusterSettings {
  const voters = dice.pick([1, 3, 3, 3, 3, 5, 5, 7])
  const tickMs = dice.pick([20, 25])
  const electionTicks = dice.whole(5, 9)
  const driftMax = 0.1
  const leaseMs = dice.chance(50) ? leaseMsMax(electionTicks, tickMs, driftMax) : 0
  return {
    voters,
    spares: dice.below(3),
    groups: dice.pick([1, 1, 2, 3]),
    tickMs,
    driftMax,
    isInLockstep: dice.chance(10),
    raft: {
      electionTicks,
      heartbeatTicks: dice.whole(1, 2),
      preVote: dice.chance(70),
      checkQuorum: leaseMs > 0 || dice.chance(70),
      leaseMs,
      stepDownOnRemoval: dice.chance(70),
      inflightMessagesMax: dice.pick([1, 2, 8, 256]),
      inflightBytesMax: dice.pick([1, 5, 1000]) * BYTES,
      messageBytesMax: dice.pick([1, 5, 1000]) * BYTES,
      applyingBytesMax: dice.pick([1, 5, 1000]) * BYTES,
      uncommittedBytesMax: dice.pick([10, 1000, 1000]) * BYTES,
      snapshotTicks: 20,
    },
    showsHandedOver: dice.chance(50),
    keepsCommit: dice.chance(50),
    checkpointEntries: dice.whole(3, 40),
    faultEveryMs: dice.pick([100, 250, 600]),
    clients: dice.whole(2, 6),
    keys: dice.whole(1, 4),
    readsPercent: dice.pick([30, 50, 70, 95]),
    disksLie: false,
  }
}
