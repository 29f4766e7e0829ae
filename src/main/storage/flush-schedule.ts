/**
 * Starts the flushes that nobody asked for: of domains whose rows have waited for the flush
 * interval, and of the domain that keeps the log from shrinking below its limit.
 */
import type { ReplicatedLog } from '../replication/replicated-log.ts'

export interface FlushCandidate {
  /** When the oldest row came that no manifest covers; undefined when there is none. */
  readonly unflushedSince: number | undefined
  /** Milliseconds since the epoch. */
  readonly lastFlushAt: number
  /** @throws what an attempt fails with; it is retried all the same */
  flush(): Promise<void>
  /** Without rows: moves what the domain still needs of the log to its end. */
  moveForward(): Promise<void>
}

export interface FlushScheduleOptions {
  /** Undefined for a domain that is led elsewhere. */
  candidateOf: (domain: number) => FlushCandidate | undefined
  domains: number
  log: Pick<ReplicatedLog, 'sizeBytes' | 'pinningGroup'>
  flushIntervalMs: number
  logBytesMax: number
  now: () => number
  onFailure: (error: unknown) => void
}

const LOOK_LEAST_MS = 10
const LOOK_MOST_MS = 1000
/** Looks within one flush interval: how late a flush by the clock may be. */
const LOOKS_AN_INTERVAL = 8

export class FlushSchedule {
  readonly #options: FlushScheduleOptions
  readonly #underWay = new Set<FlushCandidate>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: FlushScheduleOptions) {
    this.#options = options
  }

  start(): void {
    const wanted = this.#options.flushIntervalMs / LOOKS_AN_INTERVAL
    const everyMs = Math.min(LOOK_MOST_MS, Math.max(LOOK_LEAST_MS, wanted))
    this.#timer = setInterval(() => this.look(), everyMs)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Starts what is due now. */
  look(): void {
    const { candidateOf, domains, log, flushIntervalMs, logBytesMax, now } = this.#options
    for (let domain = 0; domain < domains; domain++) {
      const candidate = candidateOf(domain)
      if (candidate === undefined) continue
      const isDue = now() - candidate.lastFlushAt >= flushIntervalMs
      if (isDue && candidate.unflushedSince !== undefined) this.#flush(candidate)
    }
    if (log.sizeBytes <= logBytesMax) return
    const group = log.pinningGroup()
    const candidate = group === undefined ? undefined : candidateOf(group)
    if (candidate !== undefined) this.#flush(candidate)
  }

  #flush(candidate: FlushCandidate): void {
    if (this.#underWay.has(candidate)) return
    this.#underWay.add(candidate)
    const work =
      candidate.unflushedSince === undefined ? candidate.moveForward() : candidate.flush()
    work
      .catch((error: unknown) => this.#options.onFailure(error))
      .finally(() => this.#underWay.delete(candidate))
  }
}
