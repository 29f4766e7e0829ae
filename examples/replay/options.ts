/** The command line. */
import { randomInt } from 'node:crypto'
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { findTraceFolder } from './trace.ts'

export interface ReplayOptions {
  traceFolder: string
  inFlight: number
  /** The run makes a folder of its own in it. */
  directory: string
  isKept: boolean
  isQuiet: boolean
  /** Decides when the child process is killed. */
  seed: number
  workers?: number
  operationsMax?: number
}

export const USAGE = `replay [options]
  --trace DIR       default: ../shared/data, or else examples/replay/data
  --in-flight N     operations under way at once, 1 to 1024; default 256
  --directory DIR   where the run makes its folder; default: that for temporary files
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
      keep: { type: 'boolean', default: false },
      workers: { type: 'string' },
      operations: { type: 'string' },
      seed: { type: 'string', default: String(randomInt(SEED_MAX)) },
      quiet: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const { workers, operations } = values
  return {
    traceFolder: values.trace ?? findTraceFolder(),
    inFlight: integer('in-flight', values['in-flight'], 1, IN_FLIGHT_MAX),
    directory: values.directory,
    isKept: values.keep,
    isQuiet: values.quiet,
    seed: integer('seed', values.seed, 0, SEED_MAX),
    ...(workers !== undefined && { workers: integer('workers', workers, 1) }),
    ...(operations !== undefined && { operationsMax: integer('operations', operations, 1) }),
  }
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
