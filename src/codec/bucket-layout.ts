/**
 * Names in the bucket and in the local cache (docs/bucket-layout.md). Numbers are 20 digits wide,
 * so that the order of names is the order of numbers.
 *
 *   cluster/{clusterId}/cluster.json
 *   cluster/{clusterId}/checkpoint/{name}.json
 *   domain/{domain}/manifest/{epoch}-{version}
 *   domain/{domain}/committed
 *   domain/{domain}/origin.json
 *   domain/{domain}/table/{epoch}-{id}.sst
 *   domain/{domain}/tail/{epoch}-{first}-{last}
 *   domain/{domain}/lease/{readerId}.json
 *   object/{objectId}
 */
import type { ManifestName, TableDescription } from './manifest.ts'
import type { TailName } from './tail.ts'
import { isUuid } from './uuid.ts'

export const CLUSTER_PREFIX = 'cluster/'

function wide(value: number): string {
  return String(value).padStart(20, '0')
}

export function clusterKey(clusterId: string): string {
  return `${CLUSTER_PREFIX}${clusterId}/cluster.json`
}

/** The cluster id in a key that clusterKey() made. */
export function clusterIdOf(key: string): string | undefined {
  const id = /^cluster\/([^/]+)\/cluster\.json$/.exec(key)?.[1]
  return isUuid(id) ? id : undefined
}

export function manifestKey({ domain, epoch, version }: ManifestName): string {
  return `domain/${domain}/manifest/${wide(epoch)}-${wide(version)}`
}

export function manifestPrefix(domain: string): string {
  return `domain/${domain}/manifest/`
}

/** The manifest that a key of manifestKey() names. */
export function manifestOfKey(key: string): ManifestName | undefined {
  const [, domain, epoch, version] =
    /^domain\/([^/]+)\/manifest\/(\d{20})-(\d{20})$/.exec(key) ?? []
  return isUuid(domain) ? { domain, epoch: Number(epoch), version: Number(version) } : undefined
}

/** The pointer that is moved after a manifest's commit: what makes a manifest findable. */
export function committedKey(domain: string): string {
  return `domain/${domain}/committed`
}

/** Of a restored domain: which ones it descends from. */
export function originKey(domain: string): string {
  return `domain/${domain}/origin.json`
}

/** Also the path of the table in the local cache. */
export function tableKey({
  domain,
  epoch,
  id,
}: Pick<TableDescription, 'domain' | 'epoch' | 'id'>): string {
  return `domain/${domain}/table/${wide(epoch)}-${wide(id)}.sst`
}

export function tablePrefix(domain: string): string {
  return `domain/${domain}/table/`
}

/** The table that a key of tableKey() names. */
export function tableOfKey(
  key: string,
): Pick<TableDescription, 'domain' | 'epoch' | 'id'> | undefined {
  const [, domain, epoch, id] = /^domain\/([^/]+)\/table\/(\d{20})-(\d{20})\.sst$/.exec(key) ?? []
  return isUuid(domain) ? { domain, epoch: Number(epoch), id: Number(id) } : undefined
}

/** A checkpoint's name: it is part of a key. */
export function isCheckpointName(name: unknown): name is string {
  return typeof name === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(name)
}

export function checkpointKey(clusterId: string, name: string): string {
  return `${checkpointPrefix(clusterId)}${name}.json`
}

export function checkpointPrefix(clusterId: string): string {
  return `${CLUSTER_PREFIX}${clusterId}/checkpoint/`
}

/** The name in a key that checkpointKey() made. */
export function checkpointNameOf(key: string): string | undefined {
  const name = /^cluster\/[^/]+\/checkpoint\/([^/]+)\.json$/.exec(key)?.[1]
  return isCheckpointName(name) ? name : undefined
}

export function tailKey({ domain, epoch, first, last }: TailName): string {
  return `${tailPrefix(domain)}${wide(epoch)}-${wide(first)}-${wide(last)}`
}

export function tailPrefix(domain: string): string {
  return `domain/${domain}/tail/`
}

/** The tail object that a key of tailKey() names. */
export function tailOfKey(key: string): TailName | undefined {
  const [, domain, epoch, first, last] =
    /^domain\/([^/]+)\/tail\/(\d{20})-(\d{20})-(\d{20})$/.exec(key) ?? []
  if (!isUuid(domain)) return undefined
  return { domain, epoch: Number(epoch), first: Number(first), last: Number(last) }
}

export function leaseKey(domain: string, readerId: string): string {
  return `${leasePrefix(domain)}${readerId}.json`
}

export function leasePrefix(domain: string): string {
  return `domain/${domain}/lease/`
}

export const OBJECT_PREFIX = 'object/'

/** An object of the caller's, whose extents the metastore knows. */
export function objectKey(objectId: string): string {
  return `${OBJECT_PREFIX}${objectId}`
}

/** The object id in a key that objectKey() made. */
export function objectIdOf(key: string): string | undefined {
  const id = key.startsWith(OBJECT_PREFIX) ? key.slice(OBJECT_PREFIX.length) : undefined
  return isUuid(id) ? id : undefined
}
