/** Clock: the time and the timers of the transport. Tests pass one of their own. */

export interface Clock {
  /** Monotonic milliseconds. */
  nowMs(): number
  /** Runs `run` once, not before `delayMs` have passed. @returns what cancels it */
  after(delayMs: number, run: () => void): () => void
}

export const SYSTEM_CLOCK: Clock = {
  nowMs: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}
