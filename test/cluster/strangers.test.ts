/**
 * Goal: members know each other by certificates and a secret; who has other ones, or is of another
 * cluster, takes no part and disturbs nobody.
 * Method: a cluster of three with mutual TLS, and nodes beside it that should not be there.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Metastore } from '../../src/index.ts'
import type { ClusterOptions } from '../../src/main/cluster/cluster-options.ts'
import { tlsOf } from '../main/net/members.ts'
import { bytes, PLACES, settledLeadersOf } from './calls.ts'
import { TestCluster } from './test-cluster.ts'

const [PLACE] = PLACES
/** So long that a busy machine alone does not reach it; the strangers have a short one. */
const ELECTION_TIMEOUT_MS = 1500

test('strangers take no part in a cluster with TLS and a secret, and it does not notice', {
  timeout: 90_000,
}, async () => {
  const tls = tlsOf('member')
  const settings = { tls, electionTimeoutMs: ELECTION_TIMEOUT_MS, heartbeatIntervalMs: 100 }
  await using cluster = await TestCluster.start(3, {}, { cluster: settings })
  await cluster.node(1).records('k').put(PLACE, 'a', bytes('1'))
  await settledLeadersOf(cluster.node(1))
  await cluster.close(3)
  const terms = async (): Promise<number[]> =>
    (await cluster.node(1).status()).partitions.map(({ term }) => term)
  // Node 3 has handed over what it led: nobody stands for election from here on.
  await settled(terms)
  const before = await terms()

  const secret = 'a secret of the tests'
  const clusterId = '5d9b3c1e-7a44-4f0e-8a11-2f1c9d7e6b05'
  const strangers: { known: Partial<ClusterOptions>; clusterId?: string }[] = [
    { known: { tls, secret: 'another secret' } },
    { known: { tls: tlsOf('other-member'), secret } },
    { known: { secret } },
    { known: { tls, secret }, clusterId },
  ]
  for (const [i, { known, clusterId = cluster.node(1).clusterId }] of strangers.entries()) {
    const members = cluster.ports.map((port, at) => ({ nodeId: at + 1, host: '127.0.0.1', port }))
    const stranger = await Metastore.open({
      dataDir: `${cluster.directory}/stranger-${i}`,
      objectStore: cluster.bucket,
      partitions: 2,
      workers: 1,
      clusterId,
      cluster: {
        ...{ nodeId: 3, listen: { host: '127.0.0.1', port: cluster.ports[2] }, members },
        ...{ electionTimeoutMs: 300, heartbeatIntervalMs: 50 },
        ...known,
      },
    })
    await sleep(700)
    const { partitions } = await stranger.status()
    assert.ok(
      partitions.every(({ leader }) => leader === null),
      `stranger ${i} has a leader`,
    )
    const stale = { consistency: 'stale' } as const
    assert.equal(await stranger.records('k').get(PLACE, 'a', stale), undefined)
    await cluster
      .node(2)
      .records('k')
      .put(PLACE, 'a', bytes(`${i}`))
    await stranger.close()
  }
  assert.deepEqual(await terms(), before)
  await cluster.open(3)
  assert.deepEqual(await cluster.node(3).records('k').get(PLACE, 'a'), bytes('3'))
})

/** Waits until the numbers stay as they are for longer than an election takes. */
async function settled(numbers: () => Promise<number[]>): Promise<void> {
  for (let before = ''; ; ) {
    const now = (await numbers()).join()
    if (now === before) return
    before = now
    await sleep(2 * ELECTION_TIMEOUT_MS)
  }
}
