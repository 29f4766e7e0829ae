/**
 * Goal: a node that was away for longer than the others keep their log comes back by a manifest and
 * the log behind it, and is a member like any other then: after a restart, and as the leader.
 * Method: a cluster of three with small memtables, whose log is cut while one is closed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, expectEqualReplicas, leadersOf, PLACES, until, Writers } from './calls.ts'
import { TestCluster } from './test-cluster.ts'

test('a node far behind gets a snapshot, restarts from its disk alone, and leads', {
  timeout: 90_000,
}, async () => {
  await using cluster = await TestCluster.start(3, { memtableBytesMax: 65_536 })
  const writers = new Writers(400)
  writers.start(6, writer => cluster.nodes.get(1 + (writer % 3)))
  await writers.more(20)
  await cluster.close(3)
  await writers.more(300)
  await writers.stop()
  await cluster.node(1).flush()
  const sizes = async (): Promise<number[]> =>
    (await cluster.node(1).status()).partitions.map(({ logBytes }) => logBytes)
  await until('the log is cut', async () => (await sizes()).every(size => size < 10_000))
  for (const tp of PLACES) await cluster.node(2).records('k').put(tp, 'behind', bytes('the cut'))

  await cluster.open(3)
  await expectEqualReplicas(cluster.nodes.values())
  await writers.expectAll(cluster.node(3))

  await Promise.all([1, 2, 3].map(nodeId => cluster.close(nodeId)))
  const alone = await cluster.open(3)
  // What is behind the cut it has, but nobody tells it that it is committed.
  const [[key, place]] = writers.acknowledged
  assert.ok(await alone.records('k').get(place, key, { consistency: 'stale' }))
  await cluster.open(1)
  await writers.expectAll(cluster.node(3))
  for (const tp of PLACES) {
    assert.deepEqual(await alone.records('k').get(tp, 'behind'), bytes('the cut'))
  }

  // Of two nodes it is one half of every majority; and it leads where it is told to.
  for (const partition of [0, 1]) {
    await until('it leads', async () => {
      await alone.transferLeadership(partition, 3).catch(() => {})
      return (await leadersOf(alone))[partition] === 3
    })
  }
  for (const tp of PLACES) await alone.records('k').put(tp, 'led', bytes('by 3'))
  await alone.flush()
  await cluster.open(2)
  await expectEqualReplicas(cluster.nodes.values())
  for (const tp of PLACES) {
    assert.deepEqual(await cluster.node(2).records('k').get(tp, 'led'), bytes('by 3'))
  }
})

test('nodes that go and come back in turn, over flushes and compactions, stay equal', {
  timeout: 90_000,
}, async () => {
  await using cluster = await TestCluster.start(3, { memtableBytesMax: 65_536 })
  const writers = new Writers(300)
  writers.start(6, writer => cluster.nodes.get(1 + (writer % 3)))
  for (const nodeId of [2, 3, 1]) {
    await cluster.close(nodeId)
    await writers.more(60)
    const [other] = cluster.nodes.values()
    if (nodeId === 3) await other.compact()
    else await other.flush()
    await writers.more(20)
    await cluster.open(nodeId)
  }
  await writers.stop()
  await expectEqualReplicas(cluster.nodes.values())
  for (const node of cluster.nodes.values()) await writers.expectAll(node)
})
