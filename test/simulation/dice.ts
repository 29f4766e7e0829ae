/** Everything that a simulation draws comes from here, so its seed decides all of it. */
import { Random } from '../shared/random.ts'

export class Dice {
  readonly #random: Random

  constructor(seed: number) {
    // Seeds that follow each other must not draw alike: the first numbers are thrown away.
    this.#random = new Random(Math.imul(seed, 0x9e3779b1))
    for (let i = 0; i < 4; i++) this.#random.next()
  }

  /** A generator of its own: what it draws does not depend on what others draw. */
  fork(): Dice {
    return new Dice(this.#random.next())
  }

  /** 0 to limit - 1. */
  below(limit: number): number {
    return this.#random.below(limit)
  }

  /** low to high, both inclusive. */
  whole(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** Anywhere in [low, high). */
  between(low: number, high: number): number {
    return low + (this.#random.next() / 4294967296) * (high - low)
  }

  chance(percent: number): boolean {
    return this.between(0, 100) < percent
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]
  }

  /** Each item with a probability of one half. */
  some<T>(items: readonly T[]): T[] {
    return items.filter(() => this.below(2) === 0)
  }
}
