/**
 * What else of the bucket bears on a domain's garbage: the other domains, whose manifests may refer
 * to its tables, and of those its relatives, which share objects of callers with it.
 */
import {
  CLUSTER_PREFIX,
  clusterIdOf,
  manifestOfKey,
  manifestPrefix,
  originKey,
  tableKey,
} from '../../../codec/bucket-layout.ts'
import { type ClusterFile, decodeCluster } from '../../../codec/cluster-file.ts'
import { decodeManifest, type Manifest } from '../../../codec/manifest.ts'
import { decodeOrigin, type OriginFile, sharedHistory } from '../../../codec/origin-file.ts'
import type { BucketAccess } from './bucket-access.ts'
import type { Found } from './decide.ts'

export interface Surroundings {
  foreignTables: Set<string>
  sharedUpTo: number
}

export async function readSurroundings(
  bucket: BucketAccess,
  domain: string,
): Promise<Surroundings> {
  const surroundings = { foreignTables: new Set<string>(), sharedUpTo: Number.MAX_SAFE_INTEGER }
  const clusters = await readClusters(bucket)
  const own = await readOrigin(bucket, domain)
  for (const { domains } of clusters) {
    const isOwn = domains.includes(domain)
    for (const other of domains) {
      if (other === domain) continue
      for (const { content } of await readManifests(bucket, other)) {
        for (const table of content.tables) surroundings.foreignTables.add(tableKey(table))
      }
      // Domains of one cluster are no relatives of one another.
      const shared = isOwn ? undefined : sharedHistory(own, await readOrigin(bucket, other))
      surroundings.sharedUpTo = Math.min(surroundings.sharedUpTo, shared ?? Infinity)
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
export async function readManifests(
  bucket: BucketAccess,
  domain: string,
): Promise<Found<Manifest>[]> {
  const found: Found<Manifest>[] = []
  for (const object of await bucket.list(manifestPrefix(domain))) {
    const { key } = object
    // Null when it has gone since it was listed: its own domain has collected it.
    const bytes = manifestOfKey(key) === undefined ? null : await bucket.get(key)
    if (bytes !== null) found.push({ object, content: decodeManifest(bytes, key) })
  }
  return found
}

async function readOrigin(bucket: BucketAccess, domain: string): Promise<OriginFile> {
  const key = originKey(domain)
  const bytes = await bucket.get(key)
  return bytes === null ? { domain, ancestors: [] } : decodeOrigin(bytes, key)
}
