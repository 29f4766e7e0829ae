/**
 * Starts the flushes that nobody asked for: of domains whose last flush is the flush interval ago,
 * or whose oldest row is about to be, and of the domain that keeps the log from shrinking below its
 * limit. So without a tail no row waits for its flush longer than the interval.
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
  readonly #lookMs: number
  readonly #underWay = new Set<FlushCandidate>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: FlushScheduleOptions) {
    this.#options = options
    const wanted = options.flushIntervalMs / LOOKS_AN_INTERVAL
    this.#lookMs = Math.min(LOOK_MOST_MS, Math.max(LOOK_LEAST_MS, wanted))
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), this.#lookMs)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Starts what is due now. */
  look(): void {
    const { candidateOf, domains, log, logBytesMax } = this.#options
    for (let domain = 0; domain < domains; domain++) {
      const candidate = candidateOf(domain)
      if (candidate === undefined) continue
      if (this.#isDue(candidate)) this.#flush(candidate)
    }
    if (log.sizeBytes <= logBytesMax) return
    const group = log.pinningGroup()
    const candidate = group === undefined ? undefined : candidateOf(group)
    if (candidate !== undefined) this.#flush(candidate)
  }

  #isDue({ unflushedSince, lastFlushAt }: FlushCandidate): boolean {
    const { flushIntervalMs, now } = this.#options
    if (unflushedSince === undefined) return false
    // Rows that came while the last flush went on are older than it; and the next look is too late.
    const isOld = now() - unflushedSince > flushIntervalMs - this.#lookMs
    return isOld || now() - lastFlushAt >= flushIntervalMs
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
