/** What a restore has found, told to the caller and to the logger. */
import { manifestKey } from '../../codec/bucket-layout.ts'
import type { ClusterFile } from '../../codec/cluster-file.ts'
import type { RestoredDomain, RestoreReport } from '../../shared/api.ts'
import type { Logger } from '../logger.ts'
import type { FoundState } from './found-state.ts'
import type { RestoreRequest } from './restore-request.ts'
import type { TailWalk } from './tail-walk.ts'

/** @param groups by number, their tails walked to the end */
export function reportOf(
  { sourceId, at }: RestoreRequest,
  { clusterId }: ClusterFile,
  found: readonly FoundState[],
  groups: readonly { readonly tail: TailWalk }[],
): RestoreReport {
  const domains = found.map((state, domain) => domainOf(domain, state, groups[domain].tail))
  return { sourceId, clusterId, at, domains }
}

function domainOf(domain: number, state: FoundState, tail: TailWalk): RestoredDomain {
  const { manifest, notUsed, skipped } = state
  const tables = manifest?.tables ?? []
  const times = [manifest?.createdAt, tail.createdAt].filter(time => time !== undefined)
  return {
    domain,
    sourceDomain: state.domain,
    sequence: tail.reached,
    time: times.length === 0 ? null : Math.max(...times),
    manifest: manifest && manifestKey(manifest),
    tables: tables.length,
    tableBytes: tables.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    tailBatches: tail.batches,
    notUsed: [...notUsed, ...tail.notUsed()],
    skipped: skipped ?? tail.damage?.message ?? null,
  }
}

export function logReport({ domains, ...cluster }: RestoreReport, logger: Logger): void {
  for (const restored of domains) {
    const details = { ...cluster, ...restored }
    if (restored.skipped === null) logger.info(details, 'restored a metastore partition')
    else logger.warn(details, 'restored a metastore partition in part only')
  }
}
