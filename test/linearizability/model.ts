/** What an output may be: compared by ===, so richer answers are written as a string. */
export type Answer = string | number | boolean | null

/**
 * The object as one client alone would see it: a deterministic function of state and input. States
 * are immutable, and best strings or numbers: that two are === spares the checker much work, though
 * it is right without.
 */
export interface Model<State, Input, Output extends Answer> {
  readonly initial: State
  apply(state: State, input: Input): { state: State; output: Output }
  /**
   * With this answer the operation has changed nothing, whatever the state was: a read, a cas that
   * failed. Not a write of the value that is there already, which elsewhere would change it.
   */
  isReadOnly(input: Input, output: Output): boolean
  /** Equal for equal states and for no others. */
  fingerprint(state: State): string
  /**
   * Where operations touch one key each and keys do not touch one another: the key. State is then
   * that of one key. A history is linearizable if and only if it is so for each key (Herlihy & Wing
   * 1990, section 3.3, locality), which is far cheaper to check.
   */
  keyOf?(input: Input): string
}
