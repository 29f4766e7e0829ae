/** ReadReplicaOptions: checked once, at open, and completed with their defaults. */
import { invalidRequest } from '../../codec/errors.ts'
import { type CheckedOptions, checkOptions, type MetastoreOptions } from '../options.ts'
import { checkNumber, checkObject, checkUuid } from '../requests/checks.ts'
import { show } from '../show.ts'

/** Those that are as Metastore.open takes them. */
const SHARED_OPTIONS = [
  'dataDir',
  'objectStore',
  's3',
  'logger',
  'workers',
  'ioThreads',
  'memtableBytesMax',
  'cacheBytesMax',
  'blockCacheBytesMax',
  'tableMemoryBytesMax',
  'readPath',
] as const
const OWN_OPTIONS = ['clusterId', 'refreshIntervalMs', 'leaseMs']

const REFRESH_INTERVAL_MS = 5_000
const LEASE_MS = 60_000
const LEASE_MS_MIN = 100
const TIMER_MS_MAX = 2 ** 31 - 1

/**
 * Of the options of Metastore: `dataDir` is a directory of the replica's own, for tables that reads
 * have fetched; `memtableBytesMax` should not be less than the cluster's.
 */
export interface ReadReplicaOptions
  extends Pick<MetastoreOptions, keyof MetastoreOptions & (typeof SHARED_OPTIONS)[number]> {
  /** UUID of the cluster to read. */
  clusterId: string
  /** Milliseconds from one look at the bucket to the next, at least 1. Default 5000. */
  refreshIntervalMs?: number
  /**
   * Milliseconds for which collection keeps what the replica reads by when nothing is heard of it
   * any more, at least 100. It is renewed every third of that. Default 60 000.
   */
  leaseMs?: number
}

export interface CheckedReplicaOptions {
  readonly clusterId: string
  readonly refreshIntervalMs: number
  readonly leaseMs: number
  readonly shared: CheckedOptions
}

/** @throws INVALID_REQUEST naming the option and its value */
export function checkReplicaOptions(options: ReadReplicaOptions): CheckedReplicaOptions {
  checkObject(options, 'options')
  const known: readonly string[] = [...SHARED_OPTIONS, ...OWN_OPTIONS]
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && !known.includes(name)) {
      throw invalidRequest(`option ${name} is none of a read replica's; it is ${show(value)}`)
    }
  }
  const { refreshIntervalMs = REFRESH_INTERVAL_MS, leaseMs = LEASE_MS, ...shared } = options
  checkUuid(options.clusterId, 'clusterId')
  return {
    clusterId: options.clusterId,
    refreshIntervalMs: checkNumber(refreshIntervalMs, 'refreshIntervalMs', TIMER_MS_MAX, 1),
    leaseMs: checkNumber(leaseMs, 'leaseMs', TIMER_MS_MAX, LEASE_MS_MIN),
    shared: checkOptions(shared),
  }
}
