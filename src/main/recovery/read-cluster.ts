/** What a cluster is, from the bucket alone. */
import { clusterKey } from '../../codec/bucket-layout.ts'
import { type ClusterFile, decodeCluster } from '../../codec/cluster-file.ts'
import { invalidRequest } from '../../codec/errors.ts'
import type { IoRunner } from '../io-pool.ts'

/**
 * @param field what the caller calls the id
 * @throws INVALID_REQUEST when it is not there, details {clusterIds: those that are}
 */
export async function readCluster(
  io: IoRunner,
  clusterId: string,
  field: string,
): Promise<ClusterFile> {
  const key = clusterKey(clusterId)
  const bytes = await io.run({ type: 'read', key })
  if (bytes !== null) return decodeCluster(bytes, key)
  const present = await io.run({ type: 'listClusters' })
  throw invalidRequest(
    `${field} ${clusterId} is not in the bucket; it has ${present.join(', ') || 'no cluster'}`,
    { clusterIds: present },
  )
}
