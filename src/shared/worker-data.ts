/** What main gives a partition worker at its start. */
import type { MessagePort } from 'node:worker_threads'

export interface PartitionWorkerData {
  worker: number
  workers: number
  clusterId: string
  /** Rings and control words (ring.ts, control.ts). */
  requests: SharedArrayBuffer
  responses: SharedArrayBuffer
  control: SharedArrayBuffer
  /** Brings memtables (messages.ts); each domain's first one is posted before the worker starts. */
  port: MessagePort
  domains: { domain: number; uuid: string }[]
  memtableBytesMax: number
  cacheDirectory: string
  /** Blocks that this worker keeps for all threads (tables/block-cache.ts). */
  blockCache: SharedArrayBuffer
}
