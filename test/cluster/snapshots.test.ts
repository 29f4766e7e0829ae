/**
 * Goal: a snapshot shows what was there when it was taken, on whatever node, or says that it cannot
 * any more: other nodes flush and compact without knowing of it.
 * Method: a snapshot on each node of a cluster of three, before rows are replaced and compacted.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MetastoreError } from '../../src/index.ts'
import { bytes, expectEqualReplicas, PLACES, settledLeadersOf, until } from './calls.ts'
import { TestCluster } from './test-cluster.ts'

const [PLACE] = PLACES

test('a snapshot never shows what it must not', { timeout: 60_000 }, async () => {
  await using cluster = await TestCluster.start(3, { partitions: 1, memtableBytesMax: 65_536 })
  await cluster.node(1).records('k').put(PLACE, 'a', bytes('old'))
  const [leader] = await settledLeadersOf(cluster.node(1))
  await expectEqualReplicas(cluster.nodes.values())
  const snapshots = [...cluster.nodes].map(([nodeId, node]) => {
    const records = node.records('k')
    return { nodeId, records, snapshot: records.snapshot(PLACE) }
  })
  for (const { records, snapshot } of snapshots) {
    assert.deepEqual(await records.get(PLACE, 'a', { snapshot }), bytes('old'))
  }
  for (let i = 0; i < 3; i++) {
    await cluster.node(2).records('k').put(PLACE, 'a', bytes('new'))
    await cluster.node(2).compact()
  }
  await until('all have compacted', async () => {
    const statuses = await Promise.all([...cluster.nodes.values()].map(node => node.status()))
    return statuses.every(({ partitions: [of] }) => of.flushedSequence === of.committedSequence)
  })
  for (const { nodeId, records, snapshot } of snapshots) {
    const read = records.get(PLACE, 'a', { snapshot })
    if (nodeId === leader) assert.deepEqual(await read, bytes('old'))
    else await assert.rejects(read, (error: MetastoreError) => error.code === 'UNAVAILABLE')
    if (nodeId !== leader) {
      assert.throws(() => records.getSync(PLACE, 'a', { snapshot }), { code: 'UNAVAILABLE' })
    }
    snapshot.release()
  }
})
