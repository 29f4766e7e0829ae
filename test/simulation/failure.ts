/** A seed that has failed, with what happened until then. */
export class SimulationFailure extends Error {
  override readonly name = 'SimulationFailure'
  readonly seed: number
  readonly transcript: readonly string[]

  constructor(seed: number, cause: unknown, transcript: readonly string[]) {
    const what = cause instanceof Error ? cause.message : String(cause)
    super(`seed ${seed}: ${what}`, { cause })
    this.seed = seed
    this.transcript = transcript
  }
}
