/** What main asks of the I/O pool: a piscina task each, structured-cloned both ways. */
import type { MessagePort } from 'node:worker_threads'
import type { ErrorCode } from '../codec/errors.ts'
import type { ManifestName, TableDescription } from '../codec/manifest.ts'
import type { Tail, TailName } from '../codec/tail.ts'
import type { CollectedGarbage, GarbageTask, SweptObjects } from './garbage-tasks.ts'
import type { S3Location } from './s3-options.ts'

/** How an I/O thread reaches the bucket. */
export type StoreAccess =
  | { type: 'directory'; root: string }
  | { type: 's3'; location: S3Location }
  /** The store lives on the main thread; the port is transferred with the task. */
  | { type: 'port'; port: MessagePort }

/** How new tables are named and written. */
export interface TableNaming {
  /** UUID of the domain. */
  domain: string
  epoch: number
  /** Of the ids that were set aside; to take more is an error. */
  firstTableId: number
  lastTableId: number
  compression: 'lz4' | 'none'
  createdAt: number
}

/** Inclusive. */
export interface KeyRange {
  smallest: Uint8Array
  greatest: Uint8Array
}

/** Tasks that move no bulk: small objects, names and sizes (object-tasks.ts). */
export type ObjectTask =
  /** A new object; 'exists' when somebody else's is there. */
  | { type: 'create'; key: string; bytes: Uint8Array }
  /** Replaces a small object that nobody else writes to. */
  | { type: 'overwrite'; key: string; bytes: Uint8Array }
  /** Moves a domain's committed pointer forward; 'superseded' when it names a newer manifest. */
  | { type: 'moveCommitted'; manifest: ManifestName }
  | { type: 'read'; key: string }
  /** Deletes objects; one that is not there is no error. */
  | { type: 'remove'; keys: string[] }
  /** The keys below a prefix, ascending; with `after` only those greater. */
  | { type: 'keys'; prefix: string; after?: string | undefined }
  /** The objects' sizes in bytes, in the order of the keys; null for one that is not there. */
  | { type: 'sizes'; keys: string[] }

export type IoTask =
  | ObjectTask
  /** Memtable to tables, in the bucket and in the local cache at once. */
  | ({
      type: 'buildTables'
      memory: SharedArrayBuffer
      lastSequence: number
      /** Sequences of live snapshots. */
      snapshots: number[]
      cacheDirectory: string
    } & TableNaming)
  /** Tables to tables of one level, likewise. */
  | ({
      type: 'compactTables'
      inputs: TableDescription[]
      outputLevel: number
      below: KeyRange[]
      snapshots: number[]
      cacheDirectory: string
    } & TableNaming)
  | { type: 'listClusters' }
  /** A tail object, checked and decoded; null when it is not there. */
  | { type: 'readTail'; key: string }
  /** All of a table but its blocks, from the local cache or the bucket. */
  | { type: 'openTable'; table: TableDescription; cacheDirectory: string }
  /** A range of a table's blocks from the bucket, through the local cache. */
  | {
      type: 'fetchBlocks'
      table: TableDescription
      offset: number
      length: number
      cacheDirectory: string
    }
  | GarbageTask
  /** Puts committed row batches as a tail object, if it is not there already. */
  | ({ type: 'putTail' } & TailTask)
  /** How far a domain's tail objects reach without a gap after a sequence. */
  | { type: 'tailReach'; domain: string; after: number }

/** A tail object to put (workers/io/put-tail.ts). */
export interface TailTask {
  name: TailName
  clusterId: string
  /** Milliseconds since the epoch: the batches were committed before. */
  createdAt: number
  /** packBatches() of those from name.first to name.last. */
  batches: Uint8Array
  compression: 'lz4' | 'none'
}

/** A table that is in the bucket, and its memory (tables/table-memory.ts). */
export interface BuiltTable {
  description: TableDescription
  memory: SharedArrayBuffer
  /** Bytes of it in the local cache: all, or 0 when they could not be written. */
  cachedBytes: number
}

export interface OpenedTable {
  memory: SharedArrayBuffer
  /** What came from the bucket. */
  fetchedBytes: number
}

export interface IoResults {
  collectGarbage: CollectedGarbage
  deleteObjects: null
  sweepObjects: SweptObjects
  /** Bytes of the object. */
  putTail: number
  /** A sequence. */
  tailReach: number
  buildTables: BuiltTable[]
  compactTables: BuiltTable[]
  create: 'created' | 'exists'
  overwrite: null
  moveCommitted: 'moved' | 'superseded'
  read: Uint8Array | null
  remove: null
  keys: string[]
  sizes: (number | null)[]
  listClusters: string[]
  readTail: Tail | null
  openTable: OpenedTable
  fetchBlocks: SharedArrayBuffer
}

/** What a task comes back with; `details` is plain data. */
export type IoAnswer =
  | { value: unknown }
  | { error: { code: ErrorCode; message: string; details: unknown } }

export interface IoRequest {
  task: IoTask
  store: StoreAccess
  /** How long the bucket may take for one object, retries included. */
  deadlineMs: number
}
