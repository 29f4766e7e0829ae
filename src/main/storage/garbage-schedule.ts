/**
 * Collects garbage by itself: every interval, domain by domain, one round at a time. A domain in
 * which nothing has changed, and nothing has become old enough, costs no request to the bucket.
 */
export interface ScheduledCollector {
  /** Whether a round may find something that the last one did not. */
  readonly isDue: boolean
  /** @throws what stops the round; what was not deleted is found by the next one */
  collect(isDryRun: boolean): Promise<{ isDone: boolean }>
}

export interface GarbageScheduleOptions {
  /** Undefined for a domain that is led elsewhere. */
  collectorOf: (domain: number) => ScheduledCollector | undefined
  domains: number
  /** Null: never. */
  intervalMs: number | null
  onFailure: (error: unknown) => void
}

export class GarbageSchedule {
  readonly #options: GarbageScheduleOptions
  #timer: NodeJS.Timeout | undefined
  #isUnderWay = false
  #isClosed = false

  constructor(options: GarbageScheduleOptions) {
    this.#options = options
  }

  start(): void {
    const { intervalMs } = this.#options
    if (intervalMs === null) return
    this.#timer = setInterval(() => void this.look(), intervalMs)
    this.#timer.unref()
  }

  /** Nothing new begins; what is under way ends with the I/O pool. */
  close(): void {
    this.#isClosed = true
    clearInterval(this.#timer)
  }

  /** Collects what is due now, unless the last look has not come to its end. */
  async look(): Promise<void> {
    if (this.#isUnderWay) return
    this.#isUnderWay = true
    try {
      await this.#round()
    } finally {
      this.#isUnderWay = false
    }
  }

  async #round(): Promise<void> {
    const { collectorOf, domains, onFailure } = this.#options
    for (let domain = 0; domain < domains; domain++) {
      const collector = collectorOf(domain)
      if (this.#isClosed) return
      if (collector?.isDue !== true) continue
      try {
        while (!(await collector.collect(false)).isDone) if (this.#isClosed) return
      } catch (error) {
        if (!this.#isClosed) onFailure(error)
      }
    }
  }
}
