/**
 * Goal: members come and go while the cluster works, and leadership is where it should be.
 * Method: whole clusters in one process, over loopback.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Metastore } from '../../src/index.ts'
import { settledLeadersOf } from './calls.ts'
import { TestCluster } from './test-cluster.ts'

const topicId = randomUUID()
const places = Array.from({ length: 8 }, (_, partition) => ({ topicId, partition }))
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

async function until(what: string, isDone: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 50_000
  while (!(await isDone())) {
    assert.ok(Date.now() < deadline, what)
    await sleep(50)
  }
}

async function putAll(node: Metastore, key: string): Promise<void> {
  await Promise.all(places.map(tp => node.records('k').put(tp, key, bytes(key))))
}

async function expectAll(node: Metastore, key: string): Promise<void> {
  for (const tp of places) assert.deepEqual(await node.records('k').get(tp, key), bytes(key))
}

async function leaders(node: Metastore): Promise<(number | null)[]> {
  return (await node.status()).partitions.map(({ leader }) => leader)
}

test('a dead node is replaced by a new one, which has everything', {
  timeout: 90_000,
}, async () => {
  await using cluster = await TestCluster.start(3, { memtableBytesMax: 65_536 })
  await putAll(cluster.node(1), 'before')
  await cluster.node(1).flush()
  await putAll(cluster.node(2), 'behind')
  await cluster.close(3)
  const added = await cluster.join()
  await cluster.node(1).changeMembers({ add: [added], remove: [3] })
  await putAll(cluster.node(2), 'after')
  const fresh = cluster.node(added.nodeId)
  for (const key of ['before', 'behind', 'after']) await expectAll(fresh, key)
  // It counts: with it and one other the cluster goes on.
  await cluster.close(1)
  await putAll(fresh, 'last')
  await expectAll(cluster.node(2), 'last')
})

test('a new member that gets the log from its first entry on counts and leads', {
  timeout: 90_000,
}, async () => {
  await using cluster = await TestCluster.start(3)
  await putAll(cluster.node(1), 'before')
  const added = await cluster.join()
  await cluster.node(1).changeMembers({ add: [added], remove: [3] })
  await cluster.close(3)
  await cluster.close(1)
  const fresh = cluster.node(added.nodeId)
  await putAll(fresh, 'after')
  await until('it leads where it is told to', async () => {
    await Promise.all([0, 1].map(i => fresh.transferLeadership(i, added.nodeId).catch(() => {})))
    return (await leaders(fresh)).every(leader => leader === added.nodeId)
  })
  await putAll(fresh, 'led')
  for (const key of ['before', 'after', 'led']) await expectAll(cluster.node(2), key)
})

test('a member that leaves hands over what it led', { timeout: 90_000 }, async () => {
  await using cluster = await TestCluster.start(4)
  await putAll(cluster.node(1), 'before')
  await cluster.node(2).changeMembers({ remove: [1] })
  await cluster.close(1)
  await putAll(cluster.node(4), 'after')
  await expectAll(cluster.node(3), 'before')
  assert.ok(!(await leaders(cluster.node(2))).includes(1))
})

test('leadership spreads over the nodes, and goes where it is told', {
  timeout: 90_000,
}, async () => {
  await using cluster = await TestCluster.start(3, { partitions: 6 })
  const [one] = [cluster.node(1)]
  await until('every node leads two partitions', async () => {
    const found = await leaders(one)
    return [1, 2, 3].every(id => found.filter(leader => leader === id).length === 2)
  })
  await one.transferLeadership(0, 2)
  await putAll(one, 'a')
  await assert.rejects(one.transferLeadership(0, 9), { code: 'INVALID_REQUEST' })
})

test('a dataDir is opened as the node that it is', { timeout: 60_000 }, async () => {
  await using cluster = await TestCluster.start(2)
  await cluster.close(2)
  const options = { dataDir: cluster.directoryOf(2), objectStore: cluster.bucket }
  await assert.rejects(Metastore.open(options), {
    code: 'INVALID_REQUEST',
    message: /is that of node 2, not a cluster of one/,
  })
  await cluster.close(1)
  await assert.rejects(cluster.open(1, { dataDir: cluster.directoryOf(2) }), {
    code: 'INVALID_REQUEST',
    message: /cluster.nodeId: .* is that of node 2, not node 1/,
  })
})

test('a node that closes has handed over what it led', { timeout: 60_000 }, async () => {
  // Nobody is elected for want of a leader before 0.8 of it has passed; so this looks until then.
  const cluster = { electionTimeoutMs: 3000 }
  await using nodes = await TestCluster.start(3, { partitions: 4 }, { cluster })
  await putAll(nodes.node(1), 'before')
  // Where they stay: while one moves, nobody may be known to lead it.
  const [leader] = await settledLeadersOf(nodes.node(1))
  const other = nodes.node(leader === 1 ? 2 : 1)
  await nodes.close(leader)
  const closedAt = performance.now()
  let found = await leaders(other)
  // A new leader is known by its first message, a moment after the vote that it was given.
  while (!found.every(id => id !== null && id !== leader)) {
    assert.ok(performance.now() - closedAt < 0.8 * 3000, `${leader} has closed; led by ${found}`)
    await sleep(10)
    found = await leaders(other)
  }
  await putAll(other, 'after')
})
