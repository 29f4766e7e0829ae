/**
 * Slows the writes of a domain down before they have to be refused. While flushes and compactions
 * keep up, nothing waits. As level 0 grows from SLOW_TABLES to STOP_TABLES, or memtables pile up,
 * acknowledgements are paced to a rate that falls from RATE_MAX to RATE_MIN; past that, and for
 * callers that do not wait for their acknowledgements, writes are refused as OVERLOADED.
 *
 * Pacing the acknowledgement, not the write, keeps the order of calls: everything that was accepted
 * goes on its way at once. (RocksDB's write controller delays writes by the same figure.)
 */

/** Tables of level 0 at which writes begin to slow, and at which they are refused. */
export const L0_SLOW_TABLES = 8
export const L0_STOP_TABLES = 16
/** The same of memtables that wait for the bucket. */
export const FROZEN_SLOW = 2
export const FROZEN_STOP = 4

const RATE_MAX_BYTES_S = 16 * 1024 * 1024
const RATE_MIN_BYTES_S = 1024 * 1024
/** Of acknowledgements that are due later; more are not promised. */
export const DELAY_MAX_MS = 1000

export class WriteThrottle {
  readonly #now: () => number
  /** Bytes a second; infinite while nothing is behind. */
  #rate = Number.POSITIVE_INFINITY
  /** When the acknowledgements promised so far are all due; a time of #now. */
  #promisedUntil = 0

  /** @param now a monotonic clock in milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  /** How far flushes and compactions are behind, after every change of it. */
  update(level0Tables: number, frozenMemtables: number): void {
    const debt = Math.max(
      share(level0Tables, L0_SLOW_TABLES, L0_STOP_TABLES),
      share(frozenMemtables, FROZEN_SLOW, FROZEN_STOP),
    )
    if (debt === 0) {
      this.#rate = Number.POSITIVE_INFINITY
      this.#promisedUntil = 0
    } else {
      // Geometric: each step of debt slows by the same factor.
      this.#rate = RATE_MAX_BYTES_S * (RATE_MIN_BYTES_S / RATE_MAX_BYTES_S) ** debt
    }
  }

  get isSlowing(): boolean {
    return this.#rate !== Number.POSITIVE_INFINITY
  }

  /** Milliseconds until a write could be acknowledged that is made now; 0 while nothing slows. */
  get delayMs(): number {
    return this.isSlowing ? Math.max(0, this.#promisedUntil - this.#now()) : 0
  }

  /** Takes `sizeBytes` of the rate. @returns when to acknowledge them, a time of the clock */
  dueAt(sizeBytes: number): number {
    const now = this.#now()
    if (!this.isSlowing) return now
    this.#promisedUntil = Math.max(this.#promisedUntil, now) + (sizeBytes / this.#rate) * 1000
    return this.#promisedUntil
  }
}

/** From 0 at `slow` (and before) to 1 at `stop`; the first step past `slow` counts. */
function share(value: number, slow: number, stop: number): number {
  return Math.min(1, Math.max(0, (value - slow + 1) / (stop - slow)))
}
