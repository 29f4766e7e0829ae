/**
 * Has the domains' tails shipped, each once an interval if it has something new, and counts what
 * that costs. A few at a time, in turns, so that the memory of their batches is bounded; the queue
 * is the numbers of the domains that wait.
 */
export interface TailSource {
  /** Notes what is to be shipped by now. @returns whether there is anything, and it may be tried */
  look(): boolean
  /** Ships the next object of that. @throws what the attempt fails with; a later look() retries */
  ship(): Promise<Shipment>
}

export interface Shipment {
  /** Bytes of the object; 0: none was put. */
  readonly sizeBytes: number
  /** Whether what look() has noted needs another one. */
  readonly hasMore: boolean
}

export const NOTHING_SHIPPED: Shipment = { sizeBytes: 0, hasMore: false }

export interface TailScheduleOptions {
  /** Undefined for a domain that is led elsewhere. */
  readonly sourceOf: (domain: number) => TailSource | undefined
  readonly domains: number
  readonly tailIntervalMs: number
  /** Shipments under way at a time. */
  readonly atOnceMax: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly onFailure: (domain: number, error: unknown) => void
}

const HOUR_MS = 3_600_000

export class TailSchedule {
  readonly #options: TailScheduleOptions
  readonly #openedAt: number
  /** In the order in which they are served. */
  readonly #waiting = new Set<number>()
  readonly #shipping = new Set<number>()
  /** Those whose last shipment took longer than the interval: what came since is due already. */
  readonly #late = new Set<number>()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false
  /** Objects that were put, their bytes, and attempts that failed. */
  puts = 0
  bytes = 0
  failures = 0

  constructor(options: TailScheduleOptions) {
    this.#options = options
    this.#openedAt = options.now()
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), this.#options.tailIntervalMs)
    this.#timer.unref()
  }

  /** Nothing new begins. */
  close(): void {
    this.#isClosed = true
    this.#waiting.clear()
    clearInterval(this.#timer)
  }

  /** On average since the start. */
  get putsAnHour(): number {
    const elapsedMs = this.#options.now() - this.#openedAt
    return elapsedMs <= 0 ? 0 : (this.puts * HOUR_MS) / elapsedMs
  }

  /** An interval has passed: begins what is due. */
  look(): void {
    const { sourceOf, domains } = this.#options
    for (let domain = 0; domain < domains; domain++) {
      if (this.#waiting.has(domain) || this.#shipping.has(domain)) this.#late.add(domain)
      else if (sourceOf(domain)?.look() === true) this.#waiting.add(domain)
    }
    this.#serve()
  }

  #serve(): void {
    const { sourceOf, atOnceMax } = this.#options
    for (const domain of this.#waiting) {
      if (this.#shipping.size >= atOnceMax || this.#isClosed) return
      this.#waiting.delete(domain)
      const source = sourceOf(domain)
      if (source !== undefined) void this.#ship(domain, source)
    }
  }

  async #ship(domain: number, source: TailSource): Promise<void> {
    this.#shipping.add(domain)
    try {
      const { sizeBytes, hasMore } = await source.ship()
      if (sizeBytes > 0) this.puts++
      this.bytes += sizeBytes
      // Behind the others, and not if somebody else leads by now.
      const isLate = !hasMore && this.#late.delete(domain)
      const isToGoOn = hasMore || (isLate && source.look())
      if (isToGoOn && this.#options.sourceOf(domain) === source) this.#waiting.add(domain)
    } catch (error) {
      this.failures++
      // Failures have pauses of their own.
      this.#late.delete(domain)
      this.#options.onFailure(domain, error)
    } finally {
      this.#shipping.delete(domain)
    }
    this.#serve()
  }
}
