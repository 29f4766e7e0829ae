/**
 * Goal: compactions keep level 0 small and readable rows right, by themselves and on request; one
 * that fails makes no edit, and what it uploaded is collected; when they cannot go on, writes slow
 * and then are refused, and go on again afterwards.
 * Method: stores with small memtables over a bucket that refuses what the test says.
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { decodeManifest } from '../../src/codec/manifest.ts'
import {
  Metastore,
  MetastoreError,
  type MetastoreOptions,
  type ObjectStore,
  type TopicPartition,
} from '../../src/index.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const TP: TopicPartition = { topicId: '22222222-2222-4222-8222-222222222222', partition: 0 }

class Bucket extends MemoryObjectStore {
  /** Refuses manifests that have deeper levels than 0: those of compactions. */
  refusesCompactions = false
  refused = 0

  /** Tables are put once it resolves. */
  gate: Promise<void> = Promise.resolve()
  waiting = 0

  override async put(...[key, body, options]: Parameters<ObjectStore['put']>) {
    if (key.endsWith('.sst')) {
      this.waiting++
      await this.gate
      this.waiting--
    }
    if (this.refusesCompactions && key.includes('/manifest/')) {
      if (decodeManifest(body, key).tables.some(({ level }) => level > 0)) {
        this.refused++
        // Not worth a second attempt at once.
        throw new MetastoreError('CONFLICT', 'refused by the test')
      }
    }
    return super.put(key, body, options)
  }
}

async function withStore(
  bucket: Bucket,
  options: Partial<MetastoreOptions>,
  run: (store: Metastore, reopen: () => Promise<Metastore>) => Promise<void>,
): Promise<void> {
  const dataDir = await temporaryDirectory()
  const all = { dataDir, objectStore: bucket, partitions: 1, durability: 'os' as const, ...options }
  let store = await Metastore.open(all)
  try {
    await run(store, async () => {
      await store.close()
      store = await Metastore.open(all)
      return store
    })
  } finally {
    await store.close()
    await rm(dataDir, { recursive: true })
  }
}

async function levelsOf(store: Metastore): Promise<number[]> {
  const [{ levels }] = (await store.status()).partitions
  return levels.flatMap(({ level, tables }) => new Array<number>(tables).fill(level))
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 3000; i++) {
    if (await condition()) return
    await sleep(5)
  }
  assert.fail('it does not come about')
}

/** The same 50 keys in every round, one in ten deleted. */
async function round(store: Metastore, number: number): Promise<void> {
  const operations = Array.from({ length: 50 }, (_, i) => {
    const key = `k${i}`
    const isDelete = (i + number) % 10 === 0
    return isDelete
      ? { type: 'delete' as const, key }
      : { type: 'put' as const, key, value: Buffer.from(`${number}-${i}`) }
  })
  await store.records('r').batch(TP, operations)
}

async function check(store: Metastore, last: number): Promise<void> {
  for (let i = 0; i < 50; i++) {
    const value = await store.records('r').get(TP, `k${i}`)
    const expected = (i + last) % 10 === 0 ? undefined : `${last}-${i}`
    assert.equal(value && Buffer.from(value).toString(), expected)
  }
}

test('level 0 is compacted by itself, and everything into one level on request', async () => {
  await withStore(new Bucket(), {}, async (store, reopen) => {
    for (let number = 0; number < 13; number++) {
      await round(store, number)
      await store.flush()
    }
    await until(async () => (await levelsOf(store)).filter(level => level === 0).length < 4)
    assert.ok((await levelsOf(store)).includes(1))
    await check(store, 12)
    await store.compact()
    assert.deepEqual(await levelsOf(store), [1])
    await check(store, 12)
    const { storage } = await store.status()
    assert.ok(storage.compactedBytes > 0 && storage.flushedBytes > 0 && storage.rowBytes > 0)
    const again = await reopen()
    assert.deepEqual(await levelsOf(again), [1])
    await check(again, 12)
    // Nothing to gain: no delete is left.
    const before = (await again.status()).storage.compactedBytes
    await again.compact({ partition: 0 })
    assert.equal((await again.status()).storage.compactedBytes, before)
  })
})

test('a compaction that fails makes no edit, is tried again, and its tables are collected', async () => {
  const bucket = new Bucket()
  await withStore(bucket, { garbageDelayMs: 0 }, async (store, reopen) => {
    bucket.refusesCompactions = true
    for (let number = 0; number < 5; number++) {
      await round(store, number)
      await store.flush()
    }
    // The one under way may have been picked before the fifth table; those after it have all five.
    const { refused } = bucket
    await until(async () => bucket.refused >= refused + 2)
    assert.deepEqual(await levelsOf(store), [0, 0, 0, 0, 0])
    await check(store, 4)
    bucket.refusesCompactions = false
    await until(async () => !(await levelsOf(store)).includes(0))
    await check(store, 4)
    const { objects } = await bucket.list('domain/')
    const tables = objects.filter(({ key }) => key.endsWith('.sst')).length
    const counted = await store.collectGarbage({ dryRun: true })
    assert.equal((await bucket.list('domain/')).objects.length, objects.length)
    // The inputs of the one that succeeded, and the outputs of those that did not.
    assert.equal(counted.tables, tables - (await levelsOf(store)).length)
    assert.ok(counted.tables >= 5 + 2 && counted.manifests >= 5 && counted.bytes > 0)
    assert.deepEqual(await store.collectGarbage(), counted)
    const none = await store.collectGarbage()
    assert.deepEqual([none.tables, none.manifests], [0, 0])
    await check(await reopen(), 4)
  })
})

test('close() during a flush or compaction leaves no edit and loses nothing', async () => {
  const bucket = new Bucket()
  await withStore(bucket, {}, async (opened, reopen) => {
    let store = opened
    const breakOff = async (begin: () => Promise<void>, levels: number[]): Promise<void> => {
      bucket.gate = new Promise(() => {})
      const ended = assert.rejects(begin(), { code: 'CLOSED' })
      await until(async () => bucket.waiting > 0)
      const startedAt = performance.now()
      const reopened = reopen()
      await ended
      bucket.gate = Promise.resolve()
      bucket.waiting = 0
      store = await reopened
      assert.ok(performance.now() - startedAt < 10_000)
      assert.deepEqual(await levelsOf(store), levels)
      await check(store, 2)
    }
    for (let number = 0; number < 2; number++) {
      await round(store, number)
      await store.flush()
    }
    await round(store, 2)
    await breakOff(() => store.flush(), [0, 0])
    await store.flush()
    // Nothing is left to flush: what waits for the bucket is the merge.
    await breakOff(() => store.compact(), [0, 0, 0])
    await store.compact()
    assert.deepEqual(await levelsOf(store), [1])
    await check(store, 2)
  })
})

test('nothing younger than the delay is collected', async () => {
  await withStore(new Bucket(), {}, async store => {
    for (let number = 0; number < 5; number++) {
      await round(store, number)
      await store.flush()
    }
    await store.compact()
    const { tables, manifests, bytes } = await store.collectGarbage()
    assert.deepEqual({ tables, manifests, bytes }, { tables: 0, manifests: 0, bytes: 0 })
  })
})

test('a restored cluster keeps the tables of its ancestor from collection', async () => {
  const bucket = new Bucket()
  await withStore(bucket, { garbageDelayMs: 0 }, async store => {
    await round(store, 0)
    await store.flush()
    const dataDir = await temporaryDirectory()
    const from = { clusterId: store.clusterId }
    const restored = await Metastore.restore({ dataDir, objectStore: bucket, from })
    try {
      // The source has other tables now and would let go of the old one.
      await round(store, 1)
      await store.compact()
      assert.equal((await store.collectGarbage()).tables, 1, 'the flushed one, merged since')
      await check(restored, 0)
      await check(store, 1)
      await restored.compact()
      assert.equal((await store.collectGarbage()).tables, 0)
    } finally {
      await restored.close()
      await rm(dataDir, { recursive: true })
    }
  })
})

test('with compactions stuck, writes slow, then are refused, and go on when they can', async () => {
  const bucket = new Bucket()
  await withStore(bucket, {}, async store => {
    bucket.refusesCompactions = true
    let number = 0
    for (; number < 16; number++) {
      await round(store, number)
      await store.flush()
    }
    await assert.rejects(round(store, number), (error: unknown) => {
      assert.ok(error instanceof MetastoreError && error.code === 'OVERLOADED')
      assert.ok((error.details as { retryAfterMs: number }).retryAfterMs > 0)
      return true
    })
    await check(store, 15)
    bucket.refusesCompactions = false
    await until(async () => (await levelsOf(store)).filter(level => level === 0).length < 4)
    await round(store, 16)
    await check(store, 16)
  })
})

test('a log past its bytes is cut by flushing who keeps it, rows or not', async () => {
  const logBytesMax = 8 * 1024 * 1024
  const options = { partitions: 2, logBytesMax, flushIntervalMs: 2 ** 30 }
  await withStore(new Bucket(), options, async store => {
    const records = store.records('big')
    const places = Array.from({ length: 16 }, (_, partition) => ({ ...TP, partition }))
    const value = new Uint8Array(512 * 1024).fill(7)
    // One row of one domain at the log's beginning, then the other domain's only.
    await records.put(places[0], 'first', value)
    for (let i = 0; i < 200; i++) await records.put(places[1 + (i % 15)], `k${i % 20}`, value)
    await until(async () => {
      const { partitions } = await store.status()
      return partitions.every(({ flushedSequence }) => flushedSequence > 0)
    })
  })
})
