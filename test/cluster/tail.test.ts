/**
 * Goal: the tail is the leader's, whoever that is: the next one goes on where the last one stopped.
 * Method: clusters of three over one bucket in memory, whose tail objects are decoded.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tailPrefix } from '../../src/codec/bucket-layout.ts'
import { decodeTail, type Tail } from '../../src/codec/tail.ts'
import type { Metastore, TopicPartition } from '../../src/index.ts'
import { memoryObjectStore } from '../../src/main/object-stores/memory-registry.ts'
import { until } from './calls.ts'
import { TestCluster } from './test-cluster.ts'

const TP: TopicPartition = { topicId: '11111111-1111-4111-8111-111111111111', partition: 0 }

/** Of the bucket's only domain, by epoch and sequence. */
async function tailsOf(cluster: TestCluster): Promise<Tail[]> {
  const bucket = memoryObjectStore(cluster.bucket.slice('memory:'.length))
  const [{ key }] = (await bucket.list('cluster/')).objects
  const { domains } = JSON.parse(Buffer.from((await bucket.get(key)) ?? []).toString())
  const tails: Tail[] = []
  for (const object of (await bucket.list(tailPrefix(domains[0]))).objects) {
    const bytes = await bucket.get(object.key)
    if (bytes !== null) tails.push(decodeTail(bytes, object.key))
  }
  return tails
}

/** The leader, when it says that everything is in the bucket. */
async function shippingLeader(cluster: TestCluster, sequence: number): Promise<number> {
  let found = 0
  await until('the leader has shipped everything', async () => {
    for (const [nodeId, node] of cluster.nodes) {
      const { partitions, recoveryPointMs } = await node.status()
      const { role, shippedSequence } = partitions[0]
      if (role !== 'leader' || shippedSequence !== sequence || recoveryPointMs !== 0) continue
      found = nodeId
      return true
    }
    return false
  })
  return found
}

async function write(node: Metastore, from: number, count: number): Promise<void> {
  for (let i = from; i < from + count; i++) {
    await node.records('k').put(TP, `key ${i}`, Buffer.from(`value ${i}`))
  }
}

test('a new leader ships what the last one has not, and nothing else', async () => {
  await using cluster = await TestCluster.start(3, { partitions: 1, tailIntervalMs: 50 })
  const [first] = cluster.nodes.values()
  assert.ok(first)
  await write(first, 0, 20)
  const old = await shippingLeader(cluster, 20)
  // Maybe it goes back by itself soon after; then there are three leaderships.
  await first.transferLeadership(0, old === 1 ? 2 : 1)
  await shippingLeader(cluster, 20)
  await write(first, 20, 10)
  await shippingLeader(cluster, 30)
  const tails = await tailsOf(cluster)
  assert.ok(new Set(tails.map(({ epoch }) => epoch)).size >= 2)
  const sequences = tails.flatMap(({ first: from, batches }) => batches.map((_, i) => from + i))
  assert.deepEqual(
    sequences,
    Array.from({ length: 30 }, (_, i) => i + 1),
  )
  // Followers do not say how far the bucket is.
  for (const node of cluster.nodes.values()) {
    const [{ role, shippedSequence }] = (await node.status()).partitions
    if (role !== 'leader') assert.equal(shippedSequence, null)
  }
})

test('the leader is gone: the next one ships what it had acknowledged', async () => {
  await using cluster = await TestCluster.start(3, { partitions: 1, tailIntervalMs: 1000 })
  const [first] = cluster.nodes.values()
  assert.ok(first)
  await write(first, 0, 20)
  const statuses = await Promise.all(
    [...cluster.nodes].map(async ([nodeId, node]) => [nodeId, await node.status()] as const),
  )
  const leader = statuses.find(([, { partitions }]) => partitions[0].role === 'leader')?.[0] ?? 0
  await cluster.nodes.get(leader)?.close()
  cluster.nodes.delete(leader)
  assert.notEqual(await shippingLeader(cluster, 20), leader)
  const found = new Set(
    (await tailsOf(cluster)).flatMap(({ first, batches }) => batches.map((_, i) => first + i)),
  )
  assert.equal(found.size, 20)
})
