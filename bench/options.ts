/** The command line. */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { PEER_NAMES } from './peers/peers.ts'

export const WORKLOADS = [
  'memtable',
  'lookup-memtable',
  'lookup-table',
  'get',
  'miss',
  'scan10',
  'scan100',
  'lookup-cold',
  'replica-cold-start',
  'load',
  'flush',
  'compact',
  'recover',
  'put',
  'commit',
  'tail',
  'raft-commit',
  'raft-tick',
  'cluster-commit',
  'cluster-read',
  'failover',
  'disaster',
  'restore',
  'bucket',
  'bucket-commits',
  'network',
] as const
/** Those that are measured on S3 as well. */
export const S3_WORKLOADS: readonly WorkloadName[] = ['replica-cold-start', 'restore', 'bucket']
export type WorkloadName = (typeof WORKLOADS)[number]

export interface BenchOptions {
  isSmall: boolean
  workloads: readonly WorkloadName[]
  peers: readonly string[]
  rounds: number
  rows: number
  /** Where the results go as JSON, and as a page with plots. */
  jsonPath?: string
  htmlPath?: string
  /** The run makes a folder of its own in it. */
  directory: string
}

export const USAGE: string = `bench [options]
  --only NAMES      of ${WORKLOADS.join(', ')}; default: all of them
  --peers NAMES     of ${PEER_NAMES.join(', ')}, or none; default: all of them
  --small           a few thousand rows and one round: shows that it works, measures nothing
  --rounds N        default: 5
  --rows N          of the workloads that compare; default: 1000000
  --json PATH       where to write set-up and figures as JSON
  --html PATH       where to write a page with tables and plots
  --directory DIR   where the run makes its folder; default: that for temporary files
  --help

NAMES are separated by commas.
`
const ROUNDS_MAX = 100
const ROWS_MIN = 1000
const ROWS_MAX = 20_000_000

/** Undefined when help is asked for. @throws Error naming an option that is wrong */
export function parseOptions(args: string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      peers: { type: 'string' },
      small: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      rows: { type: 'string' },
      json: { type: 'string' },
      html: { type: 'string' },
      directory: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const { only, small, json, html, directory, peers } = values
  return {
    isSmall: small,
    workloads: names('only', only, WORKLOADS),
    peers: peers === 'none' ? [] : names('peers', peers, PEER_NAMES),
    rounds: integer('rounds', values.rounds ?? (small ? '1' : '5'), 1, ROUNDS_MAX),
    rows: integer('rows', values.rows ?? (small ? '2000' : '1000000'), ROWS_MIN, ROWS_MAX),
    directory,
    ...(json !== undefined && { jsonPath: json }),
    ...(html !== undefined && { htmlPath: html }),
  }
}

function names<T extends string>(
  option: string,
  given: string | undefined,
  known: readonly T[],
): T[] {
  const wanted = given?.split(',') ?? known
  const unknown = wanted.find(name => !known.some(one => one === name))
  if (unknown !== undefined) {
    throw new Error(`--${option} must be of ${known.join(', ')}, not '${unknown}'`)
  }
  return known.filter(name => wanted.includes(name))
}

function integer(option: string, given: string, least: number, most: number): number {
  const value = Number(given)
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value
  throw new Error(`--${option} must be an integer from ${least} to ${most}, not '${given}'`)
}
