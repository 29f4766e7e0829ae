/**
 * Goal: what processes of a cluster have acknowledged holds under faults; npm run chaos has more and
 * longer runs. Method: a short run of three nodes, with some faults of each kind that needs no root.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChaos } from './chaos-run.ts'

const DURATION_MS = 15_000

test('three processes under faults keep what they have acknowledged', {
  timeout: 180_000,
}, async t => {
  const { problems, figures } = await runChaos({
    ...{ seed: 5, nodes: 3, replicas: 3, partitions: 3, electionTimeoutMs: 500 },
    durationMs: DURATION_MS,
    hasSmallDisks: false,
    say: line => t.diagnostic(line),
  })
  assert.deepEqual(problems, [])
  // Else the run would have shown nothing.
  assert.ok(figures.answered > 0 && figures.appends > 0 && figures.faults > 0)
})
