/** MetastoreOptions: checked once, at open, and completed with their defaults. */
import { availableParallelism } from 'node:os'
import { invalidRequest } from '../codec/errors.ts'
import { isUuid } from '../codec/uuid.ts'
import { MEMTABLE_BYTES_MIN } from '../shared/memtable.ts'
import type { ObjectStore } from '../shared/object-store.ts'
import type { S3Options } from '../shared/s3-options.ts'
import {
  type CheckedCluster,
  type ClusterOptions,
  checkCluster,
} from './cluster/cluster-options.ts'
import type { Logger } from './logger.ts'
import { type StoreLocation, storeLocation } from './object-stores/store-location.ts'
import { show } from './show.ts'

export interface MetastoreOptions {
  // ---------------------------------------------------------------- behaviour
  /** Directory of the Raft log, hard state and SSTable cache; created when absent. One owner. */
  dataDir: string
  /** 'file:./bucket', 's3://bucket/prefix', 'memory:name' or an implementation. */
  objectStore: string | ObjectStore
  /** How 's3://' is reached; what is not given comes from where the AWS SDK looks by itself. */
  s3?: S3Options
  /** Metastore partitions, 1 to 1024; fixed when the cluster is created. Default 8. */
  partitions?: number
  /** 'fsync' (default): acknowledged = on disk. 'os': handed to the operating system. */
  durability?: 'fsync' | 'os'
  /** UUID. Default: made at creation, kept in dataDir and in the bucket. */
  clusterId?: string
  /** Default silent. */
  logger?: Logger
  /** Absent: a cluster of one. */
  cluster?: ClusterOptions
  // ---------------------------------------------------------------- performance
  /** Partition worker threads. Default max(1, cores - 1), at most `partitions`. */
  workers?: number
  /** Threads of the I/O pool, 1 to 64. Default 1 to 2. */
  ioThreads?: { min?: number; max?: number }
  /** Milliseconds between flushes: the recovery point without tail shipping. Default 600 000. */
  flushIntervalMs?: number
  /**
   * Milliseconds between two shipments of what was committed and not flushed, as small objects: the
   * recovery point of a lost disk. Each metastore partition that was written to costs a put an
   * interval. Default 5 000; null: none are made, and the recovery point is the flush interval.
   */
  tailIntervalMs?: number | null
  /** Bytes of a memtable that start a flush, 64 KiB to 1 GiB a partition. Default 32 MiB. */
  memtableBytesMax?: number
  /** Bytes of the log on disk that start flushes, so that it can be cut. Default 1 GiB. */
  logBytesMax?: number
  /** Bytes of SSTables in the local cache, which is in dataDir. Default 4 GiB. */
  cacheBytesMax?: number
  /** Bytes of decompressed SSTable blocks kept in memory. Default 64 MiB. */
  blockCacheBytesMax?: number
  /** Bytes of SSTables' indexes and filters kept in memory. Default 256 MiB. */
  tableMemoryBytesMax?: number
  /** Of SSTable blocks. Default 'lz4'. */
  compression?: 'lz4' | 'none'
  /**
   * Milliseconds that whatever is in the bucket stays there after nothing refers to it any more,
   * for those who began to read by it. Default one hour.
   */
  garbageDelayMs?: number
  /** Milliseconds between looks for garbage; null: only on request. Default 600 000. */
  garbageIntervalMs?: number | null
  /** Milliseconds in which a preregistered object must be committed. Default one hour. */
  preregistrationTtlMs?: number
  /**
   * Where reads run that need memory only: 'auto' (default) on the calling thread while none of the
   * domain's writes is in flight; 'worker' always on the worker, which leaves the event loop more
   * room.
   */
  readPath?: 'auto' | 'worker'
}

export interface CheckedOptions {
  dataDir: string
  objectStore: StoreLocation
  /** Undefined: take what the cluster has, or the default. */
  partitions: number | undefined
  durability: 'fsync' | 'os'
  clusterId: string | undefined
  logger: Logger
  /** Undefined: a cluster of one. */
  cluster: CheckedCluster | undefined
  workers: number
  ioThreads: { min: number; max: number }
  flushIntervalMs: number
  /** null: tails are not shipped. */
  tailIntervalMs: number | null
  memtableBytesMax: number
  logBytesMax: number
  cacheBytesMax: number
  blockCacheBytesMax: number
  tableMemoryBytesMax: number
  compression: 'lz4' | 'none'
  garbageDelayMs: number
  /** Null: never. */
  garbageIntervalMs: number | null
  preregistrationTtlMs: number
  readPath: 'auto' | 'worker'
}

export const PARTITIONS_DEFAULT = 8
const PARTITIONS_MAX = 1024
/** What one process can map. */
const BLOCK_CACHE_BYTES_MOST: number = 2 ** 36
const TIMER_MS_MAX = 2 ** 31 - 1
const MIB = 1024 * 1024

const SILENT: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }
function ignore(): void {}

const KNOWN: ReadonlySet<string> = new Set([
  'dataDir',
  'objectStore',
  's3',
  'partitions',
  'durability',
  'clusterId',
  'logger',
  'workers',
  'ioThreads',
  'flushIntervalMs',
  'tailIntervalMs',
  'memtableBytesMax',
  'logBytesMax',
  'cacheBytesMax',
  'blockCacheBytesMax',
  'tableMemoryBytesMax',
  'compression',
  'garbageDelayMs',
  'garbageIntervalMs',
  'preregistrationTtlMs',
  'readPath',
  'cluster',
  'from',
])

/** @throws INVALID_REQUEST naming the option and its value */
export function checkOptions(options: MetastoreOptions): CheckedOptions {
  if (typeof options !== 'object' || options === null) {
    throw invalidRequest(`options must be an object, not ${show(options)}`)
  }
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && !KNOWN.has(name))
      throw invalidRequest(`option ${name} is not known to this version; it is ${show(value)}`)
  }
  if (typeof options.dataDir !== 'string' || options.dataDir === '') {
    throw invalidRequest(`dataDir must be a path, not ${show(options.dataDir)}`)
  }
  if (options.clusterId !== undefined && !isUuid(options.clusterId)) {
    throw invalidRequest(`clusterId must be a lower-case UUID, not ${show(options.clusterId)}`)
  }
  const partitions =
    options.partitions === undefined
      ? undefined
      : integer(options.partitions, 'partitions', 1, PARTITIONS_MAX)
  const min = integer(options.ioThreads?.min ?? 1, 'ioThreads.min', 1, 64)
  return {
    dataDir: options.dataDir,
    objectStore: storeLocation(options.objectStore, options.s3),
    partitions,
    durability: oneOf(options.durability, 'durability', ['fsync', 'os']),
    clusterId: options.clusterId,
    logger: checkLogger(options.logger),
    cluster: options.cluster === undefined ? undefined : checkCluster(options.cluster),
    workers: integer(
      options.workers ?? Math.max(1, availableParallelism() - 1),
      'workers',
      1,
      PARTITIONS_MAX,
    ),
    ioThreads: {
      min,
      max: integer(options.ioThreads?.max ?? Math.max(2, min), 'ioThreads.max', min, 64),
    },
    flushIntervalMs: integer(
      options.flushIntervalMs ?? 600_000,
      'flushIntervalMs',
      1,
      TIMER_MS_MAX,
    ),
    tailIntervalMs: checkTailInterval(options.tailIntervalMs),
    memtableBytesMax: integer(
      options.memtableBytesMax ?? 32 * MIB,
      'memtableBytesMax',
      MEMTABLE_BYTES_MIN,
      1024 * MIB,
    ),
    logBytesMax: bytes(options, 'logBytesMax', 1024 * MIB),
    cacheBytesMax: bytes(options, 'cacheBytesMax', 4096 * MIB),
    blockCacheBytesMax: bytes(options, 'blockCacheBytesMax', 64 * MIB, BLOCK_CACHE_BYTES_MOST),
    tableMemoryBytesMax: bytes(options, 'tableMemoryBytesMax', 256 * MIB),
    compression: oneOf(options.compression, 'compression', ['lz4', 'none']),
    garbageDelayMs: integer(
      options.garbageDelayMs ?? 3_600_000,
      'garbageDelayMs',
      0,
      Number.MAX_SAFE_INTEGER,
    ),
    garbageIntervalMs:
      options.garbageIntervalMs === null
        ? null
        : integer(options.garbageIntervalMs ?? 600_000, 'garbageIntervalMs', 1, TIMER_MS_MAX),
    preregistrationTtlMs: integer(
      options.preregistrationTtlMs ?? 3_600_000,
      'preregistrationTtlMs',
      0,
      Number.MAX_SAFE_INTEGER,
    ),
    readPath: oneOf(options.readPath, 'readPath', ['auto', 'worker']),
  }
}

function checkTailInterval(value: number | null | undefined): number | null {
  return value === null ? null : integer(value ?? 5_000, 'tailIntervalMs', 1, TIMER_MS_MAX)
}

function checkLogger(logger: Logger | undefined): Logger {
  if (logger === undefined) return SILENT
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    if (typeof logger[level] !== 'function') throw invalidRequest(`logger has no method ${level}`)
  }
  return logger
}

function integer(value: unknown, name: string, least: number, most: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    throw invalidRequest(`${name} must be an integer from ${least} to ${most}, not ${show(value)}`)
  }
  return value as number
}

function bytes(
  options: MetastoreOptions,
  name: 'logBytesMax' | 'cacheBytesMax' | 'blockCacheBytesMax' | 'tableMemoryBytesMax',
  otherwise: number,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  return integer(options[name] ?? otherwise, name, 0, most)
}

/** The first of `allowed` is the default. */
function oneOf<T extends string>(
  value: T | undefined,
  name: string,
  allowed: readonly [T, ...T[]],
): T {
  if (value === undefined) return allowed[0]
  if (allowed.includes(value)) return value
  throw invalidRequest(`${name} must be one of ${allowed.join(', ')}, not ${show(value)}`)
}
