/** What a simulated cluster of nodes is: drawn from its seed, printed with a failure. */
import type { Dice } from '../dice.ts'

export interface NodeSettings {
  readonly nodes: number
  readonly replicationFactor: number
  readonly domains: number
  readonly workers: number
  readonly electionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly durability: 'fsync' | 'os'
  readonly segmentBytesMax: number
  readonly memtableBytesMax: number
  readonly logBytesMax: number
  readonly flushIntervalMs: number
  readonly garbageDelayMs: number
  readonly tailIntervalMs: number | null
  readonly readPath: 'auto' | 'worker'
  readonly blockCacheBytesMax: number
  readonly tableMemoryBytesMax: number
  readonly clients: number
  readonly keys: number
  /** The greatest; most are small. */
  readonly valueBytesMax: number
  readonly readsPercent: number
  readonly faultEveryMs: number
  /** Else voters of single domains. */
  readonly changesMembers: boolean
  /** Disks say that they have synced, and have not: the cluster must be seen to break. */
  readonly disksLie: boolean
  /** How far a node's clock is from true time at most, either way. */
  readonly skewMsMax: number
  /** How far the bucket's clock is ahead. */
  readonly bucketSkewMs: number
}

export function drawSettings(dice: Dice): NodeSettings {
  const nodes = dice.pick([1, 3, 3, 3, 3, 4, 5])
  return {
    nodes,
    replicationFactor: Math.min(nodes, 3),
    domains: dice.pick([1, 2, 2, 3]),
    workers: dice.whole(1, 2),
    electionTimeoutMs: 300,
    heartbeatIntervalMs: dice.pick([50, 100]),
    durability: 'fsync',
    segmentBytesMax: dice.pick([4096, 16_384, 65_536]),
    memtableBytesMax: dice.pick([4096, 16_384, 65_536]),
    logBytesMax: dice.pick([0, 32_768, 1_000_000]),
    flushIntervalMs: dice.pick([500, 3000, 60_000]),
    garbageDelayMs: dice.pick([0, 1000, 3_600_000]),
    tailIntervalMs: dice.pick([1000, 5000, null]),
    readPath: dice.pick(['auto', 'worker']),
    blockCacheBytesMax: dice.pick([0, 65_536, 1_048_576]),
    tableMemoryBytesMax: dice.pick([0, 1_048_576]),
    clients: dice.whole(3, 8),
    keys: dice.whole(2, 8),
    valueBytesMax: dice.pick([100, 1000, 5000]),
    readsPercent: dice.pick([30, 50, 70]),
    faultEveryMs: dice.pick([150, 400, 1000]),
    changesMembers: dice.chance(50),
    disksLie: false,
    skewMsMax: 500,
    bucketSkewMs: 0,
  }
}
