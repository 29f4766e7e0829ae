/** Numbers that depend on the seed alone, so that two threads can draw the same ones. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** 0 to 2^32 - 1 (Tommy Ettinger's mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let x = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return (x ^ (x >>> 14)) >>> 0
  }

  /** 0 to limit - 1. */
  below(limit: number): number {
    return Math.floor((this.next() / 4294967296) * limit)
  }
}

/** The same items in an order that depends on the seed. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  const random = new Random(seed)
  const result = [...items]
  for (let i = result.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const item = result[i]
    result[i] = result[j]
    result[j] = item
  }
  return result
}
