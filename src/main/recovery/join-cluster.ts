/**
 * A node of a cluster of several gets its dataDir: the first one creates the cluster in the bucket,
 * the others find it there. All of them have the same text.
 */
import { createHash } from 'node:crypto'
import { clusterKey, committedKey } from '../../codec/bucket-layout.ts'
import { type ClusterFile, decodeCluster, encodeCluster } from '../../codec/cluster-file.ts'
import { invalidRequest } from '../../codec/errors.ts'
import { formatUuid, stampVersion4 } from '../../codec/uuid.ts'
import type { CheckedCluster } from '../cluster/cluster-options.ts'
import type { IoPool } from '../io-pool.ts'
import { newCluster } from './create-cluster.ts'
import type { DataDir } from './data-dir.ts'

/**
 * The cluster's id when none was given: every member comes to the same, from the members alone.
 */
export function clusterIdOf({ members }: CheckedCluster): string {
  const text = JSON.stringify(members.map(({ nodeId, host, port }) => [nodeId, host, port]))
  const bytes = new Uint8Array(createHash('sha256').update(text).digest().subarray(0, 16))
  stampVersion4(bytes)
  return formatUuid(bytes)
}

/**
 * Creates the cluster or finds it. A node whose cluster has flushed already joins without a vote:
 * whatever it had voted for, and the log behind it, is gone with its disk.
 * @throws INVALID_REQUEST when the bucket's cluster has another partition count
 */
export async function joinCluster(
  dataDir: DataDir,
  io: IoPool,
  cluster: CheckedCluster,
  wanted: { clusterId: string; partitions: number | undefined; partitionsDefault: number },
  now: number,
): Promise<ClusterFile> {
  const { clusterId, partitions, partitionsDefault } = wanted
  const key = clusterKey(clusterId)
  await dataDir.clear()
  const founders = cluster.members.map(({ nodeId }) => nodeId)
  const created = newCluster(clusterId, partitions ?? partitionsDefault, now)
  const bytes = encodeCluster({ ...created, founders })
  await io.run({ type: 'create', key, bytes })
  const present = await io.run({ type: 'read', key })
  const found = decodeCluster(present ?? bytes, key)
  if (partitions !== undefined && partitions !== found.domains.length) {
    throw invalidRequest(
      `partitions is ${partitions}; the cluster was created with ${found.domains.length}`,
    )
  }
  const isNamed = found.founders?.includes(cluster.nodeId) ?? false
  const isFounder = isNamed && !(await hasFlushed(io, found))
  await dataDir.writeNode({ nodeId: cluster.nodeId, isFounder })
  await dataDir.writeIntent(encodeCluster(found))
  await dataDir.finishIntent()
  return found
}

async function hasFlushed(io: IoPool, { domains }: ClusterFile): Promise<boolean> {
  const pointers = await Promise.all(
    domains.map(domain => io.run({ type: 'read', key: committedKey(domain) })),
  )
  return pointers.some(pointer => pointer !== null)
}
