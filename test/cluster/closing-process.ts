/** A process that opens and closes clusters, whole and in part, and has nothing else to do. */
import assert from 'node:assert/strict'
import { bytes, PLACES } from './calls.ts'
import { TestCluster } from './test-cluster.ts'

for (let round = 0; round < 3; round++) {
  await using cluster = await TestCluster.start(3)
  for (const tp of PLACES) await cluster.node(1).records('k').put(tp, 'a', bytes('1'))
  const waiting = PLACES.map(tp => cluster.node(2).records('k').get(tp, 'a'))
  await cluster.close(1)
  assert.ok((await Promise.all(waiting)).every(value => value !== undefined))
}
