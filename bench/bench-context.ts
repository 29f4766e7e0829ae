/** What a bench is run with. */
import type { Case } from './measure.ts'

export interface BenchContext {
  /** Sizes for the tests: a few thousand rows. */
  isSmall: boolean
  rounds: number
  /** A folder of the bench's own; it goes when the process ends. */
  directory: string
  /** Measures a case and reports its figure; cases run one after the other. */
  measure: (case_: Case) => Promise<void>
}

/** A size of the full run, and that of the small one. */
export function sized(context: BenchContext, full: number, small: number): number {
  return context.isSmall ? small : full
}
