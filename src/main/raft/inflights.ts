/**
 * The appends on their way to one follower, oldest first: the window of the flow control. Holds at
 * most `countMax` messages and stops taking more at `bytesMax` of payload.
 */
export class Inflights {
  readonly #countMax: number
  readonly #bytesMax: number
  /** A ring: last index and bytes of each message. Grows up to #countMax slots. */
  #indexes: number[] = []
  #bytes: number[] = []
  #first = 0
  #count = 0
  #sumBytes = 0

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax
    this.#bytesMax = bytesMax
  }

  get count(): number {
    return this.#count
  }

  get isFull(): boolean {
    return this.#count === this.#countMax || this.#sumBytes >= this.#bytesMax
  }

  /** A message whose last entry is `index` was sent. Never called when full. */
  add(index: number, bytes: number): void {
    if (this.isFull) throw new Error('an append was sent though the window is full')
    if (this.#count === this.#indexes.length) this.#grow()
    const slot = (this.#first + this.#count) % this.#indexes.length
    this.#indexes[slot] = index
    this.#bytes[slot] = bytes
    this.#count++
    this.#sumBytes += bytes
  }

  /** The follower has everything up to `index`. */
  freeUpTo(index: number): void {
    while (this.#count > 0 && this.#indexes[this.#first] <= index) {
      this.#sumBytes -= this.#bytes[this.#first]
      this.#first = (this.#first + 1) % this.#indexes.length
      this.#count--
    }
  }

  reset(): void {
    this.#first = 0
    this.#count = 0
    this.#sumBytes = 0
  }

  #grow(): void {
    const size = Math.min(this.#countMax, Math.max(4, this.#indexes.length * 2))
    const at = (i: number): number => (this.#first + i) % this.#indexes.length
    const places = Array.from({ length: this.#count }, (_, i) => at(i))
    const indexes = new Array<number>(size).fill(0)
    const bytes = new Array<number>(size).fill(0)
    places.forEach((place, i) => {
      indexes[i] = this.#indexes[place]
      bytes[i] = this.#bytes[place]
    })
    this.#indexes = indexes
    this.#bytes = bytes
    this.#first = 0
  }
}
