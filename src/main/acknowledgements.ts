/**
 * Answers of one domain that wait: for the commit of the sequence they were computed at, and then,
 * while flushes and compactions are behind, for their turn at a slower pace (write-throttle.ts).
 *
 * Invariants
 *  1. An answer is released once the sequence it was computed at is visible, so nobody is told of
 *     rows that may still be lost.
 *  2. A committed write whose acknowledgement is held back is never refused any more: close() and
 *     failures release it at once.
 */
import { MetastoreError } from '../codec/errors.ts'
import { type Call, unanswered } from './calls.ts'
import { Queue } from './queue.ts'
import type { WriteThrottle } from './storage/write-throttle.ts'

interface Waiting {
  sequence: number
  call: Call
  outcome: unknown
  /** Of the batch; 0 for what changed nothing. */
  sizeBytes: number
}

interface Held {
  dueAt: number
  call: Call
  outcome: unknown
  sizeBytes: number
}

export class Acknowledgements {
  readonly #throttle: WriteThrottle
  readonly #now: () => number
  readonly #waiting = new Queue<Waiting>()
  readonly #held = new Queue<Held>()
  #timer: NodeJS.Timeout | undefined
  /** Bytes of batches that were not acknowledged yet. */
  unacknowledgedBytes = 0
  /** Writes sent and not yet answered. */
  writesUnderWay = 0

  /** @param now the throttle's clock */
  constructor(throttle: WriteThrottle, now: () => number) {
    this.#throttle = throttle
    this.#now = now
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#held.length === 0
  }

  /** Answers that wait for a commit. */
  get waitingCount(): number {
    return this.#waiting.length
  }

  /** The answer to a batch that was proposed. */
  proposed(sequence: number, call: Call, outcome: unknown, sizeBytes: number): void {
    this.unacknowledgedBytes += sizeBytes
    this.#waiting.push({ sequence, call, outcome, sizeBytes })
  }

  /** An answer that changed nothing, computed at `sequence`. */
  answered(sequence: number, call: Call, outcome: unknown, visible: number): void {
    if (sequence <= visible && this.#waiting.length === 0) this.#release(call, outcome)
    else this.#waiting.push({ sequence, call, outcome, sizeBytes: 0 })
  }

  /** The write was sent by an earlier leadership: it is not, and will not be, in the log. */
  refuse(call: Call, reason: MetastoreError): void {
    this.#release(call, reason)
  }

  /** Everything up to `visible` is committed. */
  committed(visible: number): void {
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      if (next.sequence > visible) break
      this.#waiting.shift()
      const { call, outcome, sizeBytes } = next
      if (sizeBytes > 0 && this.#throttle.isSlowing) this.#hold(call, outcome, sizeBytes)
      else this.#acknowledge(call, outcome, sizeBytes)
    }
  }

  /** Releases at once what is only held back. */
  releaseHeld(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (let next = this.#held.shift(); next !== undefined; next = this.#held.shift()) {
      this.#acknowledge(next.call, next.outcome, next.sizeBytes)
    }
  }

  /** Nothing more will be committed: writes under way may or may not count. */
  fail(reason: MetastoreError): void {
    this.releaseHeld()
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const { call, sizeBytes } = next
      this.unacknowledgedBytes -= sizeBytes
      this.#release(call, unanswered(call.isWrite, reason))
    }
  }

  #hold(call: Call, outcome: unknown, sizeBytes: number): void {
    this.#held.push({ dueAt: this.#throttle.dueAt(sizeBytes), call, outcome, sizeBytes })
    if (this.#timer === undefined) this.#arm()
  }

  #arm(): void {
    const next = this.#held.peek()
    if (next === undefined) return
    this.#timer = setTimeout(() => this.#releaseDue(), Math.max(1, next.dueAt - this.#now()))
  }

  #releaseDue(): void {
    this.#timer = undefined
    const now = this.#now()
    for (let next = this.#held.peek(); next !== undefined; next = this.#held.peek()) {
      // As soon as nothing is behind any more, nobody waits.
      if (this.#throttle.isSlowing && next.dueAt > now) break
      this.#held.shift()
      this.#acknowledge(next.call, next.outcome, next.sizeBytes)
    }
    this.#arm()
  }

  #acknowledge(call: Call, outcome: unknown, sizeBytes: number): void {
    this.unacknowledgedBytes -= sizeBytes
    this.#release(call, outcome)
  }

  #release(call: Call, outcome: unknown): void {
    if (call.isWrite) this.writesUnderWay--
    if (outcome instanceof MetastoreError) call.reject(outcome)
    else call.resolve(outcome)
  }
}
