/** So many may work at once; the others wait their turn, first come, first served. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      // The place goes from hand to hand, so that nobody who comes later is before.
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}

/**
 * Does the work for all of them, so many at a time, begun in their order.
 * @returns what came of each, in the order of the items
 * @throws the first failure; what has begun goes on, and nothing else begins
 */
export async function inParallel<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T, i: number) => Promise<R>,
): Promise<R[]> {
  const slots = new Slots(atOnce)
  let hasFailed = false
  return await Promise.all(
    items.map((item, i) =>
      slots.run(async () => {
        if (hasFailed) throw new Error('another one has failed')
        try {
          return await work(item, i)
        } catch (error) {
          hasFailed = true
          throw error
        }
      }),
    ),
  )
}
