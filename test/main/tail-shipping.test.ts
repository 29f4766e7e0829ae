/**
 * Goal: what is acknowledged is in the bucket an interval later, at the cost of one put; an idle
 * metastore asks nothing of the bucket; and a bucket that fails for long, is slow or throttles
 * holds up no write and in the end lacks nothing.
 * Method: open metastores over buckets in memory, whose manifests and tail objects are decoded and
 * compared with what was acknowledged.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { committedKey, manifestKey, tailPrefix } from '../../src/codec/bucket-layout.ts'
import { decodeCommitted } from '../../src/codec/committed-pointer.ts'
import { decodeManifest } from '../../src/codec/manifest.ts'
import { RowBatchReader } from '../../src/codec/row-batch.ts'
import { decodeTail, type Tail } from '../../src/codec/tail.ts'
import { Metastore, type MetastoreOptions, type TopicPartition } from '../../src/index.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import type { ObjectStore } from '../../src/shared/object-store.ts'
import { coveringTails } from '../../src/shared/tail-cover.ts'
import {
  type Fault,
  FaultyObjectStore,
  seededRandom,
} from '../object-stores/faulty-object-store.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const TP: TopicPartition = { topicId: '11111111-1111-4111-8111-111111111111', partition: 0 }
const INTERVAL_MS = 40
const PATIENCE_MS = 30_000

let directory: string
before(async () => {
  directory = await temporaryDirectory()
})
after(() => rm(directory, { recursive: true }))

function options(more: Partial<MetastoreOptions> = {}): MetastoreOptions {
  return {
    ...{ dataDir: join(directory, randomUUID()), objectStore: new MemoryObjectStore() },
    ...{ partitions: 1, workers: 1, tailIntervalMs: INTERVAL_MS, durability: 'os' },
    ...more,
  }
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const endsAt = performance.now() + PATIENCE_MS
  while (!(await isSo())) {
    assert.ok(performance.now() < endsAt, `waited in vain: ${what}`)
    await sleep(5)
  }
}

function isShipped(store: Metastore): Promise<void> {
  return until('everything is in the bucket', async () => {
    const { recoveryPointMs, partitions } = await store.status()
    // null: who leads it does not know yet.
    if (recoveryPointMs > 0 || partitions.some(of => of.recoveryPointMs === null)) return false
    for (const { shippedSequence, flushedSequence, committedSequence } of partitions) {
      const inBucket = Math.max(shippedSequence ?? 0, flushedSequence)
      assert.ok(inBucket >= committedSequence, `0 is told, and ${committedSequence} is not there`)
    }
    return true
  })
}

/** The domain's only uuid in a bucket, and the tail objects that it has. */
async function tailsIn(bucket: ObjectStore): Promise<{ domain: string; tails: Tail[] }> {
  const cluster = (await bucket.list('cluster/')).objects[0]
  const { domains } = JSON.parse(Buffer.from((await read(bucket, cluster.key)) ?? '').toString())
  const tails: Tail[] = []
  let after = ''
  for (;;) {
    const page = await bucket.list(tailPrefix(domains[0]), after === '' ? {} : { after })
    for (const { key } of page.objects) {
      const bytes = await read(bucket, key)
      if (bytes !== null) tails.push(decodeTail(bytes, key))
    }
    if (page.next === null) return { domain: domains[0], tails }
    after = page.next
  }
}

function read(bucket: ObjectStore, key: string): Promise<Uint8Array | null> {
  return bucket.get(key)
}

/** Last sequence of the manifest that the bucket's pointer names. */
async function announced(bucket: ObjectStore, domain: string): Promise<number> {
  const pointer = await bucket.get(committedKey(domain))
  if (pointer === null) return 0
  const key = manifestKey(decodeCommitted(pointer, 'pointer'))
  const bytes = await bucket.get(key)
  assert.ok(bytes)
  return decodeManifest(bytes, key).lastSequence
}

/** Values of the puts in the tail's batches behind the manifest, by sequence, without a gap. */
async function restorable(bucket: ObjectStore): Promise<{ from: number; values: string[] }> {
  const { domain, tails } = await tailsIn(bucket)
  const from = await announced(bucket, domain)
  const values: string[] = []
  for (const { first, batches } of coveringTails(tails, from)) {
    for (const [i, batch] of batches.entries()) {
      if (first + i !== from + values.length + 1) continue
      const rows = new RowBatchReader().reset(batch)
      assert.equal(rows.header.sequence, first + i)
      assert.ok(rows.next())
      values.push(
        Buffer.from(
          batch.subarray(rows.valueStart + 0, rows.valueStart + rows.valueLength),
        ).toString(),
      )
    }
  }
  return { from, values }
}

function put(store: Metastore, value: string): Promise<void> {
  return store.records('k').put(TP, value, Buffer.from(value))
}

test('what is acknowledged is in the bucket an interval later; a flush takes its place', async () => {
  const bucket = new MemoryObjectStore()
  const store = await Metastore.open(options({ objectStore: bucket }))
  for (const value of ['a', 'b', 'c']) await put(store, value)
  await isShipped(store)
  const { from, values } = await restorable(bucket)
  assert.equal(from, 0)
  assert.deepEqual(
    values.map(value => value.at(-1)),
    ['a', 'b', 'c'],
  )
  const { partitions, tail } = await store.status()
  assert.equal(partitions[0].shippedSequence, 3)
  assert.equal(partitions[0].recoveryPointMs, 0)
  assert.ok(tail !== null && tail.puts > 0 && tail.bytes > 0 && tail.putsAnHour > 0)
  assert.deepEqual([tail.failures, tail.lagMs], [0, 0])

  await store.flush()
  const { tails } = await tailsIn(bucket)
  await sleep(4 * INTERVAL_MS)
  assert.equal((await tailsIn(bucket)).tails.length, tails.length)
  await put(store, 'd')
  await isShipped(store)
  assert.deepEqual((await tailsIn(bucket)).tails.at(-1)?.first, 4)
  assert.equal((await restorable(bucket)).from, 3)
  await store.close()
})

test('an idle metastore asks nothing of the bucket, opened anew or not', async () => {
  const bucket = new FaultyObjectStore(new MemoryObjectStore(), () => null)
  const given = options({ objectStore: bucket, partitions: 4, tailIntervalMs: 10 })
  const idle = async (store: Metastore): Promise<void> => {
    const { length } = bucket.calls
    await sleep(200)
    assert.deepEqual(bucket.calls.slice(length), [])
    assert.equal((await store.status()).recoveryPointMs, 0)
  }
  const store = await Metastore.open(given)
  await idle(store)
  await put(store, 'a')
  await isShipped(store)
  await idle(store)
  await store.close()
  // What was shipped before is found by one LIST, and not shipped again.
  const { length } = bucket.calls
  const again = await Metastore.open(given)
  await isShipped(again)
  const asked = bucket.calls.slice(length).filter(({ key }) => key.includes('/tail/'))
  assert.deepEqual(
    asked.map(({ method }) => method),
    ['list'],
  )
  await idle(again)
  await again.close()
})

test('with null nothing is shipped, and the recovery point is the age of the rows', async () => {
  const bucket = new MemoryObjectStore()
  const store = await Metastore.open(options({ objectStore: bucket, tailIntervalMs: null }))
  await put(store, 'a')
  await sleep(50)
  const { recoveryPointMs, partitions, tail } = await store.status()
  assert.ok(recoveryPointMs >= 45)
  assert.deepEqual([partitions[0].shippedSequence, tail], [null, null])
  assert.deepEqual((await tailsIn(bucket)).tails, [])
  await store.close()
})

test('close() waits for no tail and ships none', async () => {
  const bucket = new FaultyObjectStore(new MemoryObjectStore(), () => null)
  const store = await Metastore.open(options({ objectStore: bucket, tailIntervalMs: 20 }))
  bucket.plan = ({ key }) => (key.includes('/tail/') ? 'hang' : null)
  await put(store, 'a')
  await until('a put hangs', async () => bucket.calls.some(({ key }) => key.includes('/tail/')))
  const startedAt = performance.now()
  await store.close()
  assert.ok(performance.now() - startedAt < 5_000)
})

/** A bucket's weather, for a while. */
const WEATHER: [string, (random: () => number) => Fault | null][] = [
  ['fails', () => 'errorBefore'],
  ['loses answers', random => (random() < 0.5 ? 'errorAfter' : null)],
  ['is slow', () => 'delay'],
  ['throttles', random => (random() < 0.8 ? 'throttle' : null)],
  ['does things late', random => (random() < 0.3 ? 'late' : null)],
]

for (const [what, faultOf] of WEATHER) {
  test(`a bucket that ${what}: writes go on, and it catches up with nothing missing`, async () => {
    const random = seededRandom(11)
    const inner = new MemoryObjectStore()
    const bucket = new FaultyObjectStore(inner, () => null, 50)
    const store = await Metastore.open(
      options({ objectStore: bucket, memtableBytesMax: 128 * 1024, flushIntervalMs: 300 }),
    )
    const acknowledged: string[] = []
    const write = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const value = `${acknowledged.length}`.padStart(200, '.')
        await put(store, value)
        acknowledged.push(value)
        if (i % 10 === 0) await sleep(2)
      }
    }
    await write(100)
    bucket.plan = () => faultOf(random)
    const calls = bucket.calls.length
    const startedAt = performance.now()
    await write(300)
    while (performance.now() - startedAt < 1_000) await write(5)
    const { tail } = await store.status()
    assert.ok(bucket.calls.length > calls)
    if (what === 'fails') assert.ok(tail !== null && tail.lagMs > 0)
    bucket.plan = () => null
    await bucket.settled()
    await write(50)
    await isShipped(store)
    const { from, values } = await restorable(inner)
    const suffixes = acknowledged.slice(from)
    assert.equal(values.length, suffixes.length)
    for (const [i, value] of values.entries()) assert.ok(value.endsWith(suffixes[i]), `${from + i}`)
    await store.close()
  })
}
