/**
 * cluster.json: what a cluster is, in the bucket and, the same text, in every dataDir
 * (docs/bucket-layout.md). Written once, at creation.
 */
import { corruption } from './errors.ts'
import { isUuid } from './uuid.ts'

export const CLUSTER_FORMAT = 'waymark-cluster'
export const CLUSTER_FILE_VERSION = 1
/** How topic partitions are spread over domains; an unknown name is an error. */
export const HASHING = 'murmur2'

export interface ClusterFile {
  clusterId: string
  hashing: typeof HASHING
  /** Domain uuids, by number; their count is the partition count. */
  domains: string[]
  /** Milliseconds since the epoch. */
  createdAt: number
  /** Node ids of the first voters, ascending; absent in a cluster of one. */
  founders?: number[]
}

export function encodeCluster(cluster: ClusterFile): Uint8Array {
  const text = JSON.stringify(
    { format: CLUSTER_FORMAT, version: CLUSTER_FILE_VERSION, ...cluster },
    undefined,
    2,
  )
  return new TextEncoder().encode(`${text}\n`)
}

/** @throws CORRUPTION naming `file` and the field */
export function decodeCluster(bytes: Uint8Array, file: string): ClusterFile {
  const value = parse(bytes, file)
  const expect = (ok: boolean, field: string): void => {
    if (!ok) throw corruption(`${file}: bad ${field}: ${JSON.stringify(value[field])}`, { file })
  }
  expect(value.format === CLUSTER_FORMAT, 'format')
  expect(value.version === CLUSTER_FILE_VERSION, 'version')
  expect(isUuid(value.clusterId), 'clusterId')
  expect(value.hashing === HASHING, 'hashing')
  const domains = value.domains
  expect(Array.isArray(domains) && domains.length > 0 && domains.every(isUuid), 'domains')
  expect(Number.isSafeInteger(value.createdAt), 'createdAt')
  const { founders } = value
  const areIds = Array.isArray(founders) && founders.length > 0 && founders.every(isNodeId)
  expect(founders === undefined || areIds, 'founders')
  return {
    clusterId: value.clusterId as string,
    hashing: HASHING,
    domains: domains as string[],
    createdAt: value.createdAt as number,
    ...(founders === undefined ? {} : { founders: founders as number[] }),
  }
}

function isNodeId(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0
}

function parse(bytes: Uint8Array, file: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch (error) {
    throw corruption(`${file} is not JSON: ${String(error)}`, { file })
  }
  throw corruption(`${file} is not a JSON object`, { file })
}
