/** What main asks of the I/O pool: one piscina task each, structured-cloned both ways. */
import type { MessagePort } from 'node:worker_threads'
import type { ErrorCode } from '../codec/errors.ts'
import type { TableDescription } from '../codec/manifest.ts'

/** How an I/O thread reaches the bucket. */
export type StoreAccess =
  | { type: 'directory'; root: string }
  /** The store lives on the main thread; the port is transferred with the task. */
  | { type: 'port'; port: MessagePort }

export type IoTask =
  /** Memtable to tables, in the bucket and in the local cache at once. */
  | {
      type: 'buildTables'
      memory: SharedArrayBuffer
      domain: string
      epoch: number
      firstTableId: number
      lastSequence: number
      compression: 'lz4' | 'none'
      createdAt: number
      cacheDirectory: string
    }
  /** A new object; 'exists' when somebody else's is there. */
  | { type: 'create'; key: string; bytes: Uint8Array }
  /** Moves a small object that points at others. */
  | { type: 'overwrite'; key: string; bytes: Uint8Array }
  | { type: 'read'; key: string }
  | { type: 'listClusters' }
  /** Makes sure that the local cache has these tables whole; `force` fetches them anyway. */
  | {
      type: 'fetchTables'
      tables: TableDescription[]
      cacheDirectory: string
      force: boolean
    }

export interface IoResults {
  buildTables: TableDescription[]
  create: 'created' | 'exists'
  overwrite: null
  read: Uint8Array | null
  listClusters: string[]
  /** Bytes fetched. */
  fetchTables: number
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
