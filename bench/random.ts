/** Random numbers that are the same in every run: Marsaglia's xorshift, 32 bits. */
export class Random {
  #state: number

  /** @param seed not 0 */
  constructor(seed: number) {
    this.#state = seed
  }

  /** 0 to `limit` - 1. */
  below(limit: number): number {
    let state = this.#state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state
    return (state >>> 0) % limit
  }

  /** 0 to `length` - 1 in random order. */
  order(length: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, i) => i)
    for (let i = length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const swapped = order[i]
      order[i] = order[j]
      order[j] = swapped
    }
    return order
  }
}
