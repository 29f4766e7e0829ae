/**
 * Goal: objects of callers go when nobody can refer to them any more, and not before: flushes,
 * expiries, leases, checkpoints, relatives, failures of the bucket; unknown ones are named; the
 * rounds go on by themselves and cost nothing while nothing happens.
 * Method: metastores without a delay over a bucket that counts, and fails when the test says so.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  checkpointKey,
  clusterKey,
  committedKey,
  leaseKey,
  manifestKey,
  objectKey,
  originKey,
  tableKey,
  tailKey,
} from '../../src/codec/bucket-layout.ts'
import { encodeCheckpoint } from '../../src/codec/checkpoint-file.ts'
import { decodeCluster } from '../../src/codec/cluster-file.ts'
import { decodeCommitted } from '../../src/codec/committed-pointer.ts'
import { encodeLease } from '../../src/codec/lease-file.ts'
import { decodeManifest, type Manifest } from '../../src/codec/manifest.ts'
import { decodeOrigin } from '../../src/codec/origin-file.ts'
import {
  Metastore,
  MetastoreError,
  type MetastoreOptions,
  type TopicPartition,
} from '../../src/index.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const TP: TopicPartition = { topicId: '33333333-3333-4333-8333-333333333333', partition: 0 }
const HOUR_MS = 3_600_000

class Bucket extends MemoryObjectStore {
  requests = 0
  /** What becomes of deletes of callers' objects. */
  deletes: 'done' | 'refused' | 'answer lost' = 'done'
  uploads = 0

  override put(...args: Parameters<MemoryObjectStore['put']>) {
    this.requests++
    return super.put(...args)
  }

  override get(...args: Parameters<MemoryObjectStore['get']>) {
    this.requests++
    return super.get(...args)
  }

  override list(...args: Parameters<MemoryObjectStore['list']>) {
    this.requests++
    return super.list(...args)
  }

  override async delete(...[keys, options]: Parameters<MemoryObjectStore['delete']>) {
    this.requests++
    const isFaulty = keys.some(key => key.startsWith('object/')) && this.deletes !== 'done'
    if (!isFaulty || this.deletes === 'answer lost') await super.delete(keys, options)
    // Not worth a second attempt at once.
    if (isFaulty) throw new MetastoreError('CONFLICT', 'refused by the test')
  }

  async abortUploads(prefix: string, { before, dryRun }: { before: number; dryRun?: boolean }) {
    assert.match(prefix, /^domain\/.*\/table\/$/)
    assert.ok(before <= Date.now())
    const uploads = this.uploads
    if (dryRun !== true) this.uploads = 0
    return { uploads }
  }

  async has(key: string): Promise<boolean> {
    return (await this.head(key)) !== null
  }

  async manifestOf(domain: string): Promise<Manifest> {
    const pointer = await this.get(committedKey(domain))
    assert.ok(pointer !== null)
    const key = manifestKey(decodeCommitted(pointer, 'pointer'))
    const bytes = await this.get(key)
    assert.ok(bytes !== null)
    return decodeManifest(bytes, key)
  }

  async domainOf(store: Metastore): Promise<string> {
    const bytes = await this.get(clusterKey(store.clusterId))
    assert.ok(bytes !== null)
    return decodeCluster(bytes, 'cluster').domains[0]
  }
}

let directory: string
before(async () => {
  directory = await temporaryDirectory()
})
after(() => rm(directory, { recursive: true }))

const open: Metastore[] = []
after(() => Promise.all(open.map(store => store.close())))

function options(bucket: Bucket, more: Partial<MetastoreOptions> = {}): MetastoreOptions {
  return {
    ...{ dataDir: join(directory, randomUUID()), objectStore: bucket, partitions: 1, workers: 1 },
    ...{ durability: 'os', garbageDelayMs: 0, garbageIntervalMs: null },
    ...more,
  }
}

async function opened(bucket: Bucket, more: Partial<MetastoreOptions> = {}): Promise<Metastore> {
  const store = await Metastore.open(options(bucket, more))
  open.push(store)
  return store
}

async function restored(bucket: Bucket, source: Metastore): Promise<Metastore> {
  const from = { clusterId: source.clusterId }
  const store = await Metastore.restore({ ...options(bucket), from })
  open.push(store)
  return store
}

/** Preregisters and uploads. */
async function uploaded(store: Metastore, bucket: Bucket): Promise<string> {
  const [id] = await store.preregisterObjects(TP, 1)
  await bucket.put(objectKey(id), new Uint8Array(564))
  return id
}

function additionOf(id: string, at: number): Parameters<Metastore['addObjects']>[0] {
  const extent = {
    ...{ topicPartition: TP, baseOffset: at, lastOffset: at },
    ...{ maxTimestamp: 1, position: 0, sizeBytes: 99 },
  }
  return {
    objects: [{ objectId: id, footerPosition: 500, sizeBytes: 564, extents: [extent] }],
    terms: [{ topicPartition: TP, terms: [{ term: 1, startOffset: at }] }],
  }
}

/** The object that holds one offset of the log. */
async function added(store: Metastore, bucket: Bucket, at: number): Promise<string> {
  const id = await uploaded(store, bucket)
  await store.addObjects(additionOf(id, at))
  return id
}

/** An object that is garbage. */
async function dropped(store: Metastore, bucket: Bucket, at: number): Promise<string> {
  const id = await added(store, bucket, at)
  await store.setStartOffset(TP, at + 1)
  return id
}

test('an object without extents goes once that is flushed, and then its row', async () => {
  const bucket = new Bucket()
  const store = await opened(bucket)
  const gone = await dropped(store, bucket, 0)
  const live = await added(store, bucket, 1)
  const young = await uploaded(store, bucket)
  assert.equal((await store.collectGarbage()).objects, 0)
  assert.ok(await bucket.has(objectKey(gone)), 'its row is not flushed')
  await store.flush()
  const counted = await store.collectGarbage({ dryRun: true })
  assert.deepEqual([counted.objects, await bucket.has(objectKey(gone))], [1, true])
  assert.ok(counted.bytes >= 564)
  assert.deepEqual(await store.collectGarbage(), counted)
  assert.equal(await bucket.has(objectKey(gone)), false)
  for (const id of [live, young]) assert.ok(await bucket.has(objectKey(id)))
  assert.equal((await store.collectGarbage()).objects, 0)
  await assert.rejects(store.addObjects(additionOf(gone, 0)), { code: 'CONFLICT' })
  await store.addObjects(additionOf(young, 2))
})

test('within the delay of that flush it stays', async () => {
  const bucket = new Bucket()
  const store = await opened(bucket, { garbageDelayMs: HOUR_MS })
  const id = await dropped(store, bucket, 0)
  await store.flush()
  assert.equal((await store.collectGarbage()).objects, 0)
  assert.ok(await bucket.has(objectKey(id)))
})

test('a preregistration expires, and cannot be committed from then on', async () => {
  const bucket = new Bucket()
  const store = await opened(bucket, { preregistrationTtlMs: 0 })
  const late = await uploaded(store, bucket)
  const early = await added(store, bucket, 0)
  assert.equal((await store.collectGarbage({ dryRun: true })).expiredPreregistrations, 1)
  // Called in one turn: the commit comes first, or it does not.
  const racing = await uploaded(store, bucket)
  const results = await Promise.allSettled([
    store.addObjects(additionOf(racing, 1)),
    store.collectGarbage(),
  ])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'fulfilled'],
  )
  await assert.rejects(store.addObjects(additionOf(late, 2)), { code: 'CONFLICT' })
  await store.flush()
  assert.equal((await store.collectGarbage()).objects, 1)
  assert.equal(await bucket.has(objectKey(late)), false)
  for (const id of [early, racing]) assert.ok(await bucket.has(objectKey(id)))
})

test('more preregistrations than a step takes expire all', async () => {
  const bucket = new Bucket()
  const store = await opened(bucket, { preregistrationTtlMs: 0 })
  await store.preregisterObjects(TP, 5000)
  assert.equal((await store.collectGarbage()).expiredPreregistrations, 5000)
  await store.flush()
  assert.equal((await store.collectGarbage()).objects, 5000)
  assert.equal((await store.collectGarbage()).objects, 0)
})

test('an error of the bucket stops the round and loses nothing', async () => {
  const bucket = new Bucket()
  const store = await opened(bucket)
  const id = await dropped(store, bucket, 0)
  await store.flush()
  bucket.deletes = 'refused'
  await assert.rejects(store.collectGarbage(), { code: 'CONFLICT' })
  assert.ok(await bucket.has(objectKey(id)))
  assert.equal((await store.collectGarbage({ dryRun: true })).objects, 1)
  // It has gone, and the row has not: the next round removes that.
  bucket.deletes = 'answer lost'
  await assert.rejects(store.collectGarbage(), { code: 'CONFLICT' })
  assert.equal(await bucket.has(objectKey(id)), false)
  bucket.deletes = 'done'
  assert.equal((await store.collectGarbage()).objects, 1)
  assert.equal((await store.collectGarbage()).objects, 0)
})

test('a checkpoint keeps its manifest, its tables and the objects of then until it expires', async () => {
  const bucket = new Bucket()
  const store = await opened(bucket)
  const before = await dropped(store, bucket, 0)
  await store.flush()
  const id = await added(store, bucket, 1)
  await store.flush()
  const domain = await bucket.domainOf(store)
  const manifest = await bucket.manifestOf(domain)
  const put = async (expiresAt: number | null): Promise<void> => {
    const checkpoint = {
      ...{ name: 'c', clusterId: store.clusterId, createdAt: 1, expiresAt },
      domains: [{ domain, sequence: manifest.lastSequence, manifest }],
    }
    await bucket.put(checkpointKey(store.clusterId, 'c'), encodeCheckpoint(checkpoint))
  }
  await put(null)
  await store.setStartOffset(TP, 2)
  await store.compact()
  const kept = await store.collectGarbage()
  assert.deepEqual([kept.objects, kept.checkpoints], [1, 0])
  assert.equal(await bucket.has(objectKey(before)), false, 'garbage at the time of the checkpoint')
  for (const key of [objectKey(id), manifestKey(manifest), ...manifest.tables.map(tableKey)]) {
    assert.ok(await bucket.has(key), key)
  }
  await put(1)
  const counted = await store.collectGarbage({ dryRun: true })
  assert.deepEqual(await store.collectGarbage(), counted)
  assert.deepEqual([counted.objects, counted.checkpoints], [1, 1])
  assert.equal(counted.tables, manifest.tables.length)
  for (const key of [objectKey(id), manifestKey(manifest), checkpointKey(store.clusterId, 'c')]) {
    assert.equal(await bucket.has(key), false, key)
  }
})

test('a lease keeps what its reader stands on, and tail objects behind that', async () => {
  const bucket = new Bucket()
  const store = await opened(bucket)
  await added(store, bucket, 0)
  await store.flush()
  const domain = await bucket.domainOf(store)
  const manifest = await bucket.manifestOf(domain)
  const id = await dropped(store, bucket, 1)
  await store.compact()
  const { lastSequence } = await bucket.manifestOf(domain)
  const tail = (first: number, last: number): string => tailKey({ domain, epoch: 1, first, last })
  const tails = [
    tail(1, manifest.lastSequence),
    tail(1, lastSequence),
    tail(1, lastSequence + 1),
    tail(lastSequence + 1, lastSequence + 2),
  ]
  for (const key of tails) await bucket.put(key, new Uint8Array(3))
  const readerId = randomUUID()
  const put = async (expiresAt: number, held: Manifest | null): Promise<void> => {
    const lease = { readerId, domain, expiresAt, manifest: held }
    await bucket.put(leaseKey(domain, readerId), encodeLease(lease))
  }
  const there = async (): Promise<boolean[]> =>
    Promise.all([...tails, manifestKey(manifest), objectKey(id)].map(key => bucket.has(key)))
  await put(Date.now() + HOUR_MS, null)
  const nothing = await store.collectGarbage()
  assert.deepEqual([nothing.objects, nothing.manifests, nothing.tails], [0, 0, 0])
  await put(Date.now() + HOUR_MS, manifest)
  assert.equal((await store.collectGarbage()).tails, 1)
  assert.deepEqual(await there(), [false, true, true, true, true, true])
  await put(1, manifest)
  const counted = await store.collectGarbage({ dryRun: true })
  assert.deepEqual([counted.leases, counted.tails, counted.objects], [1, 1, 2])
  assert.deepEqual(await store.collectGarbage(), counted)
  assert.deepEqual(await there(), [false, false, true, true, false, false])
})

test('relatives keep the objects that another one may refer to', async () => {
  const bucket = new Bucket()
  const source = await opened(bucket)
  const early = await dropped(source, bucket, 0)
  const shared = await added(source, bucket, 1)
  const staying = await added(source, bucket, 2)
  await source.flush()
  const copy = await restored(bucket, source)
  const grandchild = await restored(bucket, copy)
  const origin = originKey(await bucket.domainOf(grandchild))
  const { ancestors } = decodeOrigin((await bucket.get(origin)) ?? new Uint8Array(), origin)
  const { lastSequence } = await bucket.manifestOf(await bucket.domainOf(source))
  assert.deepEqual(ancestors, [
    { domain: await bucket.domainOf(copy), sequence: lastSequence },
    { domain: await bucket.domainOf(source), sequence: lastSequence },
  ])
  // Garbage when the histories parted: for all of them.
  assert.equal((await copy.collectGarbage()).objects, 1)
  assert.equal(await bucket.has(objectKey(early)), false)
  await source.setStartOffset(TP, 2)
  await source.flush()
  const own = await dropped(copy, bucket, 3)
  await copy.flush()
  const stores = [source, copy, grandchild]
  for (const store of stores) {
    const { objects, relatives } = await store.collectGarbage()
    const others = stores.filter(other => other !== store).map(({ clusterId }) => clusterId)
    // Each has a row of the early one.
    assert.deepEqual([objects, relatives], [store === copy ? 0 : 1, others.sort()])
  }
  assert.equal((await grandchild.findByOffset(TP, 1)).objectId, shared)
  for (const id of [shared, staying, own]) assert.ok(await bucket.has(objectKey(id)))
  // Those that are gone for good keep nothing.
  await bucket.delete([clusterKey(source.clusterId), clusterKey(grandchild.clusterId)])
  await copy.collectGarbage()
  for (const id of [shared, staying, own]) assert.equal(await bucket.has(objectKey(id)), false)
})

test('a cluster that is no relative keeps nothing', async () => {
  const bucket = new Bucket()
  const other = await opened(bucket)
  await added(other, bucket, 0)
  await other.flush()
  const store = await opened(bucket)
  const id = await dropped(store, bucket, 0)
  await store.flush()
  assert.equal((await store.collectGarbage()).objects, 1)
  assert.equal(await bucket.has(objectKey(id)), false)
})

test('objects that no cluster of the bucket knows are named and stay', async () => {
  const bucket = new Bucket()
  const store = await opened(bucket, { partitions: 3, workers: 2 })
  const other = await opened(bucket)
  for (let partition = 0; partition < 8; partition++) {
    const [id] = await store.preregisterObjects({ ...TP, partition }, 1)
    await bucket.put(objectKey(id), new Uint8Array(3))
    await uploaded(other, bucket)
  }
  // Its rows are to be seen in the bucket.
  await other.flush()
  const unknown = Array.from({ length: 1003 }, () => randomUUID()).sort()
  for (const id of unknown) await bucket.put(objectKey(id), new Uint8Array(3))
  await bucket.put('object/not-an-id', new Uint8Array(3))
  for (const dryRun of [true, false]) {
    const report = await store.collectGarbage({ dryRun })
    assert.equal(report.unknownObjectCount, 1003)
    assert.deepEqual(report.unknownObjects, unknown.slice(0, 1000))
  }
  for (const id of unknown) assert.ok(await bucket.has(objectKey(id)))
})

test('unfinished uploads of tables are aborted by a store that can', async () => {
  const bucket = new Bucket()
  const store = await opened(bucket)
  bucket.uploads = 3
  assert.equal((await store.collectGarbage({ dryRun: true })).uploads, 3)
  assert.equal((await store.collectGarbage()).uploads, 3)
  assert.equal((await store.collectGarbage()).uploads, 0)
})

test('it goes on by itself, and asks nothing of the bucket while nothing happens', async () => {
  const bucket = new Bucket()
  const store = await opened(bucket, { garbageIntervalMs: 5, preregistrationTtlMs: HOUR_MS })
  const gone = await dropped(store, bucket, 0)
  const young = await uploaded(store, bucket)
  await store.flush()
  for (let i = 0; (await bucket.has(objectKey(gone))) && i < 2000; i++) await sleep(5)
  assert.equal(await bucket.has(objectKey(gone)), false)
  // Its last rows are flushed, and the last round has seen that.
  await store.flush()
  let [requests, quiet] = [bucket.requests, 0]
  for (let i = 0; quiet < 20 && i < 2000; i++) {
    await sleep(10)
    quiet = requests === bucket.requests ? quiet + 1 : 0
    requests = bucket.requests
  }
  assert.equal(quiet, 20, 'it does not come to rest')
  assert.ok(await bucket.has(objectKey(young)))
})
