/** What is printed and written: the set-up first, then a line for each figure. */
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import type { Figure } from './measure.ts'
import type { BenchOptions } from './options.ts'

const GIB = 1024 ** 3
const THOUSANDS = /\B(?=(\d{3})+$)/g

export interface SetUp {
  date: string
  machine: string
  cores: number
  memoryGib: number
  node: string
  platform: string
  version: string
  rounds: number
  isSmall: boolean
}

export function setUpOf({ rounds, isSmall }: BenchOptions): SetUp {
  return {
    date: new Date().toISOString(),
    machine: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / GIB),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    version: packageVersion(),
    rounds,
    isSmall,
  }
}

/** Of the package that this is compiled in, one folder below its root. */
function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

export function setUpBlock(setUp: SetUp): string {
  const lines = Object.entries(setUp).map(([name, value]) => `  ${name.padEnd(10)} ${value}`)
  return `set-up\n${lines.join('\n')}\n`
}

/** The columns of figureLine(). */
export const HEADING: string = line('workload', 'case', [
  ...['median', 'min', 'max', 'a second', 'MB/s', 'p50 us', 'p99 us', 'round ms'],
  ...['checked', 'hash'],
])

export function figureLine(figure: Figure): string {
  const { workload, variant, median, min, max, unit, medianMbPerSecond, p50Us, p99Us } = figure
  return line(workload, variant, [
    ...[count(median), count(min), count(max), unit],
    ...[medianMbPerSecond, p50Us, p99Us, figure.roundMs].map(short),
    ...[count(figure.checked), figure.hash],
  ])
}

function line(workload: string, variant: string, cells: readonly string[]): string {
  return `${workload.padEnd(16)} ${variant.padEnd(44)} ${cells.map(cell => cell.padStart(10)).join(' ')}`
}

/** 20 000 rather than 20000. */
function count(value: number): string {
  return String(Math.round(value)).replace(THOUSANDS, ' ')
}

function short(value: number | undefined): string {
  if (value === undefined) return '-'
  return value < 100 ? value.toFixed(1) : count(value)
}
