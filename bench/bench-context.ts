/** What a bench is run with. */
import type { BenchBucket } from './buckets.ts'
import type { Case, Figure } from './measure.ts'
import type { WorkloadName } from './options.ts'
import type { Contender } from './peers/key-value-store.ts'

export interface BenchContext {
  /** Sizes for the tests: a few thousand rows. */
  isSmall: boolean
  rounds: number
  /** Rows of the workloads that compare. */
  rows: number
  peers: readonly Contender[]
  /** Whether etcd is there to be compared with. */
  hasEtcd: boolean
  /** A directory, and S3 where there is a server. */
  buckets: readonly BenchBucket[]
  /** A folder of the bench's own; it goes when the process ends. */
  directory: string
  wants: (workload: WorkloadName) => boolean
  /**
   * Measures cases and reports their figures. Cases that are given together are compared: each
   * round runs them in turn.
   */
  measure: (...cases: Case[]) => Promise<Figure[]>
}

/** A size of the full run, and that of the small one. */
export function sized(context: BenchContext, full: number, small: number): number {
  return context.isSmall ? small : full
}
