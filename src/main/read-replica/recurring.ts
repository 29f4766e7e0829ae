/**
 * Work that is done again and again: on a timer, later and later while it fails, and whenever
 * somebody asks; one run at a time. Main thread.
 */
import { MetastoreError } from '../../codec/errors.ts'
import { backoffMs } from '../net/backoff.ts'
import type { Clock } from '../net/clock.ts'

export interface RecurringOptions {
  readonly work: () => Promise<void>
  /** Milliseconds from the end of a run to the next. */
  readonly intervalMs: number
  /** The most that failures lengthen it to. */
  readonly intervalMsMax: number
  readonly clock: Pick<Clock, 'after'>
  /** In [0, 1). */
  readonly random: () => number
  /** Told of every failure, `failures` of them in a row. */
  readonly onFailure: (error: unknown, failures: number) => void
}

export class Recurring {
  readonly #options: RecurringOptions
  #running: Promise<void> | undefined
  /** The run after the present one, when somebody wants it. */
  #following: Promise<void> | undefined
  #cancelNext: () => void = () => {}
  #failures = 0
  #isClosed = false

  constructor(options: RecurringOptions) {
    this.#options = options
  }

  /** The first run by the timer is due after the interval. */
  start(): void {
    this.#schedule()
  }

  /**
   * A run that begins now, or when the present one has ended: what was done before the call is seen
   * by it. All who wait for it share it.
   * @throws what the work throws; CLOSED
   */
  run(): Promise<void> {
    if (this.#running === undefined) return this.#begin()
    this.#following ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#following = undefined
        return this.#begin()
      })
    return this.#following
  }

  /** No run begins any more; resolves when the present one has ended by itself. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelNext()
    await this.#running?.catch(() => {})
  }

  #begin(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new MetastoreError('CLOSED', 'it is closed'))
    this.#cancelNext()
    this.#running = this.#work().finally(() => {
      this.#running = undefined
      this.#schedule()
    })
    return this.#running
  }

  async #work(): Promise<void> {
    try {
      await this.#options.work()
      this.#failures = 0
    } catch (error) {
      this.#failures++
      if (!this.#isClosed) this.#options.onFailure(error, this.#failures)
      throw error
    }
  }

  #schedule(): void {
    this.#cancelNext()
    if (this.#isClosed) return
    const { intervalMs, intervalMsMax, clock, random } = this.#options
    const pauseMs =
      this.#failures === 0
        ? intervalMs
        : backoffMs(this.#failures, intervalMs, intervalMsMax, random())
    this.#cancelNext = clock.after(pauseMs, () => {
      // Whoever is to know of a failure was told.
      this.run().catch(() => {})
    })
  }
}
