/** What is printed and written: the set-up first, then a line for each figure. */
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import type { Figure } from './measure.ts'
import type { BenchOptions } from './options.ts'
import type { Peers } from './peers/peers.ts'

const GIB = 1024 ** 3
const THOUSANDS = /\B(?=(\d{3})+$)/g
/** Waymark's settings in the workloads that compare. */
const OWN_SETTINGS = 'durability os, memtables that hold all rows, block cache 256 MiB'

export interface SetUp {
  date: string
  machine: string
  cores: number
  memoryGib: number
  node: string
  platform: string
  rounds: number
  rows: number
  isSmall: boolean
  stores: { name: string; version: string; settings: string }[]
  /** Peers that are not measured, and why. */
  missing: { name: string; reason: string }[]
}

export function setUpOf({ rounds, rows, isSmall }: BenchOptions, peers: Peers): SetUp {
  const own = { name: 'waymark', version: packageVersion(), settings: OWN_SETTINGS }
  return {
    date: new Date().toISOString(),
    machine: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGib: Math.round(totalmem() / GIB),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    rounds,
    rows,
    isSmall,
    stores: [own, ...peers.present.map(({ open: _, ...store }) => store), ...peers.servers],
    missing: peers.missing,
  }
}

/** Of the package that this is compiled in, one folder below its root. */
function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

export function setUpLines({ stores, missing, ...scalars }: SetUp): [name: string, text: string][] {
  return [
    ...Object.entries(scalars).map(([name, value]): [string, string] => [name, String(value)]),
    ...stores.map(({ name, version, settings }): [string, string] => [
      name,
      `${version}; ${settings}`,
    ]),
    ...missing.map(({ name, reason }): [string, string] => [name, `NOT MEASURED: ${reason}`]),
  ]
}

export function setUpBlock(setUp: SetUp): string {
  const lines = setUpLines(setUp).map(([name, text]) => `  ${name.padEnd(20)} ${text}`)
  return `set-up\n${lines.join('\n')}\n`
}

/** The columns of figureLine(). */
export const COLUMNS: readonly string[] = [
  ...['workload', 'store', 'case', 'median', 'min', 'max', 'a second', 'ratio'],
  ...['MB/s', 'p50 us', 'p99 us', 'checked', 'hash', 'besides'],
]
/** Those that are text; numbers are aligned at their ends. */
const WIDTHS = [16, 20, 46]
const NUMBER_WIDTH = 10

/** A text for each column. */
export function figureCells(figure: Figure): string[] {
  const { workload, store, variant, median, min, max, unit, medianMbPerSecond } = figure
  const { ratio, p50Us, p99Us, checked, hash, details = {} } = figure
  return [
    ...[workload, store, variant, rate(median), rate(min), rate(max), unit],
    ratio === undefined ? '-' : ratio.toFixed(2),
    ...[medianMbPerSecond, p50Us, p99Us].map(short),
    ...[count(checked), hash],
    Object.entries(details)
      .map(([name, value]) => `${name} ${value < 100 ? value.toFixed(2) : count(value)}`)
      .join(', '),
  ]
}

export const HEADING: string = line(COLUMNS)

export function figureLine(figure: Figure): string {
  return line(figureCells(figure))
}

function line(cells: readonly string[]): string {
  const last = cells.length - 1
  return cells
    .map((cell, i) => {
      if (i === last) return cell
      return i < WIDTHS.length ? cell.padEnd(WIDTHS[i]) : cell.padStart(NUMBER_WIDTH)
    })
    .join(' ')
    .trimEnd()
}

function rate(value: number): string {
  return value < 10 ? value.toFixed(2) : count(value)
}

/** 20 000 rather than 20000. */
function count(value: number): string {
  return String(Math.round(value)).replace(THOUSANDS, ' ')
}

function short(value: number | undefined): string {
  if (value === undefined) return '-'
  return value < 100 ? value.toFixed(1) : count(value)
}
