/**
 * What else of the bucket bears on a domain's garbage: the other domains, whose manifests may refer
 * to its tables, and of those its relatives, which share objects of callers with it.
 */
import {
  CLUSTER_PREFIX,
  checkpointNameOf,
  checkpointPrefix,
  clusterIdOf,
  leasePrefix,
  manifestOfKey,
  manifestPrefix,
  originKey,
  tableKey,
} from '../../../codec/bucket-layout.ts'
import { type CheckpointFile, decodeCheckpoint } from '../../../codec/checkpoint-file.ts'
import { type ClusterFile, decodeCluster } from '../../../codec/cluster-file.ts'
import { decodeLease, type LeaseFile } from '../../../codec/lease-file.ts'
import { decodeManifest, type Manifest } from '../../../codec/manifest.ts'
import { decodeOrigin, type OriginFile, sharedHistory } from '../../../codec/origin-file.ts'
import type { BucketAccess } from './bucket-access.ts'
import type { Found, Relative } from './decide.ts'

export interface Surroundings {
  foreignTables: Set<string>
  relatives: Relative[]
}

export async function readSurroundings(
  bucket: BucketAccess,
  domain: string,
): Promise<Surroundings> {
  const surroundings: Surroundings = { foreignTables: new Set(), relatives: [] }
  const own = await readOrigin(bucket, domain)
  for (const { clusterId, domains } of await readClusters(bucket)) {
    const isOwn = domains.includes(domain)
    for (const other of domains) {
      if (other === domain) continue
      const manifests = await readManifests(bucket, other)
      for (const { content } of manifests) {
        for (const table of content.tables) surroundings.foreignTables.add(tableKey(table))
      }
      // Domains of one cluster are no relatives of one another.
      const sharedUpTo = isOwn ? undefined : sharedHistory(own, await readOrigin(bucket, other))
      if (sharedUpTo === undefined) continue
      const leases = await readLeases(bucket, other)
      const checkpoints = await readCheckpoints(bucket, clusterId)
      surroundings.relatives.push({
        ...{ clusterId, domain: other, sharedUpTo, manifests, leases, checkpoints },
      })
    }
  }
  return surroundings
}

export async function readClusters(bucket: BucketAccess): Promise<ClusterFile[]> {
  const clusters: ClusterFile[] = []
  for (const { key } of await bucket.list(CLUSTER_PREFIX)) {
    const bytes = clusterIdOf(key) === undefined ? null : await bucket.get(key)
    if (bytes !== null) clusters.push(decodeCluster(bytes, key))
  }
  return clusters
}

/** Those of a domain that are in the bucket, committed or not. */
export function readManifests(bucket: BucketAccess, domain: string): Promise<Found<Manifest>[]> {
  const isManifest = (key: string): boolean => manifestOfKey(key) !== undefined
  return readAll(bucket, manifestPrefix(domain), isManifest, decodeManifest)
}

export function readLeases(bucket: BucketAccess, domain: string): Promise<Found<LeaseFile>[]> {
  return readAll(bucket, leasePrefix(domain), key => key.endsWith('.json'), decodeLease)
}

export function readCheckpoints(
  bucket: BucketAccess,
  clusterId: string,
): Promise<Found<CheckpointFile>[]> {
  const isCheckpoint = (key: string): boolean => checkpointNameOf(key) !== undefined
  return readAll(bucket, checkpointPrefix(clusterId), isCheckpoint, decodeCheckpoint)
}

async function readAll<T>(
  bucket: BucketAccess,
  prefix: string,
  isOne: (key: string) => boolean,
  decode: (bytes: Uint8Array, file: string) => T,
): Promise<Found<T>[]> {
  const found: Found<T>[] = []
  for (const object of await bucket.list(prefix)) {
    const { key } = object
    // Null when it has gone since it was listed: its own domain has collected it.
    const bytes = isOne(key) ? await bucket.get(key) : null
    if (bytes !== null) found.push({ object, content: decode(bytes, key) })
  }
  return found
}

async function readOrigin(bucket: BucketAccess, domain: string): Promise<OriginFile> {
  const key = originKey(domain)
  const bytes = await bucket.get(key)
  return bytes === null ? { domain, ancestors: [] } : decodeOrigin(bytes, key)
}
