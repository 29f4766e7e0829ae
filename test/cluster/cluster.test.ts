/**
 * Goal: several nodes are one metastore: what one acknowledges, all have, whoever leads.
 * Method: whole clusters in one process, over loopback.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Metastore } from '../../src/index.ts'
import { TestCluster } from './test-cluster.ts'

const topicId = randomUUID()
const places = Array.from({ length: 8 }, (_, partition) => ({ topicId, partition }))
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

async function leaderOf(node: Metastore, partition: number): Promise<number> {
  for (;;) {
    const { partitions } = await node.status()
    const { leader } = partitions[partition]
    if (leader !== null) return leader
    await sleep(20)
  }
}

test('what is written at one node is read at all', { timeout: 60_000 }, async () => {
  await using cluster = await TestCluster.start(3)
  for (const [i, tp] of places.entries()) {
    await cluster
      .node(1 + (i % 3))
      .records('k')
      .put(tp, `key ${i}`, bytes(`value ${i}`))
  }
  for (const node of cluster.nodes.values()) {
    for (const [i, tp] of places.entries()) {
      assert.deepEqual(await node.records('k').get(tp, `key ${i}`), bytes(`value ${i}`))
    }
  }
})

test('after a leader is gone the others go on, and it catches up', {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3)
  const [tp] = places
  await cluster.node(1).records('k').put(tp, 'a', bytes('1'))
  const status = await cluster.node(1).status()
  const leader = await leaderOf(cluster.node(1), 0)
  assert.equal(status.partitions.length, 2)
  await cluster.close(leader)
  const [other] = cluster.nodes.values()
  for (const place of places) await other.records('k').put(place, 'b', bytes('2'))
  assert.deepEqual(await other.records('k').get(tp, 'a'), bytes('1'))
  const again = await cluster.open(leader)
  for (const place of places) {
    assert.deepEqual(await again.records('k').get(place, 'b'), bytes('2'))
  }
})
