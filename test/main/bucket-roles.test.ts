/**
 * Goal: all that lives in one bucket at the same time leaves each other alone: a metastore that
 * writes, flushes, ships its tail and collects garbage all the time, a replica that follows it, a
 * checkpoint, and a cluster that was restored from it and goes its own way.
 * Method: all of them for a while, over one bucket in memory; what the replica shows is compared
 * with what was in the bucket before its refresh, and the rest with what was written.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Metastore,
  type MetastoreOptions,
  type ObjectStore,
  ReadReplica,
  type RestorePoint,
  type TopicPartition,
} from '../../src/index.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { FaultyObjectStore } from '../object-stores/faulty-object-store.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const PLACES: readonly TopicPartition[] = [0, 1, 2, 3].map(partition => ({
  topicId: '44444444-4444-4444-8444-444444444444',
  partition,
}))
const KEYS = 40
const WRITING_MS = 4000
const LEAST_WRITES = 200
const LOOKS = 6
const VALUE_BYTES = 300
const REFRESH_MS = 30
const NEVER_MS = 2 ** 31 - 1

let directory: string
before(async () => {
  directory = await temporaryDirectory()
})
after(() => rm(directory, { recursive: true }))

/** Everything happens often. */
function options(bucket: MemoryObjectStore): MetastoreOptions {
  return {
    ...{ dataDir: join(directory, randomUUID()), objectStore: bucket, workers: 1 },
    ...{ durability: 'os', memtableBytesMax: 65_536, flushIntervalMs: 200, tailIntervalMs: 30 },
    ...{ garbageDelayMs: 1, garbageIntervalMs: 20 },
  }
}

/** Nothing is kept for it but what its leases keep, and nothing in memory. */
function openReplica(
  objectStore: ObjectStore,
  clusterId: string,
  refreshIntervalMs: number,
): Promise<ReadReplica> {
  return ReadReplica.open({
    ...{ objectStore, clusterId, refreshIntervalMs, leaseMs: 20_000, workers: 1 },
    ...{ tableMemoryBytesMax: 0, blockCacheBytesMax: 0, cacheBytesMax: 0 },
    dataDir: join(directory, randomUUID()),
  })
}

/** Notes what is asked for by name and not there; tail objects may go once they are covered. */
function watchedBucket(bucket: MemoryObjectStore, missing: string[]): ObjectStore {
  const watched = new FaultyObjectStore(bucket, () => null)
  const get = watched.get.bind(watched)
  watched.get = async (key, options) => {
    const bytes = await get(key, options)
    if (bytes === null && !key.includes('/tail/')) missing.push(key)
    return bytes
  }
  return watched
}

/** What was acknowledged: of each key the number of its newest write. */
type Model = Map<string, number>

class Writer {
  readonly model: Model = new Map()
  readonly #store: Metastore
  readonly #name: string
  #written = 0

  constructor(store: Metastore, name: string, past: Model = new Map()) {
    this.#store = store
    this.#name = name
    for (const [key, number] of past) this.model.set(key, number)
    this.#written = Math.max(0, ...past.values())
  }

  get written(): number {
    return this.#written
  }

  async write(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const number = ++this.#written
      const place = number % PLACES.length
      const key = `${(number * 7) % KEYS}`
      const value = Buffer.from(`${number} ${this.#name} `.padEnd(VALUE_BYTES, '.'))
      await this.#store.records('k').put(PLACES[place], key, value)
      this.model.set(`${place} ${key}`, number)
    }
  }
}

async function shown(reads: Metastore | ReadReplica, names: Set<string>): Promise<Model> {
  const model: Model = new Map()
  for (const [place, tp] of PLACES.entries()) {
    for await (const { key, value } of reads.records('k').scan(tp)) {
      const [number, name] = Buffer.from(value).toString().split(' ')
      names.add(name)
      model.set(`${place} ${Buffer.from(key)}`, Number(number))
    }
  }
  return model
}

/** Every key of `least` is shown, by that write or a later one. */
function expectAtLeast(found: Model, least: Model): void {
  for (const [key, number] of least) {
    const is = found.get(key) ?? 0
    assert.ok(is >= number, `${key}: write ${is} is shown; ${number} was in the bucket`)
  }
}

/** What manifests and tail have for sure: what was acknowledged before all of it was shipped. */
async function inBucket(store: Metastore, { model }: Writer): Promise<Model> {
  const acknowledged = new Map(model)
  const { partitions: before } = await store.status()
  for (;;) {
    const { partitions } = await store.status()
    const isThere = partitions.every(
      ({ shippedSequence, flushedSequence }, i) =>
        Math.max(shippedSequence ?? 0, flushedSequence) >= before[i].committedSequence,
    )
    if (isThere) return acknowledged
    await sleep(5)
  }
}

test('a metastore, its replica, a checkpoint and a restored cluster in one bucket', {
  timeout: 120_000,
}, async () => {
  const bucket = new MemoryObjectStore()
  const source = await Metastore.open({ ...options(bucket), partitions: 2 })
  const writer = new Writer(source, 'source')
  await writer.write(100)
  await source.flush()
  const shared = new Map(writer.model)
  const { clusterId } = source
  const restored = await Metastore.restore({ ...options(bucket), from: { clusterId } })
  const other = new Writer(restored, 'restored', shared)
  // Of what is shared, only the restored cluster still needs the tables, once those are compacted.
  await writer.write(100)
  await source.compact()
  await source.collectGarbage()
  assert.deepEqual(await shown(restored, new Set()), shared)
  await source.checkpoint('past')
  const past = new Map(writer.model)
  const missing: string[] = []
  const watched = watchedBucket(bucket, missing)
  // What the one reads by never changes while it reads; of the other it does, all the time.
  const replicas = [
    await openReplica(watched, clusterId, NEVER_MS),
    await openReplica(bucket, clusterId, REFRESH_MS),
  ]

  let isOver = false
  const names = new Set<string>()
  let looks = 0
  const follow = async (replica: ReadReplica): Promise<void> => {
    let before: Model = new Map()
    while (!isOver) {
      const least = await inBucket(source, writer)
      await replica.refresh()
      const found = await shown(replica, names)
      expectAtLeast(found, least)
      expectAtLeast(found, before)
      before = found
      looks++
    }
  }
  const collected = { tables: 0, manifests: 0, tails: 0 }
  const collect = async (store: Metastore): Promise<void> => {
    while (!isOver) {
      const report = await store.collectGarbage()
      collected.tables += report.tables
      collected.manifests += report.manifests
      collected.tails += report.tails
      await sleep(10)
    }
  }
  const write = async (): Promise<void> => {
    const endsAt = performance.now() + WRITING_MS
    while (performance.now() < endsAt || writer.written < LEAST_WRITES || looks < LOOKS) {
      await Promise.all([writer.write(5), other.write(5)])
      await sleep(2)
    }
    isOver = true
  }
  const followed = replicas.map(replica => follow(replica))
  await Promise.all([write(), ...followed, collect(source), collect(restored)])

  assert.ok(looks >= LOOKS)
  assert.deepEqual(missing, [], 'what went from under a replica and its lease')
  assert.deepEqual([...names], ['source'], 'whose writes the replica has shown')
  const ofSource = new Set<string>()
  assert.deepEqual(await shown(source, ofSource), writer.model)
  assert.deepEqual([...ofSource], ['source'])
  assert.deepEqual(await shown(restored, new Set()), other.model)
  await inBucket(source, writer)
  for (const replica of replicas) {
    await replica.refresh()
    assert.deepEqual(await shown(replica, names), writer.model)
    await replica.close()
  }

  await Promise.all([source.flush(), restored.flush()])
  const again = async (clusterId: string, at: RestorePoint = 'latest'): Promise<Model> => {
    const store = await Metastore.restore({ ...options(bucket), from: { clusterId, at } })
    const found = await shown(store, new Set())
    await store.close()
    return found
  }
  assert.deepEqual(await again(clusterId, { checkpoint: 'past' }), past, 'the checkpoint')
  assert.deepEqual(await again(clusterId), writer.model)
  assert.deepEqual(await again(restored.clusterId), other.model)
  await Promise.all([source.close(), restored.close()])
  assert.ok(collected.tables > 0 && collected.manifests > 0 && collected.tails > 0)
})
