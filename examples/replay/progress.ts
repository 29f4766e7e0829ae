/** How far a long part of the run has come, on stderr: stdout is for results. */
import { count } from './text.ts'

const BAR_CHARS = 30
/** A terminal is redrawn, a file grows: the one may be written to more often than the other. */
const REDRAW_INTERVAL_MS = 100
const LINE_INTERVAL_MS = 3000

export class Progress {
  readonly #label: string
  readonly #total: number
  readonly #isQuiet: boolean
  readonly #isBar: boolean
  #done = 0
  #shownAt = performance.now()

  constructor(label: string, total: number, isQuiet: boolean) {
    this.#label = label
    this.#total = total
    this.#isQuiet = isQuiet
    this.#isBar = process.stderr.isTTY
  }

  advance(by = 1): void {
    this.#done += by
    if (this.#isQuiet) return
    const now = performance.now()
    if (now - this.#shownAt < (this.#isBar ? REDRAW_INTERVAL_MS : LINE_INTERVAL_MS)) return
    this.#shownAt = now
    process.stderr.write(this.#isBar ? `\r${this.#bar()}` : `${this.#line()}\n`)
  }

  /** Clears the bar. */
  end(): void {
    if (this.#isBar && !this.#isQuiet) process.stderr.write('\r\x1b[K')
  }

  #line(): string {
    return `${this.#label}: ${count(this.#done)} of ${count(this.#total)}`
  }

  #bar(): string {
    const full = Math.round((BAR_CHARS * this.#done) / Math.max(1, this.#total))
    return `[${'#'.repeat(full).padEnd(BAR_CHARS)}] ${this.#line()}`
  }
}
