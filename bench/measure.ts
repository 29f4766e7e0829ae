/**
 * Runs cases in rounds and makes figures of them. Cases that are compared take turns in each round,
 * so that whatever else the machine does meets all of them. tinybench drives a round; the case says
 * itself how long it took, so that what it prepares and checks outside of its own clock does not
 * count.
 */
import { Bench } from 'tinybench'
import type { Answers } from './answers.ts'
import type { Latencies } from './latencies.ts'

export const WAYMARK = 'waymark'

export interface Round {
  operations: number
  elapsedMs: number
  answers: Answers
  /** Of single calls, where a round is made of calls. */
  latencies?: Latencies
  /** What else was counted, by name. */
  details?: Record<string, number>
  /** The same, of which the greatest of the rounds counts. */
  maxima?: Record<string, number>
}

export interface Case {
  /** A workload of the fixed vocabulary: docs/benchmarks.md. */
  workload: string
  /** Default: waymark. */
  store?: string
  /** What sets the case apart from others of its workload and store. */
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
  store: string
  variant: string
  unit: string
  rounds: number
  median: number
  min: number
  max: number
  /** Of the rate to that of the best peer in the same round; the median. */
  ratio?: number
  medianMbPerSecond?: number
  /** The median duration of a round, in milliseconds. */
  roundMs: number
  p50Us?: number
  p99Us?: number
  /** Medians, and the greatest of what is a maximum. */
  details?: Record<string, number>
  /** Answers that were checked in all rounds. */
  checked: number
  /** Of the first round's answers, eight hexadecimal digits. */
  hash: string
}

interface Measured {
  case_: Case
  rounds: Round[]
}

export async function measure(
  bench: string,
  rounds: number,
  cases: readonly Case[],
): Promise<Figure[]> {
  const measured = cases.map((case_): Measured => ({ case_, rounds: [] }))
  for (let round = 0; round < rounds; round++) await runRound(measured, round)
  const best = bestPeer(measured)
  return measured.map(one => figureOf(bench, one, best))
}

async function runRound(measured: readonly Measured[], round: number): Promise<void> {
  const driver = new Bench({ iterations: 1, time: 0, warmup: false, throws: true })
  for (const [at, { case_, rounds }] of measured.entries()) {
    driver.add(
      `${at} ${case_.variant}`,
      async () => {
        const done = await case_.run(round)
        rounds.push(done)
        return { overriddenDuration: done.elapsedMs / done.operations }
      },
      {
        async: true,
        beforeEach: () => case_.prepare?.(round),
        afterEach: () => case_.finish?.(round),
      },
    )
  }
  await driver.run()
}

function bestPeer(measured: readonly Measured[]): Measured | undefined {
  const peers = measured.filter(({ case_ }) => (case_.store ?? WAYMARK) !== WAYMARK)
  const median = ({ rounds }: Measured): number => medianOf(rounds.map(rate))
  return peers.toSorted((a, b) => median(b) - median(a))[0]
}

function figureOf(bench: string, { case_, rounds }: Measured, best?: Measured): Figure {
  const rates = rounds.map(rate)
  const median = medianOf(rates)
  const { workload, store = WAYMARK, variant, unit, operationBytes } = case_
  return {
    ...{ bench, workload, store, variant, unit, rounds: rounds.length },
    ...{ median, min: Math.min(...rates), max: Math.max(...rates) },
    ...(best !== undefined && { ratio: medianOf(rates.map((r, i) => r / rate(best.rounds[i]))) }),
    ...(operationBytes !== undefined && { medianMbPerSecond: (median * operationBytes) / 1e6 }),
    roundMs: medianOf(rounds.map(round => round.elapsedMs)),
    ...latencyFigures(rounds),
    ...detailFigures(rounds),
    checked: rounds.reduce((sum, { answers }) => sum + answers.checked, 0),
    hash: rounds[0].answers.hash.toString(16).padStart(8, '0'),
  }
}

function rate({ operations, elapsedMs }: Round): number {
  return (operations / elapsedMs) * 1000
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

function detailFigures(rounds: readonly Round[]): { details?: Record<string, number> } {
  const details: Record<string, number> = {}
  for (const name of Object.keys(rounds[0].details ?? {})) {
    details[name] = medianOf(rounds.map(round => round.details?.[name] ?? 0))
  }
  for (const name of Object.keys(rounds[0].maxima ?? {})) {
    details[name] = Math.max(...rounds.map(round => round.maxima?.[name] ?? 0))
  }
  return Object.keys(details).length === 0 ? {} : { details }
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}
