/**
 * Goal: the pool keeps its threads busy while the bucket takes its time, makes no more tables at
 * once than it has threads, and leaves nobody waiting when it closes.
 * Method: a bucket on this thread that holds what it is asked for until the test lets it go.
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { KeyBuilder, TP_BYTES } from '../../src/codec/keys.ts'
import { IoPool, tasksAtOnce } from '../../src/main/io-pool.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import type { BuiltTable } from '../../src/shared/io-tasks.ts'
import { Memtable } from '../../src/shared/memtable.ts'
import type { ObjectStore } from '../../src/shared/object-store.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const THREADS = { min: 1, max: 2 }
const READS = 24
const FLUSHES = 5
const DOMAIN = '33333333-3333-4333-8333-333333333333'

class HeldBucket extends MemoryObjectStore {
  gets = 0
  puts = 0
  putsMost = 0
  #held: Promise<void> | undefined
  letGo: () => void = () => {}

  hold(): void {
    this.#held = new Promise(resolve => {
      this.letGo = resolve
    })
  }

  override async get(...args: Parameters<ObjectStore['get']>) {
    this.gets++
    await this.#held
    this.gets--
    return await super.get(...args)
  }

  override async put(...args: Parameters<ObjectStore['put']>) {
    this.putsMost = Math.max(this.putsMost, ++this.puts)
    await this.#held
    this.puts--
    return await super.put(...args)
  }
}

let directory: string
before(async () => {
  directory = await temporaryDirectory()
})
after(() => rm(directory, { recursive: true }))

async function until(what: string, isSo: () => boolean): Promise<void> {
  const endsAt = performance.now() + 30_000
  while (!isSo()) {
    assert.ok(performance.now() < endsAt, `waited in vain: ${what}`)
    await sleep(5)
  }
}

function read(pool: IoPool): Promise<unknown> {
  return pool.run({ type: 'readTail', key: 'absent' })
}

/** A memtable of one row to a table. */
function flush(pool: IoPool, id: number): Promise<BuiltTable[]> {
  const memory = new SharedArrayBuffer(65_536)
  const key = new KeyBuilder().record(new Uint8Array(TP_BYTES), Uint8Array.of(1), Uint8Array.of(id))
  new Memtable(memory).insert(key, 0, key.length, 1, false, key, 0, key.length)
  return pool.run({
    ...{ type: 'buildTables', memory, lastSequence: 1, snapshots: [], cacheDirectory: directory },
    ...{ domain: DOMAIN, epoch: 1, firstTableId: id, lastTableId: id },
    ...{ compression: 'lz4', createdAt: 1 },
  })
}

test('a thread has many tasks that wait for the bucket, and few that make tables', async () => {
  const bucket = new HeldBucket()
  const pool = new IoPool({ type: 'object', store: bucket }, THREADS)
  try {
    bucket.hold()
    const reads = Array.from({ length: READS }, () => read(pool))
    await until('all reads are at the bucket', () => bucket.gets === READS)
    const flushes = Array.from({ length: FLUSHES }, (_, i) => flush(pool, i + 1))
    await until('each thread has a table', () => bucket.puts === THREADS.max)
    const late = read(pool)
    await until('a read passes those that wait', () => bucket.gets === READS + 1)
    assert.equal(bucket.puts, THREADS.max)
    bucket.letGo()
    assert.deepEqual(new Set(await Promise.all([...reads, late])), new Set([null]))
    const built = await Promise.all(flushes)
    assert.deepEqual(
      built.flatMap(tables => tables.map(({ description }) => description.id)),
      [1, 2, 3, 4, 5],
    )
    assert.equal(bucket.putsMost, THREADS.max)
  } finally {
    await pool.close()
  }
})

test('of a directory a thread has one task at a time', () => {
  assert.equal(tasksAtOnce({ type: 'directory', root: directory }, 3), 3)
  assert.equal(tasksAtOnce({ type: 'object', store: new MemoryObjectStore() }, 3), 48)
})

test('close() ends tasks that run, wait for a thread or wait for their turn', async () => {
  const bucket = new HeldBucket()
  const pool = new IoPool({ type: 'object', store: bucket }, THREADS)
  bucket.hold()
  const tasks = [
    ...Array.from({ length: 4 * READS }, () => read(pool)),
    ...Array.from({ length: FLUSHES }, (_, i) => flush(pool, i + 1)),
  ]
  const ended = Promise.allSettled(tasks)
  await until('some are at the bucket', () => bucket.gets >= READS)
  await pool.close()
  for (const outcome of await ended) {
    assert.equal(outcome.status, 'rejected')
    assert.equal((outcome.reason as { code?: string }).code, 'CLOSED')
  }
  await assert.rejects(read(pool), { code: 'CLOSED' })
  bucket.letGo()
})

test('answers that come while close() has begun disturb nobody', async () => {
  for (let round = 0; round < 5; round++) {
    const bucket = new HeldBucket()
    const pool = new IoPool({ type: 'object', store: bucket }, { min: 1, max: 1 })
    bucket.hold()
    const reads = Array.from({ length: 12 }, () => read(pool))
    const ended = Promise.allSettled(reads)
    await until('all are at the bucket', () => bucket.gets === reads.length)
    // In the very turn of the first answer; an error that nobody handles fails the test.
    const closed = Promise.race(reads).then(() => pool.close())
    bucket.letGo()
    await nextTurn()
    // Meanwhile the thread answers, so that all answers are there in the next turn.
    for (const endsAt = performance.now() + 50; performance.now() < endsAt; );
    await closed
    for (const outcome of await ended) {
      if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'CLOSED')
    }
  }
})
