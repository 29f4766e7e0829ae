/**
 * Goal: what was acknowledged survives its leader; what was not is told so; a deposed leader's rows
 * are seen by nobody, and it takes part again.
 * Method: clusters of three under writes, whose leaders are closed, or cut off by their wires.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Metastore, MetastoreError } from '../../src/index.ts'
import {
  bytes,
  expectEqualReplicas,
  leadersOf,
  PLACES,
  settledLeadersOf,
  until,
  Writers,
} from './calls.ts'
import { TestCluster } from './test-cluster.ts'

const [PLACE] = PLACES

function othersThan(cluster: TestCluster, nodeId: number): Metastore[] {
  return [...cluster.nodes].flatMap(([id, node]) => (id === nodeId ? [] : [node]))
}

test('nodes that close and come back under writes lose nothing', {
  timeout: 90_000,
}, async () => {
  await using cluster = await TestCluster.start(3, { memtableBytesMax: 65_536 })
  const writers = new Writers(200)
  writers.start(9, writer => cluster.nodes.get(1 + (writer % 3)))
  await writers.more(50)
  for (const nodeId of [1, 2, 3]) {
    await cluster.close(nodeId)
    await writers.more(50)
    await cluster.open(nodeId)
    await writers.more(50)
  }
  await writers.stop()
  await expectEqualReplicas(cluster.nodes.values())
  for (const node of cluster.nodes.values()) await writers.expectAll(node)
})

test('leaders that are cut off lose nothing that they have acknowledged', {
  timeout: 90_000,
}, async () => {
  await using cluster = await TestCluster.start(3, {}, { hasWires: true })
  const writers = new Writers()
  writers.start(9, writer => cluster.node(1 + (writer % 3)))
  await writers.more(50)
  for (let round = 0; round < 3; round++) {
    const [leader] = await leadersOf(cluster.node(1 + round))
    cluster.network.cutOff(leader)
    await sleep(1500)
    cluster.network.heal()
    await writers.more(50)
  }
  await writers.stop()
  await expectEqualReplicas(cluster.nodes.values())
  for (const node of cluster.nodes.values()) await writers.expectAll(node)
})

test('rows of a leader without a majority are seen by nobody, and it takes part again', {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3, {}, { hasWires: true })
  await cluster.node(1).records('k').put(PLACE, 'a', bytes('before'))
  const partition = await partitionOf(cluster.node(1))
  const leader = (await settledLeadersOf(cluster.node(1)))[partition]
  const [other, third] = othersThan(cluster, leader)
  cluster.network.cutOff(leader)
  const lost = cluster.node(leader).records('k').put(PLACE, 'a', bytes('lost'))
  await assert.rejects(lost, (error: MetastoreError) =>
    ['INDETERMINATE', 'UNAVAILABLE'].includes(error.code),
  )
  const stale = { consistency: 'stale' } as const
  assert.deepEqual(await cluster.node(leader).records('k').get(PLACE, 'a', stale), bytes('before'))
  await other.records('k').put(PLACE, 'a', bytes('after'))
  assert.deepEqual(await third.records('k').get(PLACE, 'a'), bytes('after'))
  cluster.network.heal()
  assert.deepEqual(await cluster.node(leader).records('k').get(PLACE, 'a'), bytes('after'))
  await expectEqualReplicas(cluster.nodes.values())
  // It counts again: with it alone of the others the cluster goes on.
  await cluster.close([1, 2, 3].find(id => id !== leader) ?? 0)
  const back = cluster.node(leader)
  await back.records('k').put(PLACE, 'a', bytes('together'))
  assert.deepEqual(await back.records('k').get(PLACE, 'a'), bytes('together'))
})

/** Of PLACE: the one whose sequence a write moves. */
async function partitionOf(node: Metastore): Promise<number> {
  const sequences = async (): Promise<number[]> =>
    (await node.status()).partitions.map(({ committedSequence }) => committedSequence)
  const before = await sequences()
  await node.records('k').put(PLACE, 'where', bytes('x'))
  // A follower hears of the commit a little later.
  let moved = -1
  await until('the write has moved a sequence', async () => {
    moved = (await sequences()).findIndex((sequence, i) => sequence > before[i])
    return moved >= 0
  })
  return moved
}

test('a write with a request id is applied once, whoever leads, and gets its first answer', {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3)
  const requestId = randomUUID()
  const [objectId] = await cluster.node(1).preregisterObjects(PLACE, 1)
  const range = { baseOffset: 0, lastOffset: 9 }
  const extent = { topicPartition: PLACE, ...range, maxTimestamp: 5, position: 0, sizeBytes: 9 }
  const request = {
    objects: [{ objectId, footerPosition: 9, sizeBytes: 20, extents: [extent] }],
    terms: [{ topicPartition: PLACE, terms: [{ term: 1, startOffset: 0 }] }],
  }
  await cluster.node(1).addObjects(request)
  const cleaned = { baseOffset: 0, lastOffset: 4, hasTombstones: false }
  const update = {
    ...{ topicPartition: PLACE, expectedEpoch: 0, cleanedAt: 1 },
    ...{ cleanedRanges: [cleaned], removedTombstoneRanges: [] },
  }
  await cluster.node(1).commitCompaction({ updates: [update] }, { requestId })
  for (const nodeId of [1, 2, 3]) {
    await cluster.close(nodeId)
    const other = cluster.node(nodeId === 1 ? 2 : 1)
    await other.commitCompaction({ updates: [update] }, { requestId })
    // Without the id it is another request, and comes too late.
    const repeated = other.commitCompaction({ updates: [update] })
    await assert.rejects(repeated, { code: 'CONFLICT' })
    await cluster.open(nodeId)
  }
})

test('writes with request ids are repeated by themselves over a leader that is cut off', {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3, {}, { hasWires: true })
  await cluster.node(1).records('k').put(PLACE, 'a', bytes('1'))
  const leader = (await settledLeadersOf(cluster.node(1)))[await partitionOf(cluster.node(1))]
  const [other] = othersThan(cluster, leader)
  const ids = await other.preregisterObjects(PLACE, 20)
  let next = 0
  const add = async (objectId: string): Promise<void> => {
    const baseOffset = next++ * 10
    const extents = [
      {
        topicPartition: PLACE,
        ...{ baseOffset, lastOffset: baseOffset + 9 },
        ...{ maxTimestamp: 5, position: 0, sizeBytes: 9 },
      },
    ]
    const objects = [{ objectId, footerPosition: 9, sizeBytes: 20, extents }]
    const terms = [{ topicPartition: PLACE, terms: [{ term: 1, startOffset: baseOffset }] }]
    const result = await other.addObjects({ objects, terms }, { requestId: randomUUID() })
    assert.deepEqual(result.correctedNextOffsets, [])
  }
  for (const [i, objectId] of ids.entries()) {
    if (i === 5) cluster.network.cutOff(leader)
    await add(objectId)
  }
  cluster.network.heal()
  for (const node of cluster.nodes.values()) {
    assert.equal((await node.getOffsets(PLACE)).nextOffset, 200)
  }
})
