/** Which cluster a dataDir belongs to: the one that is there, a new one, or a restored one. */
import type { ClusterFile } from '../../codec/cluster-file.ts'
import { conflict, invalidRequest } from '../../codec/errors.ts'
import type { RestoreReport } from '../../shared/api.ts'
import type { IoPool } from '../io-pool.ts'
import { type CheckedOptions, PARTITIONS_DEFAULT } from '../options.ts'
import { createCluster, newCluster } from './create-cluster.ts'
import type { DataDir } from './data-dir.ts'
import { clusterIdOf, joinCluster } from './join-cluster.ts'
import { restoreCluster } from './restore-cluster.ts'
import type { RestoreRequest } from './restore-request.ts'

export interface OpenedCluster {
  readonly cluster: ClusterFile
  /** Of a restore. */
  readonly report?: RestoreReport
}

/**
 * @param restore what to restore into an empty dataDir
 * @throws INVALID_REQUEST when the options are another cluster's; CONFLICT when dataDir has one
 */
export async function openCluster(
  options: CheckedOptions,
  dataDir: DataDir,
  io: IoPool,
  restore?: RestoreRequest,
): Promise<OpenedCluster> {
  const known = await dataDir.readCluster()
  if (known === undefined) {
    if ((await dataDir.readReplica()) !== undefined) {
      throw invalidRequest(`dataDir ${dataDir.path} is a read replica's`)
    }
    const { clusterId, partitions, durability, logger } = options
    if (restore !== undefined) {
      const nodeId = options.cluster?.nodeId
      const wanted = { request: restore, clusterId, partitions, nodeId, durability, logger }
      return await restoreCluster(dataDir, io, { ...wanted, now: Date.now })
    }
    if (options.cluster !== undefined) {
      const id = clusterId ?? clusterIdOf(options.cluster)
      const wanted = { clusterId: id, partitions, partitionsDefault: PARTITIONS_DEFAULT }
      return { cluster: await joinCluster(dataDir, io, options.cluster, wanted, Date.now()) }
    }
    const wanted = newCluster(clusterId, partitions ?? PARTITIONS_DEFAULT, Date.now())
    return { cluster: await createCluster(dataDir, io, wanted) }
  }
  await checkNode(options, dataDir)
  if (restore !== undefined) {
    throw conflict(`dataDir ${dataDir.path} already holds cluster ${known.clusterId}`)
  }
  if (options.partitions !== undefined && options.partitions !== known.domains.length) {
    throw invalidRequest(
      `partitions is ${options.partitions}; the cluster was created with ${known.domains.length}`,
    )
  }
  if (options.clusterId !== undefined && options.clusterId !== known.clusterId) {
    throw invalidRequest(
      `clusterId is ${options.clusterId}; dataDir ${dataDir.path} holds ${known.clusterId}`,
    )
  }
  return { cluster: known }
}

/** @throws INVALID_REQUEST when the directory is another node's, or one of a cluster of one */
async function checkNode({ cluster }: CheckedOptions, dataDir: DataDir): Promise<void> {
  const node = await dataDir.readNode()
  if (node?.nodeId === cluster?.nodeId) return
  const wanted = cluster === undefined ? 'a cluster of one' : `node ${cluster.nodeId}`
  const found = node === undefined ? 'a cluster of one' : `node ${node.nodeId}`
  throw invalidRequest(`cluster.nodeId: dataDir ${dataDir.path} is that of ${found}, not ${wanted}`)
}
