/** All mutants, in the order of docs/raft-mutants.md. */
import { DURABILITY_MUTANTS } from './durability-mutants.ts'
import { ELECTION_MUTANTS } from './election-mutants.ts'
import { LOG_MUTANTS } from './log-mutants.ts'
import { MEMBERSHIP_MUTANTS } from './membership-mutants.ts'
import type { Mutant } from './mutant.ts'
import { READ_MUTANTS } from './read-mutants.ts'
import { REPLICATION_MUTANTS } from './replication-mutants.ts'

export interface Chapter {
  readonly title: string
  readonly mutants: readonly Mutant[]
}

export const CHAPTERS: readonly Chapter[] = [
  { title: 'Elections', mutants: ELECTION_MUTANTS },
  { title: 'The log', mutants: LOG_MUTANTS },
  { title: 'Durability and restarts', mutants: DURABILITY_MUTANTS },
  { title: 'Replication, limits, transfers', mutants: REPLICATION_MUTANTS },
  { title: 'Reads and leases', mutants: READ_MUTANTS },
  { title: 'Changes of the configuration', mutants: MEMBERSHIP_MUTANTS },
]
