/**
 * Goal: commits wait for a majority and for nobody else: one follower that is slow and one that is
 * dead hold up nothing, cost bounded memory and no election, and have everything in the end.
 * Method: what is slow stands still altogether, while more is acknowledged than all windows and
 * rings hold. Election timeouts are so long that only what is held back can reach them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Metastore } from '../../src/index.ts'
import { bytes, expectEqualReplicas, leadBy, PLACES, until, Writers } from './calls.ts'
import { TestCluster } from './test-cluster.ts'
import { WorkerGate } from './worker-gate.ts'

const MIB = 1024 * 1024
const ELECTION_TIMEOUT_MS = 2000
const CLUSTER = { electionTimeoutMs: ELECTION_TIMEOUT_MS, heartbeatIntervalMs: 100 }
const VALUE_BYTES = 65_536
/** On their way to one follower, at most; the last append may go beyond it by its own size. */
const INFLIGHT_BYTES = 16 * MIB
const APPEND_BYTES = MIB

async function sequenceOf(node: Metastore): Promise<number> {
  return (await node.status()).partitions[0].committedSequence
}

async function termOf(node: Metastore): Promise<number> {
  return (await node.status()).partitions[0].term
}

test('a follower behind a slow link and a dead one hold up no commit, and catch up', {
  timeout: 60_000,
}, async () => {
  const settings = { hasWires: true, cluster: { ...CLUSTER, replicationFactor: 5 } }
  await using cluster = await TestCluster.start(5, { partitions: 1 }, settings)
  const { network } = cluster
  const [leader, slow, dead] = [1, 4, 5]
  await leadBy(cluster.node(leader), leader)
  await expectEqualReplicas(cluster.nodes.values())
  const term = await termOf(cluster.node(leader))
  const before = await sequenceOf(cluster.node(slow))

  await cluster.close(dead)
  network.slowDown(0, slow)
  const writers = new Writers(VALUE_BYTES)
  writers.start(12, writer => cluster.node(1 + (writer % 3)))
  let heldMax = 0
  for (let bytesWritten = 0; bytesWritten < 1.5 * INFLIGHT_BYTES; bytesWritten += MIB) {
    await writers.more(MIB / VALUE_BYTES)
    // When it takes long the connection is given up as silent, with what it held.
    heldMax = Math.max(heldMax, network.waitingBytes(leader, slow))
  }
  await writers.stop()
  assert.equal(await sequenceOf(cluster.node(slow)), before)
  assert.ok(heldMax < INFLIGHT_BYTES + 2 * APPEND_BYTES, `${heldMax} bytes wait for one follower`)

  // When it asks for an election, and it does so as soon as little gets through, nobody wants one.
  const leaderAsItKnows = async (): Promise<number | null> =>
    (await cluster.node(slow).status()).partitions[0].leader
  await until('it misses its leader', async () => (await leaderAsItKnows()) === null)
  network.slowDown(MIB, slow)
  await until('it hears of its leader', async () => (await leaderAsItKnows()) === leader)
  await cluster.node(leader).records('k').put(PLACES[0], 'a', bytes('a'))
  assert.deepEqual([writers.unknown.size, writers.refused.size], [0, 0])

  network.heal()
  await cluster.open(dead)
  await expectEqualReplicas(cluster.nodes.values())
  for (const node of cluster.nodes.values()) {
    await writers.expectAll(node)
    assert.equal(await termOf(node), term)
  }
})

test('a follower whose worker stands still takes part in commits like any other', {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3, { partitions: 1 }, { cluster: CLUSTER })
  const [leader, dead, stalled] = [1, 2, 3]
  await cluster.close(stalled)
  using gate = await WorkerGate.around(() => cluster.open(stalled))
  await leadBy(cluster.node(leader), leader)
  const term = await termOf(cluster.node(leader))
  // Now every commit needs the other one.
  await cluster.close(dead)
  await expectEqualReplicas(cluster.nodes.values())
  const before = await sequenceOf(cluster.node(stalled))

  gate.close()
  const writers = new Writers(VALUE_BYTES)
  writers.start(8, () => cluster.node(leader))
  const endsAt = performance.now() + 2 * ELECTION_TIMEOUT_MS
  // More than the worker's ring holds, and than is handed out to be applied.
  await writers.more((24 * MIB) / VALUE_BYTES)
  await writers.stop()
  while (performance.now() < endsAt) {
    await cluster.node(leader).records('k').put(PLACES[0], 'a', bytes('a'))
    await sleep(100)
  }
  assert.deepEqual([writers.unknown.size, writers.refused.size], [0, 0])
  assert.equal(await sequenceOf(cluster.node(stalled)), before)
  for (const node of cluster.nodes.values()) assert.equal(await termOf(node), term)

  gate.open()
  await cluster.open(dead)
  await expectEqualReplicas(cluster.nodes.values())
  for (const node of cluster.nodes.values()) await writers.expectAll(node)
  assert.equal(await termOf(cluster.node(leader)), term)
})
