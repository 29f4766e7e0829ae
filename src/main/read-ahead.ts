/**
 * Reads what comes next before it is asked for, so that a walk over many small objects does not
 * wait for the bucket once an object. Of those that nobody has asked for, no more than a number are
 * kept, and none after end().
 */
export class ReadAhead<T, R> {
  readonly #order: readonly T[]
  readonly #places: ReadonlyMap<T, number>
  readonly #ahead: number
  readonly #read: (item: T) => Promise<R>
  readonly #begun = new Map<T, Promise<R>>()
  /** Place of the first that no read was begun for. */
  #next = 0

  /**
   * @param order in which they will be asked for, most likely
   * @param ahead reads under way or done, and not asked for, at most
   */
  constructor(order: readonly T[], ahead: number, read: (item: T) => Promise<R>) {
    this.#order = order
    this.#places = new Map(order.map((item, place) => [item, place]))
    this.#ahead = ahead
    this.#read = read
  }

  /** Any of them, once; and what is not in the order. @throws what its read fails with */
  read(item: T): Promise<R> {
    const place = this.#places.get(item)
    if (place !== undefined) this.#skipTo(place)
    const result = this.#begun.get(item) ?? this.#read(item)
    this.#begun.delete(item)
    while (this.#begun.size < this.#ahead && this.#next < this.#order.length) this.#beginNext()
    return result
  }

  /** The walk has ended: nothing more is begun, and nothing kept. */
  end(): void {
    this.#begun.clear()
    this.#next = this.#order.length
  }

  /** What was passed over is not asked for any more. */
  #skipTo(place: number): void {
    for (const item of this.#begun.keys()) {
      if ((this.#places.get(item) ?? 0) < place) this.#begun.delete(item)
    }
    if (this.#next <= place) this.#next = place + 1
  }

  #beginNext(): void {
    const item = this.#order[this.#next++]
    const result = this.#read(item)
    // Told to whoever asks for it, if anybody does.
    result.catch(() => {})
    this.#begun.set(item, result)
  }
}
