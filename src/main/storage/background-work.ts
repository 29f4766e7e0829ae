/**
 * A loop that works until there is nothing left to do, and tries again with backoff and jitter what
 * has failed: flushes and compactions, beside everything else. Ends with the step under way.
 */

const RETRY_BASE_MS = 100
const RETRY_MAX_MS = 10_000

export interface BackgroundWorkOptions {
  /** One step. @returns false when there is nothing left to do */
  step: () => Promise<boolean>
  /** Told of every failure; the step is tried again after a pause. */
  onFailure: (error: unknown, failures: number) => void
  /** From 0 to 1. */
  random: () => number
}

export class BackgroundWork {
  readonly #options: BackgroundWorkOptions
  #running: Promise<void> | undefined
  #isClosed = false
  #isWoken = false
  #endPause: () => void = () => {}

  constructor(options: BackgroundWorkOptions) {
    this.#options = options
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** There may be something to do. */
  wake(): void {
    if (this.#isClosed) return
    this.#isWoken = true
    this.#running ??= this.#run()
  }

  /** Resolves when the step under way has ended; no other one begins. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#endPause()
    await this.#running
  }

  async #run(): Promise<void> {
    // Not in the turn of wake(), which has yet to note that this runs.
    await Promise.resolve()
    let failures = 0
    while (!this.#isClosed && this.#isWoken) {
      this.#isWoken = false
      try {
        if (await this.#options.step()) this.#isWoken = true
        failures = 0
      } catch (error) {
        if (this.#isClosed) break
        this.#options.onFailure(error, failures)
        this.#isWoken = true
        await this.#pause(failures++)
      }
    }
    // In the same turn as the last look at #isWoken, so that nothing is overlooked.
    this.#running = undefined
  }

  /** Full jitter (Brooker, "Exponential Backoff And Jitter"); close() ends it. */
  #pause(failures: number): Promise<void> {
    const longest = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** failures)
    return new Promise(resolve => {
      const timer = setTimeout(resolve, this.#options.random() * longest)
      this.#endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
