/**
 * Goal: what is slow at the leader, its worker or its way to the bucket, shows as OVERLOADED and
 * never as an election; what is refused is refused before anything of it was done, and what was
 * taken is there when it goes on.
 * Method: the leader's worker stands still, or its bucket takes very long, while callers do not wait
 * for their answers. Election timeouts are so long that load alone cannot reach them.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Metastore, MetastoreError } from '../../src/index.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { FaultyObjectStore } from '../object-stores/faulty-object-store.ts'
import { bytes, expectEqualReplicas, leadBy, PLACES, until } from './calls.ts'
import { TestCluster } from './test-cluster.ts'
import { WorkerGate } from './worker-gate.ts'

const ELECTION_TIMEOUT_MS = 2000
const SETTINGS = {
  hasWires: true,
  cluster: { electionTimeoutMs: ELECTION_TIMEOUT_MS, heartbeatIntervalMs: 100 },
}
const [LEADER, FOLLOWER, OTHER] = [1, 2, 3]
const [PLACE] = PLACES
const VALUE = new Uint8Array(512 * 1024)
/** More bytes of them than may be under way. */
const WRITES_MAX = 200

function isOverloaded({ code, details }: MetastoreError): boolean {
  const { retryAfterMs } = (details ?? {}) as { retryAfterMs?: number }
  return code === 'OVERLOADED' && Number(retryAfterMs) > 0
}

/** Puts that nobody waits for, and what became of each. */
class Puts {
  readonly #taken = new Set<string>()
  readonly refusals: MetastoreError[] = []
  readonly #underWay: Promise<void>[] = []

  put(node: Metastore): void {
    const key = `key ${this.#underWay.length}`
    this.#underWay.push(this.#put(node, key))
  }

  async #put(node: Metastore, key: string): Promise<void> {
    try {
      await node.records('k').put(PLACE, key, VALUE)
      this.#taken.add(key)
    } catch (error) {
      assert.ok(error instanceof MetastoreError, String(error))
      this.refusals.push(error)
    }
  }

  /** Refusals are OVERLOADED and nothing else; the node has what was acknowledged, and only that. */
  async expectSettled(node: Metastore): Promise<void> {
    await Promise.all(this.#underWay)
    const { length } = this.#underWay
    assert.ok(this.refusals.every(isOverloaded), this.refusals.join())
    assert.equal(this.#taken.size + this.refusals.length, length)
    const keys = Array.from({ length }, (_, i) => `key ${i}`)
    const found = await node.records('k').hasMany(PLACE, keys)
    assert.deepEqual(
      keys.filter((_, i) => found[i]),
      keys.filter(key => this.#taken.has(key)),
    )
  }
}

async function termsOf(cluster: TestCluster): Promise<string[]> {
  const statuses = await Promise.all([...cluster.nodes.values()].map(node => node.status()))
  return statuses.map(({ partitions: [{ leader, term }] }) => `node ${leader} in term ${term}`)
}

test("a leader's worker that stands still shows as OVERLOADED, and everybody stays who they are", {
  timeout: 60_000,
}, async () => {
  await using cluster = await TestCluster.start(3, { partitions: 1 }, SETTINGS)
  await cluster.close(LEADER)
  using gate = await WorkerGate.around(() => cluster.open(LEADER))
  const [leader, follower] = [cluster.node(LEADER), cluster.node(FOLLOWER)]
  await leadBy(leader, LEADER)
  await leader.records('k').put(PLACE, 'a', bytes('before'))
  await expectEqualReplicas(cluster.nodes.values())
  const before = await termsOf(cluster)

  gate.close()
  const puts = new Puts()
  for (let i = 0; i < WRITES_MAX; i++) puts.put(leader)
  await until('writes are refused', async () => puts.refusals.length > 0)
  // Also those that come by way of another node.
  await assert.rejects(follower.records('k').put(PLACE, 'b', VALUE), isOverloaded)
  // Its main thread is as quick as ever to say that it leads, and what a reader must see.
  await sleep(2 * ELECTION_TIMEOUT_MS)
  assert.deepEqual(await follower.records('k').get(PLACE, 'a'), bytes('before'))
  assert.deepEqual(await termsOf(cluster), before)

  // All that it was given comes back at once, and a follower takes nothing of it for a while.
  cluster.network.slowDown(0, OTHER)
  await cluster.close(FOLLOWER)
  gate.open()
  await sleep(500)
  cluster.network.heal()
  await cluster.open(FOLLOWER)
  for (const node of cluster.nodes.values()) await puts.expectSettled(node)
  assert.deepEqual(await termsOf(cluster), before)
})

test("a leader's slow bucket shows as OVERLOADED, and everybody stays who they are", {
  timeout: 60_000,
}, async () => {
  const bucket = new MemoryObjectStore()
  const slow = new FaultyObjectStore(bucket, () => null, 1500)
  const options = { partitions: 1, memtableBytesMax: 65_536, objectStore: bucket }
  await using cluster = await TestCluster.start(3, options, SETTINGS)
  await cluster.close(LEADER)
  await cluster.open(LEADER, { objectStore: slow })
  const leader = cluster.node(LEADER)
  await leadBy(leader, LEADER)
  await leader.records('k').put(PLACE, 'a', bytes('before'))
  await expectEqualReplicas(cluster.nodes.values())
  const before = await termsOf(cluster)

  slow.plan = () => 'delay'
  const puts = new Puts()
  for (let i = 0; i < WRITES_MAX && puts.refusals.length === 0; i++) {
    puts.put(cluster.node(1 + (i % 3)))
    await sleep(20)
  }
  assert.ok(puts.refusals.length > 0, 'writes are refused')
  await sleep(2 * ELECTION_TIMEOUT_MS)
  for (const node of cluster.nodes.values()) {
    assert.deepEqual(await node.records('k').get(PLACE, 'a'), bytes('before'))
  }
  assert.deepEqual(await termsOf(cluster), before)

  slow.plan = () => null
  for (const node of cluster.nodes.values()) await puts.expectSettled(node)
  await until('writes go on', async () => {
    const put = leader.records('k').put(PLACE, 'a', bytes('after'))
    return await put.then(
      () => true,
      () => false,
    )
  })
  await leader.flush()
  assert.deepEqual(await termsOf(cluster), before)
})
