/**
 * Goal: every node answers every read, by each consistency, as its promise says; replicas are equal.
 * Method: clusters of three and of five, whose partitions have three voters each.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, expectEqualReplicas, PLACES, until, Writers } from './calls.ts'
import { TestCluster } from './test-cluster.ts'

for (const size of [3, 5]) {
  test(`${size} nodes: what is acknowledged at one is read at all`, {
    timeout: 60_000,
  }, async () => {
    await using cluster = await TestCluster.start(size, { partitions: 5 })
    for (const [i, tp] of PLACES.entries()) {
      await cluster
        .node(1 + (i % size))
        .records('k')
        .put(tp, 'a', bytes(`value ${i}`))
    }
    for (const [nodeId, node] of cluster.nodes) {
      for (const [i, tp] of PLACES.entries()) {
        const records = node.records('k')
        assert.deepEqual(await records.get(tp, 'a'), bytes(`value ${i}`), `node ${nodeId}`)
        const leaders = await records.get(tp, 'a', { consistency: 'leader' })
        assert.deepEqual(leaders, bytes(`value ${i}`), `node ${nodeId}`)
      }
    }
  })
}

test('a linearizable read sees what was acknowledged just before, at any node', {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3)
  const nodes = [...cluster.nodes.values()]
  for (let i = 0; i < 60; i++) {
    const tp = PLACES[i % PLACES.length]
    await nodes[i % 3].records('k').put(tp, 'counter', bytes(`${i}`))
    const found = await Promise.all(nodes.map(node => node.records('k').get(tp, 'counter')))
    for (const value of found) assert.deepEqual(value, bytes(`${i}`))
  }
})

test("a stale read is this node's, needs nobody, and comes up with the others", {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3)
  const [tp] = PLACES
  await cluster.node(1).records('k').put(tp, 'a', bytes('1'))
  for (const node of cluster.nodes.values()) {
    await until('a stale read sees it', async () => {
      const value = await node.records('k').get(tp, 'a', { consistency: 'stale' })
      return value !== undefined
    })
  }
  await cluster.close(2)
  await cluster.close(3)
  const records = cluster.node(1).records('k')
  assert.deepEqual(await records.get(tp, 'a', { consistency: 'stale' }), bytes('1'))
})

test('all replicas have equal rows at equal sequence, after writers at every node', {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3, { memtableBytesMax: 65_536 })
  const writers = new Writers(500)
  writers.start(12, writer => cluster.node(1 + (writer % 3)))
  await writers.more(600)
  await writers.stop()
  assert.deepEqual([writers.unknown.size, writers.refused.size], [0, 0])
  await expectEqualReplicas(cluster.nodes.values())
  for (const node of cluster.nodes.values()) await writers.expectAll(node)
})
