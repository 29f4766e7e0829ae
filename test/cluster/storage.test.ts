/**
 * Goal: flushes and compactions are the leader's, their outcome is everybody's, and neither a change
 * of leaders nor a bucket that stands still breaks or loses anything.
 * Method: clusters of three with small memtables, over one bucket whose tables can be held back.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MetastoreError, type ObjectStore } from '../../src/index.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import {
  expectEqualReplicas,
  leadersOf,
  PLACES,
  settledLeadersOf,
  until,
  Writers,
} from './calls.ts'
import { TestCluster } from './test-cluster.ts'

/** Tables are put only while it is open. */
class Bucket extends MemoryObjectStore {
  #opened = Promise.resolve()
  #open: () => void = () => {}
  waiting = 0

  hold(): void {
    this.#opened = new Promise(resolve => {
      this.#open = resolve
    })
  }

  release(): void {
    this.#open()
  }

  override async put(...[key, body, options]: Parameters<ObjectStore['put']>) {
    if (key.endsWith('.sst')) {
      this.waiting++
      await this.#opened
      this.waiting--
    }
    return await super.put(key, body, options)
  }
}

async function expectEqualStorage(cluster: TestCluster): Promise<void> {
  await until('all nodes have the same levels, and no memtable waits', async () => {
    const statuses = await Promise.all([...cluster.nodes.values()].map(node => node.status()))
    const states = statuses.map(({ partitions }) =>
      partitions.map(({ levels, flushedSequence, frozenMemtables }) =>
        JSON.stringify([levels, flushedSequence, frozenMemtables]),
      ),
    )
    const hasFrozen = statuses.some(of =>
      of.partitions.some(({ frozenMemtables }) => frozenMemtables),
    )
    return !hasFrozen && states.every(state => state.join() === states[0].join())
  })
}

test('what the leader flushes and compacts, all have, and let their memtables go', {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3, { memtableBytesMax: 65_536 })
  const writers = new Writers(500)
  writers.start(6, writer => cluster.node(1 + (writer % 3)))
  await writers.more(400)
  await writers.stop()
  await cluster.node(2).flush()
  await expectEqualStorage(cluster)
  await cluster.node(3).compact()
  await expectEqualStorage(cluster)
  const { partitions } = await cluster.node(1).status()
  for (const { flushedSequence, committedSequence, levels, memtableBytes } of partitions) {
    assert.equal(flushedSequence, committedSequence)
    assert.ok(levels.every(({ level }) => level > 0))
    assert.equal(memtableBytes, 0)
  }
  for (const node of cluster.nodes.values()) await writers.expectAll(node)
})

test('a new leader goes on with flushes and compactions', { timeout: 60_000 }, async () => {
  await using cluster = await TestCluster.start(3, { memtableBytesMax: 65_536 })
  const writers = new Writers(500)
  writers.start(6, writer => cluster.nodes.get(1 + (writer % 3)))
  await writers.more(150)
  for (const nodeId of [1, 2]) {
    await cluster.close(nodeId)
    await writers.more(150)
    await cluster.node(3).compact()
    await cluster.open(nodeId)
  }
  await writers.stop()
  await cluster.node(3).flush()
  await expectEqualStorage(cluster)
  await expectEqualReplicas(cluster.nodes.values())
  for (const node of cluster.nodes.values()) await writers.expectAll(node)
})

test('leadership that is handed over under load needs no write to be doubted or refused', {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3, { memtableBytesMax: 65_536 })
  const writers = new Writers(300)
  writers.start(9, writer => cluster.node(1 + (writer % 3)))
  for (let round = 0; round < 6; round++) {
    await writers.more(20)
    const partition = round % 2
    const leader = (await leadersOf(cluster.node(1)))[partition]
    await cluster.node(1 + (round % 3)).transferLeadership(partition, 1 + (leader % 3))
  }
  await writers.more(20)
  await writers.stop()
  assert.deepEqual([writers.unknown.size, writers.refused.size], [0, 0])
  await expectEqualReplicas(cluster.nodes.values())
  for (const node of cluster.nodes.values()) await writers.expectAll(node)
})

test("a flush whose leader is deposed in the middle of it undoes nothing of the next one's", {
  timeout: 60_000,
}, async () => {
  const bucket = new Bucket()
  const options = { memtableBytesMax: 65_536, partitions: 1, objectStore: bucket }
  await using cluster = await TestCluster.start(3, options, { hasWires: true })
  const writers = new Writers(500)
  writers.start(6, writer => cluster.node(1 + (writer % 3)))
  await writers.more(30)
  await writers.stop()
  const [leader] = await settledLeadersOf(cluster.node(1))
  bucket.hold()
  const flushing = cluster
    .node(leader)
    .flush()
    .catch((error: MetastoreError) => error.code)
  await until('its table is on its way', async () => bucket.waiting > 0)
  cluster.network.cutOff(leader)
  const others = [1, 2, 3].filter(id => id !== leader)
  writers.start(6, writer => cluster.node(others[writer % 2]))
  await writers.more(60)
  bucket.release()
  await cluster.node(others[0]).flush()
  cluster.network.heal()
  await writers.more(60)
  await writers.stop()
  await flushing
  await cluster.node(leader).flush()
  await expectEqualStorage(cluster)
  await expectEqualReplicas(cluster.nodes.values())
  for (const node of cluster.nodes.values()) await writers.expectAll(node)
})

test('a bucket that stands still shows as OVERLOADED, and never as an election', {
  timeout: 60_000,
}, async () => {
  const bucket = new Bucket()
  const options = { memtableBytesMax: 65_536, objectStore: bucket }
  // Election timeouts that a busy machine alone does not reach.
  const settings = { cluster: { electionTimeoutMs: 2000, heartbeatIntervalMs: 100 } }
  await using cluster = await TestCluster.start(3, options, settings)
  await cluster.node(1).records('k').put(PLACES[0], 'a', new Uint8Array(1))
  await settledLeadersOf(cluster.node(1))
  const terms = async (): Promise<number[]> =>
    (await cluster.node(2).status()).partitions.map(({ term }) => term)
  const before = await terms()
  bucket.hold()
  // Large ones, so that each fills a memtable; nobody waits for the one before.
  const value = new Uint8Array(1024 * 1024)
  const codes: unknown[] = []
  const puts: Promise<void>[] = []
  for (let i = 0; i < 60 && codes.length === 0; i++) {
    const records = cluster.node(1 + (i % 3)).records('k')
    puts.push(
      records.put(PLACES[0], `large ${i}`, value).catch((error: unknown) => {
        codes.push(error instanceof MetastoreError ? error.code : error)
      }),
    )
    await sleep(50)
  }
  assert.equal(codes[0], 'OVERLOADED')
  assert.ok((await cluster.node(3).records('k').get(PLACES[0], 'a')) !== undefined)
  assert.deepEqual(await terms(), before)
  bucket.release()
  await Promise.all(puts)
  assert.deepEqual([...new Set(codes)], ['OVERLOADED'])
  await until('writes go on', async () => {
    const put = cluster.node(1).records('k').put(PLACES[0], 'b', new Uint8Array(1))
    return await put.then(
      () => true,
      () => false,
    )
  })
})
