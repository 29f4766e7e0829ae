/**
 * Runs cases in rounds and makes figures of them. tinybench drives the rounds and does the
 * statistics; a round says itself how long it took, so that what it prepares and checks outside of
 * its own clock does not count.
 */
import { Bench } from 'tinybench'
import type { Answers } from './answers.ts'
import type { Latencies } from './latencies.ts'

export interface Round {
  operations: number
  elapsedMs: number
  answers: Answers
  /** Of single calls, where a round is made of calls. */
  latencies?: Latencies
}

export interface Case {
  /** A workload of the fixed vocabulary: docs/benchmarks.md. */
  workload: string
  /** What sets the case apart from others of its workload. */
  variant: string
  /** What is counted, in plural. */
  unit: string
  /** Bytes of keys and values in one operation, where a figure in MB/s says something. */
  operationBytes?: number
  /** Before each round, not measured. */
  prepare?: (round: number) => Promise<void> | void
  run: (round: number) => Promise<Round> | Round
  /** After each round, not measured. */
  finish?: (round: number) => Promise<void> | void
}

/** Rates are operations a second over the rounds, latencies the median of the rounds' own. */
export interface Figure {
  bench: string
  workload: string
  variant: string
  unit: string
  rounds: number
  median: number
  min: number
  max: number
  medianMbPerSecond?: number
  /** The median duration of a round, in milliseconds. */
  roundMs: number
  p50Us?: number
  p99Us?: number
  /** Answers that were checked in all rounds. */
  checked: number
  /** Of the first round's answers, eight hexadecimal digits. */
  hash: string
}

export async function measure(bench: string, rounds: number, case_: Case): Promise<Figure> {
  const done: Round[] = []
  const driver = new Bench({ iterations: rounds, time: 0, warmup: false, throws: true })
  driver.add(
    case_.variant,
    async () => {
      const round = await case_.run(done.length)
      done.push(round)
      return { overriddenDuration: round.elapsedMs / round.operations }
    },
    {
      async: true,
      beforeEach: () => case_.prepare?.(done.length),
      afterEach: () => case_.finish?.(done.length - 1),
    },
  )
  const [{ result }] = await driver.run()
  if (result.state !== 'completed') throw new Error(`${case_.variant}: ${result.state}`)
  const { p50, min, max } = result.latency
  const median = 1000 / p50
  const { workload, variant, unit, operationBytes } = case_
  return {
    ...{ bench, workload, variant, unit, rounds: done.length },
    ...{ median, min: 1000 / max, max: 1000 / min },
    ...(operationBytes !== undefined && { medianMbPerSecond: (median * operationBytes) / 1e6 }),
    roundMs: medianOf(done.map(round => round.elapsedMs)),
    ...latencyFigures(done),
    checked: done.reduce((sum, { answers }) => sum + answers.checked, 0),
    hash: done[0].answers.hash.toString(16).padStart(8, '0'),
  }
}

function latencyFigures(rounds: readonly Round[]): { p50Us?: number; p99Us?: number } {
  const percentiles = rounds.flatMap(({ latencies }) =>
    latencies === undefined ? [] : [latencies.percentilesUs([0.5, 0.99])],
  )
  if (percentiles.length === 0) return {}
  return {
    p50Us: medianOf(percentiles.map(([p50]) => p50)),
    p99Us: medianOf(percentiles.map(([, p99]) => p99)),
  }
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}
