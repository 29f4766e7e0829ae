/** The options of a simulated node, as a caller would give them. */

import type { ClusterFile } from '../../../src/codec/cluster-file.ts'
import type { Member } from '../../../src/main/cluster/member-book.ts'
import type { Logger } from '../../../src/main/logger.ts'
import { type CheckedOptions, checkOptions } from '../../../src/main/options.ts'
import type { ObjectStore } from '../../../src/shared/object-store.ts'
import type { NodeSettings } from './settings.ts'

/** Nothing is ever there: tables are read from the bucket. */
export const NO_DIRECTORY = '/nonexistent'

interface NodeOptions {
  readonly nodeId: number
  readonly settings: NodeSettings
  readonly cluster: ClusterFile
  readonly members: readonly Member[]
  readonly bucket: ObjectStore
  readonly logger: Logger
}

export function checkedOptions(options: NodeOptions): CheckedOptions {
  const { nodeId, settings, cluster, members, bucket, logger } = options
  const { replicationFactor, electionTimeoutMs, heartbeatIntervalMs, workers } = settings
  const {
    flushIntervalMs,
    tailIntervalMs,
    logBytesMax,
    readPath,
    tableMemoryBytesMax,
    garbageDelayMs,
  } = settings
  const checked = checkOptions({
    ...{ dataDir: NO_DIRECTORY, objectStore: bucket, logger, workers, readPath },
    ...{ flushIntervalMs, tailIntervalMs, logBytesMax, tableMemoryBytesMax, garbageDelayMs },
    ioThreads: { min: 1, max: 2 },
    clusterId: cluster.clusterId,
    partitions: cluster.domains.length,
    cluster: {
      ...{ nodeId, replicationFactor, electionTimeoutMs, heartbeatIntervalMs },
      listen: addressOf(nodeId),
      members: [...members],
    },
  })
  // Smaller than callers may choose.
  return { ...checked, memtableBytesMax: settings.memtableBytesMax }
}

export function membersOf(nodeIds: readonly number[]): Member[] {
  return nodeIds.map(nodeId => ({ nodeId, ...addressOf(nodeId) }))
}

function addressOf(nodeId: number): { host: string; port: number } {
  return { host: `node-${nodeId}`, port: 4100 }
}
