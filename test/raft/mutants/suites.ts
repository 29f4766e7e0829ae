/**
 * The suites that are to kill mutants. Each is a list of compiled programs, run one by one from the
 * project's root; one that ends with an error kills. What is not there is left out.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export interface Suite {
  /** A column of the table. */
  readonly name: string
  readonly what: string
  /** Paths from the folder of compiled files. */
  readonly programs: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  /** A folder without which it has nothing to do, from the project's root. */
  readonly needs?: string
}

const SIMULATOR_SEEDS = '200'
const REFERENCE = '../shared/raft-conformance'
const OWN_TRANSCRIPTS = 'test/raft/transcripts'
const RUN_TRANSCRIPTS = 'test/raft/run-transcripts.js'
/** Of test/raft, no unit tests of the core. */
const OTHERS: readonly string[] = ['transcripts.test.js', 'mutants.test.js']

/** @param build the folder of compiled files that the programs are looked for in */
export function suitesIn(root: string, build: string): Suite[] {
  const testsIn = (folder: string): string[] =>
    existsSync(join(build, folder))
      ? readdirSync(join(build, folder))
          .filter(name => name.endsWith('.test.js') && !OTHERS.includes(name))
          .sort()
          .map(name => `${folder}/${name}`)
      : []
  const all: Suite[] = [
    {
      name: 'unit',
      what: 'directed tests, message by message (`test/raft/*.test.ts`)',
      programs: testsIn('test/raft'),
      environment: {},
    },
    {
      name: 'reference',
      what: "the reference's transcripts",
      programs: [RUN_TRANSCRIPTS],
      environment: { TRANSCRIPTS: REFERENCE },
      needs: REFERENCE,
    },
    {
      name: 'transcripts',
      what: "the project's own transcripts (`test/raft/transcripts`)",
      programs: [RUN_TRANSCRIPTS],
      environment: { TRANSCRIPTS: OWN_TRANSCRIPTS },
      needs: OWN_TRANSCRIPTS,
    },
    {
      name: 'simulator',
      what: `the simulator, ${SIMULATOR_SEEDS} seeds (\`test/simulation/simulation.test.ts\`)`,
      programs: ['test/simulation/simulation.test.js'],
      environment: { WAYMARK_SIM_SEEDS: SIMULATOR_SEEDS },
    },
  ]
  return all.filter(
    ({ programs, needs }) =>
      programs.length > 0 && (needs === undefined || existsSync(join(root, needs))),
  )
}
