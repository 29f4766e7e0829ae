/** The command line. */
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'

export const BENCHES = ['memtable', 'commits', 'lookups', 'flush'] as const
export type BenchName = (typeof BENCHES)[number]

export interface BenchOptions {
  isSmall: boolean
  benches: readonly BenchName[]
  rounds: number
  /** Where the results go as JSON. */
  jsonPath?: string
  /** The run makes a folder of its own in it. */
  directory: string
}

export const USAGE: string = `bench [options]
  --only NAME       ${BENCHES.join(', ')}; default: all of them
  --small           a few thousand rows and one round: shows that it works, measures nothing
  --rounds N        default: 5
  --json PATH       where to write set-up and figures as JSON
  --directory DIR   where the run makes its folder; default: that for temporary files
  --help
`
const ROUNDS_MAX = 100

/** Undefined when help is asked for. @throws Error naming an option that is wrong */
export function parseOptions(args: string[]): BenchOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      small: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      json: { type: 'string' },
      directory: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const { only, small, json, directory } = values
  const rounds = Number(values.rounds ?? (small ? 1 : 5))
  if (!Number.isSafeInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
    throw new Error(`--rounds must be an integer from 1 to ${ROUNDS_MAX}, not '${values.rounds}'`)
  }
  const benches = BENCHES.filter(name => only === undefined || name === only)
  if (benches.length === 0) {
    throw new Error(`--only must be one of ${BENCHES.join(', ')}, not '${only}'`)
  }
  return {
    isSmall: small,
    benches,
    rounds,
    directory,
    ...(json !== undefined && { jsonPath: json }),
  }
}
