/**
 * Names in the bucket and in the local cache (docs/bucket-layout.md). Numbers are 20 digits wide,
 * so that the order of names is the order of numbers.
 *
 *   cluster/{clusterId}/cluster.json
 *   domain/{domain}/manifest/{epoch}-{version}
 *   domain/{domain}/committed
 *   domain/{domain}/table/{epoch}-{id}.sst
 */
import type { ManifestName, TableDescription } from './manifest.ts'
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
