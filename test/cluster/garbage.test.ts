/**
 * Goal: any node has garbage collected by whoever leads; a new leader collects what the one before
 * has flushed, and finds all nodes' objects known.
 * Method: a cluster of three over one bucket, without a delay.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { objectKey } from '../../src/codec/bucket-layout.ts'
import type { Metastore, TopicPartition } from '../../src/index.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { settledLeadersOf } from './calls.ts'
import { TestCluster } from './test-cluster.ts'

const TP: TopicPartition = { topicId: '44444444-4444-4444-8444-444444444444', partition: 0 }

async function dropped(node: Metastore, bucket: MemoryObjectStore, at: number): Promise<string> {
  const [id] = await node.preregisterObjects(TP, 1)
  await bucket.put(objectKey(id), new Uint8Array(9))
  const offsets = { baseOffset: at, lastOffset: at }
  const extent = { topicPartition: TP, ...offsets, maxTimestamp: 1, position: 0, sizeBytes: 9 }
  await node.addObjects({
    objects: [{ objectId: id, footerPosition: 9, sizeBytes: 9, extents: [extent] }],
    terms: [{ topicPartition: TP, terms: [{ term: 1, startOffset: at }] }],
  })
  await node.setStartOffset(TP, at + 1)
  return id
}

test('garbage of all domains goes on a call at any node, also after leaders have changed', {
  timeout: 60_000,
}, async () => {
  const bucket = new MemoryObjectStore()
  const options = { objectStore: bucket, garbageDelayMs: 0, garbageIntervalMs: null }
  await using cluster = await TestCluster.start(3, options)
  for (let at = 0; at < 3; at++) {
    const nodeId = at + 1
    const id = await dropped(cluster.node(nodeId), bucket, at)
    assert.equal((await cluster.node(nodeId).collectGarbage()).objects, 0)
    await cluster.node(nodeId).flush()
    if (at > 0) {
      const leaders = await settledLeadersOf(cluster.node(nodeId))
      for (const [partition, leader] of leaders.entries()) {
        await cluster.node(nodeId).transferLeadership(partition, (leader % 3) + 1)
      }
    }
    const report = await cluster.node(nodeId).collectGarbage()
    assert.deepEqual([report.objects, report.unknownObjectCount], [1, 0])
    assert.equal(await bucket.head(objectKey(id)), null)
  }
})
