/**
 * Goal: what is in neither memory nor the local cache is fetched by ranges while the request waits,
 * and nothing else waits with it; damage in the cache is repaired, in the bucket it is named; the
 * cache stays within its bytes. Method: stores over a bucket of our own that counts, holds back and
 * spoils what it gives.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Metastore,
  MetastoreError,
  type MetastoreOptions,
  type ObjectStore,
  type RecordStore,
  type TopicPartition,
} from '../../src/index.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const TOPIC = '11111111-1111-4111-8111-111111111111'
const TP: TopicPartition = { topicId: TOPIC, partition: 0 }
const ROWS = 2000
const VALUE_BYTES = 1000

interface Get {
  key: string
  offset: number
  length: number
}

class Bucket extends MemoryObjectStore {
  readonly gets: Get[] = []
  /** Table reads wait for it. */
  gate: Promise<void> = Promise.resolve()
  spoil: (bytes: Uint8Array, get: Get) => Uint8Array | null = bytes => bytes

  override async get(...[key, options]: Parameters<ObjectStore['get']>) {
    const bytes = await super.get(key, options)
    if (!key.endsWith('.sst') || bytes === null) return bytes
    const get = { key, offset: options?.offset ?? 0, length: bytes.length }
    this.gets.push(get)
    await this.gate
    return this.spoil(bytes, get)
  }
}

class Fixture {
  readonly bucket = new Bucket()
  readonly directory: string
  store: Metastore
  records: RecordStore

  private constructor(directory: string, bucket: Bucket, store: Metastore) {
    this.directory = directory
    this.bucket = bucket
    this.store = store
    this.records = store.records('cold')
  }

  static async open(options: Partial<MetastoreOptions> = {}): Promise<Fixture> {
    const directory = await temporaryDirectory()
    const bucket = new Bucket()
    const store = await Metastore.open(optionsOf(directory, bucket, options))
    return new Fixture(directory, bucket, store)
  }

  /** Rows 0 to ROWS in tables. */
  async fill(from = 0, to = ROWS): Promise<void> {
    const operations = Array.from({ length: to - from }, (_, i) => ({
      type: 'put' as const,
      key: keyOf(from + i),
      value: bytesOf(from + i),
    }))
    await this.records.batch(TP, operations)
    await this.store.flush()
  }

  async reopen(options: Partial<MetastoreOptions> = {}, losesCache = false): Promise<void> {
    await this.store.close()
    if (losesCache) rmSync(this.cacheDirectory, { recursive: true })
    this.bucket.gets.length = 0
    this.store = await Metastore.open(optionsOf(this.directory, this.bucket, options))
    this.records = this.store.records('cold')
  }

  async check(row: number): Promise<void> {
    const value = await this.records.get(TP, keyOf(row))
    assert.equal(Buffer.compare(value ?? new Uint8Array(0), bytesOf(row)), 0, `row ${row}`)
  }

  get cacheDirectory(): string {
    return join(this.directory, 'cache')
  }

  get cacheFiles(): string[] {
    return readdirSync(this.cacheDirectory, { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.sst'))
      .map(name => join(this.cacheDirectory, name))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close()
    await rm(this.directory, { recursive: true })
  }
}

function optionsOf(
  dataDir: string,
  objectStore: ObjectStore,
  options: Partial<MetastoreOptions>,
): MetastoreOptions {
  return { dataDir, objectStore, partitions: 1, workers: 1, durability: 'os', ...options }
}

function keyOf(row: number): string {
  return `row ${String(row).padStart(8, '0')}`
}

/** Bytes that LZ4 cannot shorten, other ones for every row. */
function bytesOf(row: number): Uint8Array {
  let state = row + 1
  return Uint8Array.from({ length: VALUE_BYTES }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}

const isCorruption = (error: unknown): boolean =>
  error instanceof MetastoreError && error.code === 'CORRUPTION'

test('a lookup without a local cache fetches ranges, not tables, and the next one nothing', async () => {
  await using fixture = await Fixture.open()
  await fixture.fill()
  await fixture.reopen({}, true)
  assert.deepEqual(fixture.bucket.gets, [])
  await fixture.check(1234)
  const bytes = fixture.bucket.gets.reduce((sum, { length }) => sum + length, 0)
  assert.equal(fixture.bucket.gets.length, 2, 'the end of the file, and a range of blocks')
  assert.ok(bytes < 700_000, `${bytes} bytes of ${ROWS * VALUE_BYTES}`)
  await fixture.check(1234)
  await fixture.check(1235)
  assert.equal(fixture.bucket.gets.length, 2)
  const { storage } = await fixture.store.status()
  assert.equal(storage.fetchedBytes, bytes)
  // A partial file serves the next instance as far as it goes.
  await fixture.reopen()
  await fixture.check(1234)
  assert.deepEqual(fixture.bucket.gets, [])
  for (let row = 0; row < ROWS; row += 37) await fixture.check(row)
})

test('a scan over cold blocks reads ahead in growing ranges', async () => {
  await using fixture = await Fixture.open()
  await fixture.fill()
  await fixture.reopen({ blockCacheBytesMax: 0 }, true)
  let row = 0
  for await (const { value } of fixture.records.scan(TP)) {
    assert.equal(Buffer.compare(value, bytesOf(row++)), 0)
  }
  assert.equal(row, ROWS)
  // By blocks of 8 KiB there would be more than 250.
  assert.ok(fixture.bucket.gets.length < 20, `${fixture.bucket.gets.length} gets`)
})

test('a parked read blocks neither reads nor writes, and sees what was there when it was called', async () => {
  await using fixture = await Fixture.open({ readPath: 'worker' })
  await fixture.fill()
  await fixture.reopen({ readPath: 'worker' }, true)
  let open = (): void => {}
  fixture.bucket.gate = new Promise(resolve => {
    open = resolve
  })
  const cold = fixture.records.get(TP, keyOf(7))
  await fixture.records.put(TP, keyOf(7), Uint8Array.of(1))
  await fixture.records.put(TP, 'other', Uint8Array.of(2))
  assert.deepEqual(await fixture.records.get(TP, 'other'), Uint8Array.of(2))
  // From the memtable now, while the older read still waits for the bucket.
  assert.deepEqual(await fixture.records.get(TP, keyOf(7)), Uint8Array.of(1))
  assert.equal(await Promise.race([cold.then(() => 'done'), sleep(20, 'waits')]), 'waits')
  open()
  assert.equal(Buffer.compare((await cold) ?? new Uint8Array(0), bytesOf(7)), 0)
})

test('a parked write holds back its own domain in order, and other domains not at all', async () => {
  const options = { partitions: 2, workers: 1, readPath: 'worker' as const }
  await using fixture = await Fixture.open(options)
  const { store, bucket } = fixture
  const topics = Array.from({ length: 8 }, (_, i) => ({ topicId: TOPIC, partition: i }))
  for (const tp of topics) {
    const [objectId] = await store.preregisterObjects(tp, 1)
    const extent = { topicPartition: tp, baseOffset: 0, lastOffset: 9, maxTimestamp: 5 }
    await store.addObjects({
      objects: [
        {
          objectId,
          footerPosition: 100,
          sizeBytes: 110,
          extents: [{ ...extent, position: 0, sizeBytes: 100 }],
        },
      ],
      terms: [{ topicPartition: tp, terms: [{ term: 1, startOffset: 0 }] }],
    })
  }
  await store.flush()
  await fixture.reopen(options, true)
  let open = (): void => {}
  bucket.gate = new Promise(resolve => {
    open = resolve
  })
  const order: string[] = []
  const note = (name: string) => (): void => {
    order.push(name)
  }
  const [first] = topics
  const write = fixture.store.setStartOffset(first, 4).then(note('write'))
  const read = fixture.store.getOffsets(first).then(offsets => {
    order.push('read')
    return offsets
  })
  const later = fixture.store.records('x').put(first, 'k', Uint8Array.of(1)).then(note('later'))
  // Of the other domain, whose tables are cold as well: a record that needs none of them.
  const elsewhere = topics.filter(tp => tp !== first)
  const outcomes = await Promise.race([
    Promise.any(elsewhere.map(tp => fixture.store.records('x').put(tp, 'k', Uint8Array.of(2)))),
    sleep(5000, 'timeout'),
  ])
  assert.equal(outcomes, undefined, 'the other domain waits, too')
  assert.deepEqual(order, [])
  open()
  await Promise.all([write, later])
  assert.deepEqual(await read, { startOffset: 4, nextOffset: 10 })
  assert.deepEqual([...order].sort(), ['later', 'read', 'write'])
})

test('a table that is gone from the bucket is CORRUPTION for who needs it, and for nobody else', async () => {
  await using fixture = await Fixture.open()
  await fixture.fill()
  await fixture.records.put(TP, 'fresh', Uint8Array.of(1))
  await fixture.reopen({}, true)
  const { objects } = await fixture.bucket.list('domain/')
  const [table] = objects.filter(({ key }) => key.endsWith('.sst'))
  await fixture.bucket.delete([table.key])
  await assert.rejects(fixture.records.get(TP, keyOf(1)), (error: unknown) => {
    assert.ok(isCorruption(error))
    assert.equal(((error as MetastoreError).details as { file: string }).file, table.key)
    return true
  })
  assert.deepEqual(await fixture.records.get(TP, 'fresh'), Uint8Array.of(1))
  await fixture.records.put(TP, 'fresh', Uint8Array.of(2))
})

test('damage anywhere in a cached table is repaired from the bucket and counted', async () => {
  await using fixture = await Fixture.open()
  await fixture.fill(0, 60)
  await fixture.store.close()
  const [path] = fixture.cacheFiles
  const whole = readFileSync(path)
  let damaged = 0
  for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 12)) {
    const bytes = Buffer.from(whole)
    // A run of bytes, so that whatever section it meets is hurt.
    for (let i = at; i < Math.min(at + 64, bytes.length); i++) bytes[i] ^= 0x55
    writeFileSync(path, bytes)
    await fixture.reopen()
    for (let row = 0; row < 60; row++) await fixture.check(row)
    damaged += (await fixture.store.status()).storage.damagedReads
    await fixture.store.close()
  }
  assert.ok(damaged >= 6, `${damaged} damaged reads`)
  for (const length of [0, 1, whole.length >> 1, whole.length - 1]) {
    writeFileSync(path, whole.subarray(0, length))
    await fixture.reopen()
    for (let row = 0; row < 60; row++) await fixture.check(row)
    await fixture.store.close()
  }
  await fixture.reopen()
})

test('damage in the bucket as well is CORRUPTION naming file, block and offset', async () => {
  await using fixture = await Fixture.open()
  await fixture.fill(0, 60)
  await fixture.reopen({}, true)
  await fixture.check(0)
  await fixture.reopen({}, true)
  fixture.bucket.spoil = (bytes, { offset }) => {
    // The first block only; the rest of the file is as it should be.
    if (offset > 0) return bytes
    const spoilt = bytes.slice()
    spoilt[100] ^= 1
    return spoilt
  }
  await assert.rejects(fixture.records.get(TP, keyOf(0)), (error: unknown) => {
    assert.ok(isCorruption(error))
    const { file, block, offset } = (error as MetastoreError).details as Record<string, unknown>
    assert.match(String(file), /\.sst$/)
    assert.deepEqual([block, offset], [0, 0])
    return true
  })
  await fixture.check(59)
})

test('damage on the way from the bucket is fetched once more, whatever part it meets', async () => {
  await using fixture = await Fixture.open()
  await fixture.fill()
  // The end of the table with its footer comes first, then blocks.
  for (const [part, at] of [
    [0, -20],
    [1, 100],
  ]) {
    await fixture.reopen({}, true)
    let gets = 0
    fixture.bucket.spoil = bytes => {
      if (gets++ !== part) return bytes
      const spoilt = bytes.slice()
      spoilt[(at + bytes.length) % bytes.length] ^= 1
      return spoilt
    }
    for (let row = 0; row < 60; row++) await fixture.check(row)
    assert.ok(gets > part, `${gets} gets`)
  }
})

test('the local cache stays within its bytes, and what it lost is read all the same', async () => {
  const options = { cacheBytesMax: 600_000 }
  await using fixture = await Fixture.open(options)
  for (let part = 0; part < 6; part++) await fixture.fill(part * 300, part * 300 + 300)
  const { storage } = await fixture.store.status()
  assert.ok(storage.cacheBytes <= 600_000, `${storage.cacheBytes} bytes`)
  assert.ok(storage.cacheEvictions > 0)
  for (let row = 0; row < 1800; row += 7) await fixture.check(row)
  await fixture.store.close()
  const onDisk = fixture.cacheFiles.reduce((sum, path) => sum + statSync(path).blocks * 512, 0)
  assert.ok(onDisk <= 600_000 + 64 * 1024, `${onDisk} bytes on disk`)
  await fixture.reopen(options)
  for (let row = 0; row < 1800; row += 7) await fixture.check(row)
})

test('tables are read when the budget of their memory holds none of them', async () => {
  for (const readPath of ['auto', 'worker'] as const) {
    const options = { tableMemoryBytesMax: 0, blockCacheBytesMax: 0, readPath }
    await using fixture = await Fixture.open(options)
    for (let part = 0; part < 3; part++) await fixture.fill(part * 50, part * 50 + 50)
    await fixture.reopen(options, true)
    for (let row = 0; row < 150; row += 3) await fixture.check(row)
    let rows = 0
    for await (const { value } of fixture.records.scan(TP)) {
      assert.equal(Buffer.compare(value, bytesOf(rows++)), 0)
    }
    assert.equal(rows, 150)
  }
})

test('close() while reads wait for the bucket ends, and answers them', async () => {
  const fixture = await Fixture.open()
  await fixture.fill(0, 60)
  await fixture.reopen({}, true)
  fixture.bucket.gate = new Promise(() => {})
  const waiting = assert.rejects(fixture.records.get(TP, keyOf(3)), { code: 'CLOSED' })
  const startedAt = performance.now()
  await fixture.store.close()
  await waiting
  assert.ok(performance.now() - startedAt < 8000)
  await rm(fixture.directory, { recursive: true })
})
