/**
 * Goal: collection never touches what a reader, checkpoint, restored cluster, job in flight or
 * deposed leader's successor uses, at any delay, and leaves nothing else in the end.
 * Method: the simulation beside it, over many seeds; WAYMARK_GARBAGE_SEEDS runs more of them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type GarbageOutcome, simulateGarbage } from './simulation.ts'

const SEEDS = Number(process.env.WAYMARK_GARBAGE_SEEDS ?? 60)

test('histories in which everything happens at once', async () => {
  const sum: GarbageOutcome = { steps: 0, restores: 0, failovers: 0, deleted: 0 }
  for (let seed = 1; seed <= SEEDS; seed++) {
    const outcome = await simulateGarbage(seed)
    for (const name of Object.keys(sum) as (keyof GarbageOutcome)[]) sum[name] += outcome[name]
  }
  // The runs are worth something only if it all takes place.
  assert.ok(sum.restores > SEEDS / 4 && sum.failovers > SEEDS && sum.deleted > SEEDS * 5)
})
