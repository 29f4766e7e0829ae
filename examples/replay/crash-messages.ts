/** What the child process that is to be killed is told, and what it tells. */
import type { Mismatch } from './mismatches.ts'
import type { NamedId } from './object-ids.ts'
import type { ReplayStore } from './options.ts'

/** The child's only argument, as JSON. */
export interface CrashTask {
  traceFolder: string
  /** Of the child's metastore. */
  folder: string
  inFlight: number
  workers?: number
  store?: ReplayStore
  operationsMax?: number
}

export type ChildMessage =
  /** First: the ids preregistered. */
  | { type: 'ids'; ids: NamedId[] }
  /** Indexes of operations, after their acknowledgement; and those not answered as expected. */
  | { type: 'acknowledged'; indexes: number[]; mismatches: readonly Mismatch[] }
