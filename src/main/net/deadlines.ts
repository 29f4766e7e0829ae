/** Deadlines: one timer for everything that must happen by a time. */
import type { Clock } from './clock.ts'

/** Deadlines pass up to so much late, so that the timer fires at most so often. */
const GRAIN_MS = 10

export interface Due {
  /** By the clock's nowMs(). */
  readonly dueMs: number
  /** It is not waited for any more when this is called. */
  expire(): void
}

export class Deadlines {
  readonly #clock: Clock
  readonly #waiting = new Set<Due>()
  #firesAtMs = Number.POSITIVE_INFINITY
  #cancel: () => void = () => {}

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(due: Due): void {
    this.#waiting.add(due)
    if (due.dueMs < this.#firesAtMs) this.#arm(due.dueMs)
  }

  delete(due: Due): void {
    this.#waiting.delete(due)
    if (this.#waiting.size === 0) this.#disarm()
  }

  /** At most once in GRAIN_MS, so looking through all of them is cheap enough. */
  #fire(): void {
    this.#disarm()
    const now = this.#clock.nowMs()
    const expired = [...this.#waiting].filter(due => due.dueMs <= now)
    for (const due of expired) this.#waiting.delete(due)
    let next = Number.POSITIVE_INFINITY
    for (const { dueMs } of this.#waiting) next = Math.min(next, dueMs)
    if (this.#waiting.size > 0) this.#arm(next)
    for (const due of expired) due.expire()
  }

  #arm(dueMs: number): void {
    this.#disarm()
    this.#firesAtMs = Math.ceil(dueMs / GRAIN_MS) * GRAIN_MS
    const delayMs = Math.max(0, this.#firesAtMs - this.#clock.nowMs())
    this.#cancel = this.#clock.after(delayMs, () => this.#fire())
  }

  #disarm(): void {
    this.#cancel()
    this.#cancel = () => {}
    this.#firesAtMs = Number.POSITIVE_INFINITY
  }
}
