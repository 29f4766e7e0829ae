/** Callers that keep a number of calls under way. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Latencies } from './latencies.ts'

const TICK_MS = 1

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

/**
 * Begins `count` calls in order, so many a second, and none while `inFlightMax` are under way: then
 * they are behind, and those that are due follow at once. Resolves as callInFlight().
 */
export async function callAtRate(
  count: number,
  ratePerSecond: number,
  inFlightMax: number,
  latencies: Latencies,
  call: (i: number) => Promise<void>,
): Promise<number> {
  const underWay = new Set<Promise<void>>()
  const one = async (i: number): Promise<void> => {
    const calledAt = performance.now()
    await call(i)
    latencies.record(performance.now() - calledAt)
  }
  const startedAt = performance.now()
  for (let begun = 0; begun < count; await sleep(TICK_MS)) {
    const due = Math.min(count, ((performance.now() - startedAt) * ratePerSecond) / 1000)
    for (; begun < due && underWay.size < inFlightMax; begun++) {
      const made = one(begun).finally(() => underWay.delete(made))
      underWay.add(made)
    }
  }
  await Promise.all(underWay)
  return performance.now() - startedAt
}
