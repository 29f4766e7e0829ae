/**
 * Goal: nodes open and close whatever the others do, in bounded time, and leave nothing behind.
 * Method: parts of clusters of three; a process of its own, which has to end by itself.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { bytes, leadersOf, PLACES, settledLeadersOf, until } from './calls.ts'
import { TestCluster } from './test-cluster.ts'

const [PLACE] = PLACES

test('a member opens without a majority: it reads its own, and its calls end', {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3, { memtableBytesMax: 65_536 })
  for (const tp of PLACES) await cluster.node(1).records('k').put(tp, 'a', bytes('1'))
  await settledLeadersOf(cluster.node(1))
  await cluster.node(1).flush()
  await until('all have it', async () => {
    const statuses = await Promise.all([...cluster.nodes.values()].map(node => node.status()))
    return statuses.every(({ partitions }) =>
      partitions.every(of => of.flushedSequence === of.committedSequence),
    )
  })
  await Promise.all([1, 2, 3].map(nodeId => cluster.close(nodeId)))

  const alone = await cluster.open(2)
  const records = alone.records('k')
  for (const tp of PLACES) {
    assert.deepEqual(await records.get(tp, 'a', { consistency: 'stale' }), bytes('1'))
  }
  const startedAt = Date.now()
  const calls = [
    records.get(PLACE, 'a'),
    records.get(PLACE, 'a', { consistency: 'leader' }),
    records.put(PLACE, 'b', bytes('2')),
    alone.flush(),
    alone.transferLeadership(0, 1),
  ]
  const outcomes = await Promise.allSettled(calls)
  assert.ok(Date.now() - startedAt < 20_000)
  for (const outcome of outcomes) {
    assert.equal(outcome.status, 'rejected')
    assert.equal((outcome.reason as { code: string }).code, 'UNAVAILABLE')
  }
  await cluster.open(1)
  await records.put(PLACE, 'b', bytes('2'))
  assert.deepEqual(await records.get(PLACE, 'b'), bytes('2'))
})

test('a leader that has lost its majority closes in bounded time, with calls under way', {
  timeout: 60_000,
}, async () => {
  const electionTimeoutMs = 2000
  const settings = { hasWires: true, cluster: { electionTimeoutMs, heartbeatIntervalMs: 100 } }
  await using cluster = await TestCluster.start(3, { memtableBytesMax: 65_536 }, settings)
  await cluster.node(1).records('k').put(PLACE, 'a', bytes('1'))
  const [leader] = await leadersOf(cluster.node(1))
  cluster.network.cutOff(leader)
  const node = cluster.node(leader)
  const calls = [
    ...PLACES.map(tp => node.records('k').put(tp, 'b', bytes('2'))),
    ...PLACES.map(tp => node.records('k').get(tp, 'a')),
    node.flush(),
  ]
  const outcomes = Promise.allSettled(calls)
  const startedAt = Date.now()
  await cluster.close(leader)
  await outcomes
  assert.ok(Date.now() - startedAt < 15_000, `${Date.now() - startedAt} ms`)
})

test('a process that has closed its nodes ends by itself', { timeout: 60_000 }, async () => {
  const script = join(import.meta.dirname, 'closing-process.js')
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'inherit', 'inherit'] })
  const killer = setTimeout(() => child.kill('SIGKILL'), 50_000)
  const [code, signal] = await once(child, 'exit')
  clearTimeout(killer)
  assert.deepEqual([code, signal], [0, null])
})
