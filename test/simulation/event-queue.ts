/** Virtual time: what is to happen, in order of its time, and of its making where that is equal. */

interface Event {
  readonly atMs: number
  readonly number: number
  readonly run: () => void
}

export class EventQueue {
  nowMs = 0
  /** A binary heap: no event is before the one at half its position. */
  readonly #heap: Event[] = []
  #made = 0

  after(delayMs: number, run: () => void): void {
    const event = { atMs: this.nowMs + delayMs, number: this.#made++, run }
    const heap = this.#heap
    let at = heap.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, heap[parent])) break
      heap[at] = heap[parent]
      at = parent
    }
    heap[at] = event
  }

  /** Everything that happens until then. */
  runUntil(endMs: number): void {
    for (let run = this.takeNext(endMs); run !== undefined; run = this.takeNext(endMs)) run()
  }

  /** Goes to the next event until then, which is to be run; undefined when there is none. */
  takeNext(endMs: number): (() => void) | undefined {
    if (this.#heap.length === 0 || this.#heap[0].atMs > endMs) {
      this.nowMs = endMs
      return undefined
    }
    const next = this.#takeFirst()
    this.nowMs = next.atMs
    return next.run
  }

  #takeFirst(): Event {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++
      if (!isBefore(heap[child], last)) break
      heap[at] = heap[child]
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number)
}
