/** A new cluster: its identity, in the bucket first and in dataDir last. */
import { randomUUID } from 'node:crypto'
import { clusterKey } from '../../codec/bucket-layout.ts'
import { type ClusterFile, encodeCluster, HASHING } from '../../codec/cluster-file.ts'
import { conflict } from '../../codec/errors.ts'
import type { IoRunner } from '../io-pool.ts'
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

/** @throws CONFLICT when the bucket has another cluster of this id */
export async function claimCluster(io: IoRunner, cluster: ClusterFile): Promise<void> {
  const key = clusterKey(cluster.clusterId)
  const outcome = await io.run({ type: 'create', key, bytes: encodeCluster(cluster) })
  if (outcome === 'exists') await expectClaimable(io, cluster)
}

/** @throws CONFLICT as claimCluster() would */
export async function expectClaimable(io: IoRunner, cluster: ClusterFile): Promise<void> {
  const present = await io.run({ type: 'read', key: clusterKey(cluster.clusterId) })
  // The same to the byte: a creation of ours that broke off after this step.
  if (present === null || Buffer.compare(present, encodeCluster(cluster)) === 0) return
  throw conflict(
    `the bucket already has cluster ${cluster.clusterId}; if its dataDir is lost, ` +
      'Metastore.restore() makes a new cluster from it',
  )
}

/**
 * Creates the cluster, or goes on with a creation of the same one that broke off.
 * @returns what was created
 */
export async function createCluster(
  dataDir: DataDir,
  io: IoRunner,
  wanted: ClusterFile,
): Promise<ClusterFile> {
  const begun = await dataDir.readIntent()
  const isSame =
    begun?.clusterId === wanted.clusterId && begun.domains.length === wanted.domains.length
  const cluster = isSame ? begun : wanted
  await dataDir.clear()
  await dataDir.writeIntent(encodeCluster(cluster))
  await claimCluster(io, cluster)
  await dataDir.finishIntent()
  return cluster
}
