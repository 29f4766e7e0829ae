/** The command line. */
import { randomInt } from 'node:crypto'
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import type { S3Options } from '../../src/index.ts'
import { findTraceFolder } from './trace.ts'

export interface ReplayOptions {
  traceFolder: string
  inFlight: number
  /** The run makes a folder of its own in it. */
  directory: string
  isKept: boolean
  /** Where each run has a bucket of its own; absent: in its folder. */
  store?: ReplayStore
  isQuiet: boolean
  /** Decides when the child process is killed. */
  seed: number
  workers?: number
  operationsMax?: number
}

export interface ReplayStore {
  /** As 's3://bucket/prefix'; what the runs put below it stays there. */
  url: string
  s3: S3Options
}

export const USAGE = `replay [options]
  --trace DIR       default: ../shared/data, or else examples/replay/data
  --in-flight N     operations under way at once, 1 to 1024; default 256
  --directory DIR   where the run makes its folder; default: that for temporary files
  --store URL       s3://bucket/prefix, below which the run puts its objects and leaves them;
                    default: its folder. Credentials and region come from the environment
  --endpoint URL    of a service of S3 other than AWS, in path style
  --keep            do not remove that folder at the end
  --workers N       partition worker threads; default: the metastore's
  --operations N    the first N only; their answers are checked, the trace's queries are not
  --seed N          of the moment of the crash; default: a random one
  --quiet           no progress
  --help
`

/** More than that would be refused as too much at once. */
const IN_FLIGHT_MAX = 1024
const SEED_MAX = 2 ** 32 - 1

/** Undefined when help is asked for. @throws Error naming an option that is wrong */
export function parseOptions(args: string[]): ReplayOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      trace: { type: 'string' },
      'in-flight': { type: 'string', default: '256' },
      directory: { type: 'string', default: tmpdir() },
      store: { type: 'string' },
      endpoint: { type: 'string' },
      keep: { type: 'boolean', default: false },
      workers: { type: 'string' },
      operations: { type: 'string' },
      seed: { type: 'string', default: String(randomInt(SEED_MAX)) },
      quiet: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const { workers, operations, store, endpoint } = values
  if (endpoint !== undefined && store === undefined) throw new Error('--endpoint needs a --store')
  return {
    traceFolder: values.trace ?? findTraceFolder(),
    inFlight: integer('in-flight', values['in-flight'], 1, IN_FLIGHT_MAX),
    directory: values.directory,
    isKept: values.keep,
    isQuiet: values.quiet,
    ...(store !== undefined && { store: { url: store, s3: s3Options(endpoint) } }),
    seed: integer('seed', values.seed, 0, SEED_MAX),
    ...(workers !== undefined && { workers: integer('workers', workers, 1) }),
    ...(operations !== undefined && { operationsMax: integer('operations', operations, 1) }),
  }
}

function s3Options(endpoint: string | undefined): S3Options {
  return endpoint === undefined ? {} : { endpoint, forcePathStyle: true }
}

function integer(
  name: string,
  text: string,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value
  throw new Error(`--${name} must be an integer from ${least} to ${most}, not '${text}'`)
}
