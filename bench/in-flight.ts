/** Callers that keep a number of calls under way. */
import type { Latencies } from './latencies.ts'

/**
 * Makes `count` calls in order, `inFlight` at a time: each caller makes its next one when the one
 * before is answered. Resolves with how long that took, in milliseconds.
 */
export async function callInFlight(
  count: number,
  inFlight: number,
  latencies: Latencies,
  call: (i: number) => Promise<void>,
): Promise<number> {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < count) {
      const calledAt = performance.now()
      await call(next++)
      latencies.record(performance.now() - calledAt)
    }
  }
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: inFlight }, caller))
  return performance.now() - startedAt
}
