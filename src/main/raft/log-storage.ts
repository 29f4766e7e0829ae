/**
 * What the core reads of its caller's storage. It never writes: that is asked for in a ready. All
 * calls are synchronous and see what the append side has finished, in order.
 */
import type { ConfState } from './configuration.ts'
import type { Entry, HardState, Snapshot } from './entry.ts'

export interface InitialState {
  /**
   * Undefined for a member that has never run. Its commit index may be old, but is at least what
   * the log implies (implied-commit.ts), and at most its last index.
   */
  readonly hardState: HardState | undefined
  readonly configuration: ConfState
}

export interface LogStorage {
  /** As of the start; the configuration is that of the newest applied entry. */
  initialState(): InitialState
  /** The first entry that was not cut off; 1 in a new log. */
  firstIndex(): number
  /** The last entry, or that of the snapshot when nothing is behind it. */
  lastIndex(): number
  /** The entry's term. Known for [firstIndex() - 1, lastIndex()]; undefined elsewhere. */
  term(index: number): number | undefined
  /**
   * The entries in [from, to), which are all there unless cut: as many as weigh at most `bytesMax`,
   * but at least one. The core does not write to them. Undefined when `from` was cut off.
   */
  entries(from: number, to: number, bytesMax: number): readonly Entry[] | undefined
  /** The newest snapshot, or undefined while there is none to send; the core asks again later. */
  snapshot(): Snapshot | undefined
}
