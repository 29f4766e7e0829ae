/** How long the calls of a round took. */
export class Latencies {
  readonly #elapsedMs: number[] = []

  record(elapsedMs: number): void {
    this.#elapsedMs.push(elapsedMs)
  }

  /** Microseconds that each of `fractions` (0 to 1) of the calls did not exceed. */
  percentilesUs(fractions: readonly number[]): number[] {
    const sorted = Float64Array.from(this.#elapsedMs).sort()
    return fractions.map(fraction => {
      const rank = Math.max(1, Math.ceil(fraction * sorted.length))
      return sorted[rank - 1] * 1000
    })
  }
}
