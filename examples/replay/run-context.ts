/** What both runs of the program share. */
import type { Mismatches } from './mismatches.ts'
import type { ReplayOptions } from './options.ts'
import type { Trace, TraceAnswers } from './trace.ts'
import type { Workspace } from './workspace.ts'

export interface RunContext {
  options: ReplayOptions
  trace: Trace
  answers: TraceAnswers
  /** False when only a part of the trace is replayed: the answers are those of the whole. */
  isWhole: boolean
  workspace: Workspace
  mismatches: Mismatches
  /** Tells people, in a line, what has been done. */
  say: (line: string) => void
}
