/**
 * Goal: a cluster is restored to another number of members, and everything that the bucket had is
 * there: one node to three, which outlive the node that restored; three to one; and a whole cluster
 * that was lost while writes flowed, up to the newest tail object.
 * Method: whole clusters in one process, over loopback; tail objects are made of a node's log.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { clusterKey } from '../../src/codec/bucket-layout.ts'
import { decodeCluster } from '../../src/codec/cluster-file.ts'
import { Metastore, type MetastoreOptions } from '../../src/index.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { freePorts } from '../free-ports.ts'
import { batchesIn, shipTail } from '../main/recovery/restoring.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { expectEqualReplicas, PLACES, until, Writers } from './calls.ts'
import { TestCluster } from './test-cluster.ts'

/** Ships what a node's log has behind `after`, by metastore partition. @returns up to where */
async function shipLog(
  bucket: MemoryObjectStore,
  clusterId: string,
  dataDir: string,
  after: readonly number[],
): Promise<number[]> {
  const key = clusterKey(clusterId)
  const { domains } = decodeCluster((await bucket.get(key)) as Uint8Array, key)
  const logged = await batchesIn(dataDir)
  return await Promise.all(
    domains.map(async (domain, number) => {
      const last = Math.max(after[number], ...(logged[number]?.keys() ?? []))
      if (last === after[number]) return last
      const origin = { clusterId, domain, epoch: 1 }
      const span = [after[number] + 1, last] as const
      await shipTail(bucket, origin, logged[number], span, Date.now())
      return last
    }),
  )
}

async function flushedSequences(node: Metastore): Promise<number[]> {
  return (await node.status()).partitions.map(({ flushedSequence }) => flushedSequence)
}

test('a source of one becomes three, which go on without the node that restored', {
  timeout: 90_000,
}, async t => {
  const directory = await temporaryDirectory()
  const bucket = new MemoryObjectStore()
  const shared = { objectStore: bucket, workers: 1, partitions: 3, memtableBytesMax: 65_536 }
  const dataDir = join(directory, 'source')
  const source = await Metastore.open({ ...shared, dataDir })
  const writers = new Writers(300)
  writers.start(6, () => source)
  await writers.more(200)
  await source.flush()
  await writers.more(20)
  await writers.stop()
  await shipLog(bucket, source.clusterId, dataDir, await flushedSequences(source))
  await source.close()

  const ports = await freePorts(3)
  const members = ports.map((port, i) => ({ nodeId: i + 1, host: '127.0.0.1', port }))
  const clusterId = randomUUID()
  const optionsOf = (nodeId: number): MetastoreOptions => ({
    ...{ ...shared, clusterId, dataDir: join(directory, `node-${nodeId}`) },
    cluster: {
      ...{ nodeId, listen: members[nodeId - 1], members },
      ...{ electionTimeoutMs: 300, heartbeatIntervalMs: 50 },
    },
  })
  const from = { clusterId: source.clusterId }
  const nodes = [await Metastore.restore({ ...optionsOf(1), from })]
  t.after(async () => {
    await Promise.all(nodes.map(node => node.close()))
    await rm(directory, { recursive: true })
  })
  await writers.expectAll(nodes[0])
  // It goes on with this after a restart, too.
  await nodes[0].close()
  nodes[0] = await Metastore.open(optionsOf(1))
  writers.start(6, () => nodes[0])
  await writers.more(30)
  for (const nodeId of [2, 3]) nodes.push(await Metastore.open(optionsOf(nodeId)))
  await until('all three are voters of everything', async () => {
    const statuses = await Promise.all(nodes.map(node => node.status()))
    return statuses.every(({ partitions }) => partitions.every(({ role }) => role !== 'none'))
  })
  await until('each leads a partition', async () => {
    const { partitions } = await nodes[1].status()
    return new Set(partitions.map(({ leader }) => leader)).size === 3
  })
  await writers.stop()
  await expectEqualReplicas(nodes)
  await (nodes.shift() as Metastore).close()
  writers.start(6, writer => nodes[writer % 2])
  await writers.more(50)
  await writers.stop()
  for (const node of nodes) await writers.expectAll(node)
})

test('three that are lost while writes flow become one, with all up to the newest tail', {
  timeout: 90_000,
}, async t => {
  const bucket = new MemoryObjectStore()
  const options = { objectStore: bucket, memtableBytesMax: 65_536 }
  await using cluster = await TestCluster.start(3, options)
  const { clusterId } = cluster.node(1)
  const writers = new Writers(300)
  writers.start(6, writer => cluster.nodes.get(1 + (writer % 3)))
  await writers.more(200)
  await cluster.node(2).flush()
  await writers.more(50)
  const acknowledged = new Map(writers.acknowledged)
  // A follower learns of a commit a moment later than the caller.
  const sequences = (await cluster.node(1).status()).partitions.map(of => of.committedSequence)
  let shipped = await flushedSequences(cluster.node(1))
  await until('its log has what was acknowledged', async () => {
    shipped = await shipLog(bucket, clusterId, cluster.directoryOf(1), shipped)
    return shipped.every((sequence, i) => sequence >= sequences[i])
  })
  await Promise.all([1, 2, 3].map(nodeId => cluster.close(nodeId)))
  await writers.stop()

  const dataDir = join(cluster.directory, 'restored')
  const given = { dataDir, objectStore: bucket, workers: 1 }
  const restored = await Metastore.restore({ ...given, from: { clusterId } })
  t.after(() => restored.close())
  for (const [i, { sequence, notUsed }] of (restored.restoreReport?.domains ?? []).entries()) {
    assert.ok(sequence >= shipped[i], `partition ${i}: ${sequence} of ${shipped[i]}`)
    assert.deepEqual(notUsed, [])
  }
  for (const [key, tp] of acknowledged) {
    assert.ok(await restored.records('k').get(tp, key), `${key} was acknowledged and shipped`)
  }
  await Promise.all(PLACES.map(tp => restored.records('k').put(tp, 'new', new Uint8Array(1))))
})

test('a checkpoint is made by the leaders, whichever node is asked', {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3, { partitions: 3 })
  for (const nodeId of [1, 2, 3]) {
    const tp = PLACES[nodeId]
    await cluster.node(nodeId).records('k').put(tp, `${nodeId}`, new Uint8Array(1))
    const { domains } = await cluster.node(nodeId).checkpoint(`of-${nodeId}`)
    const { partitions } = await cluster.node(nodeId).status()
    for (const { domain, sequence } of domains) {
      assert.ok(sequence >= partitions[domain].committedSequence)
    }
  }
  const names = (await cluster.node(2).checkpoints()).map(({ name }) => name)
  assert.deepEqual(names, ['of-1', 'of-2', 'of-3'])
})
