/** How long calls took. */
export class Latencies {
  readonly #elapsedMs: number[] = []
  #isSorted = true

  record(elapsedMs: number): void {
    this.#elapsedMs.push(elapsedMs)
    this.#isSorted = false
  }

  /** Milliseconds that `fraction` (0 to 1) of the calls did not exceed; NaN of no calls. */
  percentileMs(fraction: number): number {
    if (!this.#isSorted) this.#elapsedMs.sort((a, b) => a - b)
    this.#isSorted = true
    const rank = Math.max(1, Math.ceil(fraction * this.#elapsedMs.length))
    return this.#elapsedMs[rank - 1] ?? Number.NaN
  }
}

export async function timed<T>(run: () => Promise<T>): Promise<{ result: T; elapsedMs: number }> {
  const startedAt = performance.now()
  const result = await run()
  return { result, elapsedMs: performance.now() - startedAt }
}
