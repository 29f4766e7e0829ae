/** A clock that a test moves by hand; timers run inside of advance(). */
import type { Clock } from '../../../src/main/net/clock.ts'

export class ManualClock implements Clock {
  #nowMs = 1000
  readonly #timers = new Map<object, { dueMs: number; run: () => void }>()
  /** Of all timers that were ever set, in order. */
  readonly delaysMs: number[] = []

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    const key = {}
    this.delaysMs.push(delayMs)
    this.#timers.set(key, { dueMs: this.#nowMs + delayMs, run })
    return () => this.#timers.delete(key)
  }

  get timerCount(): number {
    return this.#timers.size
  }

  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs
    for (let next = this.#firstDue(untilMs); next !== undefined; next = this.#firstDue(untilMs)) {
      const [key, { dueMs, run }] = next
      this.#nowMs = Math.max(this.#nowMs, dueMs)
      this.#timers.delete(key)
      run()
    }
    this.#nowMs = untilMs
  }

  #firstDue(untilMs: number): [object, { dueMs: number; run: () => void }] | undefined {
    const due = [...this.#timers].filter(([, { dueMs }]) => dueMs <= untilMs)
    return due.sort(([, a], [, b]) => a.dueMs - b.dueMs).at(0)
  }
}
