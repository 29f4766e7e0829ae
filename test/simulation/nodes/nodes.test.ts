/**
 * Goal: what nodes have acknowledged is there and in order, and all replicas are the same, whatever
 * happens to their disks, processes, workers, network and bucket; and in calm everything goes on.
 * Method: whole nodes of production code in virtual time, each cluster from a seed. A failure names
 * its seed; npm run sim -- --nodes --from SEED --count 1 shows all of it.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { SimulationFailure } from '../failure.ts'
import { type NodeOutcome, simulateNodes, transcriptOf } from './simulation.ts'

const SEEDS = Number(process.env.WAYMARK_NODE_SIM_SEEDS ?? 80)
const SHOWN_LINES = 60
/** What a seed comes to, at least, on average. */
const LEAST: Readonly<Partial<NodeOutcome>> = {
  ...{ leaderships: 3, manifests: 10, cuts: 10, writes: 50, reads: 50 },
  ...{ repeats: 5, collected: 5, changes: 0.3, tails: 1 },
}

async function run(seed: number): Promise<NodeOutcome> {
  try {
    return await simulateNodes(seed)
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error
    const end = error.transcript.slice(-SHOWN_LINES).join('\n')
    throw new Error(`${error.message}\n${end}`, { cause: error.cause })
  }
}

test(`${SEEDS} clusters of nodes keep what they acknowledge, and go on in calm`, async () => {
  const total: Record<string, number> = {}
  for (let seed = 1; seed <= SEEDS; seed++) {
    for (const [name, count] of Object.entries(await run(seed))) {
      total[name] = (total[name] ?? 0) + count
    }
  }
  // What never happens is not tested.
  for (const [name, least] of Object.entries(LEAST)) {
    assert.ok(total[name] > least * SEEDS, `${name}: ${JSON.stringify(total)}`)
  }
})

test('a seed decides everything', async () => {
  const [first, second] = [await transcriptOf(2), await transcriptOf(2)]
  assert.ok(first.length > 1000)
  assert.deepEqual(first, second)
  assert.notDeepEqual(await transcriptOf(3), first)
})

test('disks that lie about syncs are found out, again and again', async () => {
  const failureOf = async (seed: number): Promise<SimulationFailure | undefined> => {
    try {
      await simulateNodes(seed, { disksLie: true, nodes: 1, replicationFactor: 1 })
      return undefined
    } catch (error) {
      assert.ok(error instanceof SimulationFailure)
      return error
    }
  }
  const failure = await failureOf(1)
  assert.ok(failure !== undefined, 'it is seen to break')
  assert.match(failure.message, /^seed 1: /)
  assert.doesNotMatch(failure.message, /not deterministic/)
  assert.ok(failure.transcript.length > 100)
  assert.equal((await failureOf(1))?.message, failure.message)
})
