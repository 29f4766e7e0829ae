/**
 * How far a domain is on this node: the newest entry of its log whose effects every read here sees,
 * and who waits for one. Main thread.
 */

interface Waiter {
  readonly index: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class Progress {
  #waiters: Waiter[] = []
  #failure: Error | undefined
  index = 0

  /** Resolves when the entry at `index` has taken effect. */
  reached(index: number): Promise<void> {
    if (index <= this.index) return Promise.resolve()
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => this.#waiters.push({ index, resolve, reject }))
  }

  advance(index: number): void {
    if (index <= this.index) return
    this.index = index
    if (this.#waiters.length === 0) return
    const due = this.#waiters.filter(waiter => waiter.index <= index)
    this.#waiters = this.#waiters.filter(waiter => waiter.index > index)
    for (const { resolve } of due) resolve()
  }

  /** Those who wait now are refused; what they wait for may still come. */
  refuse(reason: Error): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const { reject } of waiters) reject(reason)
  }

  /** Nothing more will come. */
  fail(reason: Error): void {
    this.#failure ??= reason
    this.refuse(reason)
  }
}
