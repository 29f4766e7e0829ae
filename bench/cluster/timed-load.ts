/**
 * Callers that keep a number of calls under way for a time, not for a count: where several processes
 * share a load, all of them are busy until its end.
 */
import { Answers } from '../answers.ts'
import { Latencies } from '../latencies.ts'
import type { Round } from '../measure.ts'

export interface Load {
  /** Of one process. */
  inFlight: number
  durationMs: number
}

/** What one process has done; can be sent to another one. */
export interface LoadReport {
  calls: number
  /** Milliseconds since the epoch, with fractions: the same clock in all processes. */
  startedAt: number
  endedAt: number
  /** Of each call. */
  latenciesMs: Float64Array
  /** What the process has used of its cores, all threads together, in microseconds. */
  cpuUs: number
  checked: number
  hash: number
}

/** Each caller makes at least one call, and no more once the time is over. */
export async function runLoad(
  { inFlight, durationMs }: Load,
  answers: Answers,
  call: (i: number) => Promise<void>,
): Promise<LoadReport> {
  const latenciesMs: number[] = []
  let calls = 0
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  const caller = async (): Promise<void> => {
    do {
      const calledAt = performance.now()
      await call(calls++)
      latenciesMs.push(performance.now() - calledAt)
    } while (performance.now() - startedAt < durationMs)
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
  const endedAt = performance.now()
  const cpu = process.cpuUsage(cpuBefore)
  return {
    calls,
    startedAt: performance.timeOrigin + startedAt,
    endedAt: performance.timeOrigin + endedAt,
    latenciesMs: Float64Array.from(latenciesMs),
    cpuUs: cpu.user + cpu.system,
    checked: answers.checked,
    hash: answers.hash,
  }
}

/**
 * Of all processes together: from the first one's start to the last one's end. What a call takes of
 * the cores is counted besides: a busy machine changes it less than it does the rate.
 */
export function roundOf(reports: readonly LoadReport[]): Round {
  const latencies = new Latencies()
  for (const { latenciesMs } of reports) for (const ms of latenciesMs) latencies.record(ms)
  const sum = (of: (report: LoadReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0)
  const elapsedMs =
    Math.max(...reports.map(({ endedAt }) => endedAt)) -
    Math.min(...reports.map(({ startedAt }) => startedAt))
  return {
    operations: sum(({ calls }) => calls),
    elapsedMs,
    answers: Answers.from(
      sum(({ checked }) => checked),
      reports.reduce((hash, report) => hash ^ report.hash, 0),
    ),
    latencies,
    details: { 'CPU us a call': sum(({ cpuUs }) => cpuUs) / sum(({ calls }) => calls) },
  }
}
