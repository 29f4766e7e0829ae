/** A new cluster: its identity, in the bucket first and in dataDir last. */
import { randomUUID } from 'node:crypto'
import { clusterKey } from '../../codec/bucket-layout.ts'
import { type ClusterFile, encodeCluster, HASHING } from '../../codec/cluster-file.ts'
import { conflict } from '../../codec/errors.ts'
import type { IoPool } from '../io-pool.ts'
import type { DataDir } from './data-dir.ts'

export function newCluster(
  clusterId: string | undefined,
  partitions: number,
  now: number,
): ClusterFile {
  return {
    clusterId: clusterId ?? randomUUID(),
    hashing: HASHING,
    domains: Array.from({ length: partitions }, () => randomUUID()),
    createdAt: now,
  }
}

/** @throws CONFLICT when the bucket has a cluster of this id */
export async function claimCluster(io: IoPool, cluster: ClusterFile): Promise<void> {
  const key = clusterKey(cluster.clusterId)
  const outcome = await io.run({ type: 'create', key, bytes: encodeCluster(cluster) })
  if (outcome === 'exists') {
    throw conflict(
      `the bucket already has cluster ${cluster.clusterId}; if its dataDir is lost, ` +
        'Metastore.restore() makes a new cluster from it',
    )
  }
}

export async function createCluster(
  dataDir: DataDir,
  io: IoPool,
  cluster: ClusterFile,
): Promise<void> {
  await dataDir.clear()
  await claimCluster(io, cluster)
  await dataDir.writeCluster(encodeCluster(cluster))
}
