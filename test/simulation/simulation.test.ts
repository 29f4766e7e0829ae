/**
 * Goal: whatever the network, disks, clocks and operators do, nothing that Raft promises breaks, and
 * as soon as they are kind every group goes on.
 * Method: whole clusters in virtual time, each from a seed, with invariants after every step and a
 * check of the clients' histories. A failure names its seed and shows the end of its transcript;
 * npm run sim -- --from SEED --count 1 shows all of it.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { SimulationFailure } from './failure.ts'
import { type Outcome, simulate } from './simulation.ts'

const SEEDS = Number(process.env.WAYMARK_SIM_SEEDS ?? 1000)
const SHOWN_LINES = 60

function run(seed: number): Outcome {
  try {
    return simulate(seed)
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error
    const end = error.transcript.slice(-SHOWN_LINES).join('\n')
    throw new Error(`${error.message}\n${end}`, { cause: error.cause })
  }
}

test(`${SEEDS} clusters are safe at every step, linearizable, and go on in calm`, () => {
  const total = { elections: 0, committed: 0, changes: 0, snapshots: 0, reads: 0 }
  for (let seed = 1; seed <= SEEDS; seed++) {
    const outcome = run(seed)
    total.elections += outcome.elections
    total.committed += outcome.committed
    total.changes += outcome.changes
    total.snapshots += outcome.snapshots
    total.reads += outcome.reads
  }
  // What never happens is not tested.
  const { elections, committed, changes, snapshots, reads } = total
  const isEnough =
    elections > 5 * SEEDS && committed > 50 * SEEDS && changes > SEEDS && snapshots > SEEDS / 10
  assert.ok(isEnough && reads > 30 * SEEDS, JSON.stringify(total))
})
