/**
 * Goal: a snapshot of records reads what was there when it was taken, whatever is written, flushed
 * and compacted since, until it is released; and the reads that take one keep their own promises.
 * Method: a map is copied with every snapshot and every kind of read is compared to the copy, on the
 * calling thread and on the worker, from memtables and from tables.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import {
  type ErrorCode,
  Metastore,
  MetastoreError,
  type MetastoreOptions,
  type RecordRange,
  type RecordSnapshot,
  type RecordStore,
  type TopicPartition,
} from '../../src/index.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

/** In two different metastore partitions of two. */
const A: TopicPartition = { topicId: '11111111-1111-4111-8111-111111111111', partition: 0 }
const B: TopicPartition = { topicId: '22222222-2222-4222-8222-222222222222', partition: 7 }
const KEYS = 300

type Rows = Map<string, string>

let directory: string
before(async () => {
  directory = await temporaryDirectory()
})
after(() => rm(directory, { recursive: true }))

function options(more: Partial<MetastoreOptions> = {}): MetastoreOptions {
  return {
    dataDir: join(directory, randomUUID()),
    objectStore: `memory:${randomUUID()}`,
    partitions: 2,
    workers: 1,
    durability: 'os',
    ...more,
  }
}

/** Closed with the test, also when it fails. */
async function opened(t: TestContext, more: Partial<MetastoreOptions> = {}): Promise<Metastore> {
  const metastore = await Metastore.open(options(more))
  t.after(() => metastore.close())
  return metastore
}

function refused(code: ErrorCode, text: RegExp): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof MetastoreError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, text)
    return true
  }
}

const keyOf = (i: number): string => String(i).padStart(4, '0')
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

async function collect(
  rows: AsyncIterable<{ key: Uint8Array; value: Uint8Array }>,
): Promise<[string, string][]> {
  const result: [string, string][] = []
  for await (const { key, value } of rows) result.push([textOf(key), textOf(value)])
  return result
}

/** One round of puts and deletes, the same on the store and on the map. */
async function change(store: RecordStore, rows: Rows, round: number): Promise<void> {
  const operations = []
  for (let i = round % 3; i < KEYS; i += 1 + (round % 4)) {
    const key = keyOf(i)
    if ((i + round) % 5 === 0) {
      operations.push({ type: 'delete' as const, key })
      rows.delete(key)
    } else {
      const value = `${key} of round ${round}`
      operations.push({ type: 'put' as const, key, value: bytesOf(value) })
      rows.set(key, value)
    }
  }
  await store.batch(A, operations)
}

async function expectRows(
  store: RecordStore,
  snapshot: RecordSnapshot,
  rows: Rows,
  when: string,
): Promise<void> {
  const expected = [...rows].sort(([a], [b]) => (a < b ? -1 : 1))
  const o = { snapshot }
  assert.deepEqual(await collect(store.scan(A, {}, o)), expected, when)
  assert.deepEqual(await collect(store.scan(A, { reverse: true }, o)), expected.reverse(), when)
  const keys = Array.from({ length: KEYS }, (_, i) => keyOf(i))
  const values = await store.getMany(A, keys, o)
  assert.deepEqual(
    values.map(value => value && textOf(value)),
    keys.map(key => rows.get(key)),
    when,
  )
  for (let i = 0; i < KEYS; i += 37) {
    const value = await store.get(A, keys[i], o)
    assert.equal(value && textOf(value), rows.get(keys[i]), when)
    const now = store.getSync(A, keys[i], o)
    assert.equal(now && textOf(now), rows.get(keys[i]), when)
  }
}

for (const readPath of ['auto', 'worker'] as const) {
  describe(`snapshots, readPath ${readPath}`, () => {
    test('see old values and deleted rows over writes, flushes and compactions', async t => {
      const metastore = await opened(t, { readPath })
      const store = metastore.records('rows')
      const rows: Rows = new Map()
      const taken = [{ snapshot: store.snapshot(A), rows: new Map(rows) }]
      for (let round = 0; round < 8; round++) {
        await change(store, rows, round)
        taken.push({ snapshot: store.snapshot(A), rows: new Map(rows) })
        // Some rounds share a memtable, so that versions of a key meet in one as well.
        if (round % 3 === 1) await metastore.flush()
        if (round === 5) await metastore.compact()
        for (const [i, was] of taken.entries()) {
          await expectRows(store, was.snapshot, was.rows, `snapshot ${i} in round ${round}`)
        }
      }
      // Of those that stay, nothing goes with those that are released.
      for (const [i, { snapshot }] of taken.entries()) if (i % 2 === 1) snapshot.release()
      await change(store, rows, 8)
      await metastore.flush()
      await metastore.compact()
      for (const [i, was] of taken.entries()) {
        if (i % 2 === 0) await expectRows(store, was.snapshot, was.rows, `snapshot ${i} at the end`)
      }
    })

    test('one of an empty partition stays empty', async t => {
      const metastore = await opened(t, { readPath })
      const store = metastore.records('rows')
      const snapshot = store.snapshot(A)
      await store.put(A, 'k', bytesOf('new'))
      assert.equal(await store.get(A, 'k', { snapshot }), undefined)
      assert.equal(store.getSync(A, 'k', { snapshot }), undefined)
      assert.deepEqual(await collect(store.scan(A, {}, { snapshot })), [])
      assert.equal(textOf((await store.get(A, 'k')) ?? new Uint8Array(0)), 'new')
    })

    test('have what was acknowledged, and nothing that is under way', async t => {
      const metastore = await opened(t, { readPath })
      const store = metastore.records('rows')
      await store.put(A, 'k', bytesOf('old'))
      const write = store.put(A, 'k', bytesOf('new'))
      const snapshot = store.snapshot(A)
      const atOnce = store.getSync(A, 'k')
      assert.equal(textOf(atOnce ?? new Uint8Array(0)), 'old')
      // Without a snapshot a read comes after the write that was called before it.
      assert.deepEqual(await store.get(A, 'k'), bytesOf('new'))
      await write
      assert.deepEqual(await store.get(A, 'k', { snapshot }), bytesOf('old'))
      assert.deepEqual(store.getSync(A, 'k'), bytesOf('new'))
    })
  })
}

describe('what a snapshot is refused for', () => {
  test('released, another metastore partition, something else', async t => {
    const metastore = await opened(t)
    const store = metastore.records('rows')
    await store.put(A, 'k', bytesOf('v'))
    const snapshot = store.snapshot(A)
    // The domain's, not the kind's or the topic partition's.
    assert.equal(await metastore.records('other').get(A, 'k', { snapshot }), undefined)
    const elsewhere = refused('INVALID_REQUEST', /in another metastore partition/)
    await assert.rejects(store.get(B, 'k', { snapshot }), elsewhere)
    assert.throws(() => store.getSync(B, 'k', { snapshot }), elsewhere)
    snapshot.release()
    snapshot.release()
    const released = refused('INVALID_REQUEST', /released/)
    await assert.rejects(store.get(A, 'k', { snapshot }), released)
    await assert.rejects(store.getMany(A, ['k'], { snapshot }), released)
    await assert.rejects(store.hasMany(A, ['k'], { snapshot }), released)
    await assert.rejects(collect(store.scan(A, {}, { snapshot })), released)
    assert.throws(() => store.getSync(A, 'k', { snapshot }), released)
    const made = Object.create(null) as RecordSnapshot
    const foreign = refused('INVALID_REQUEST', /snapshot must be what snapshot\(\) gave/)
    await assert.rejects(store.get(A, 'k', { snapshot: made }), foreign)
    const kept = store.snapshot(A)
    await metastore.close()
    await assert.rejects(store.get(A, 'k', { snapshot: kept }), refused('CLOSED', /closed/))
    assert.throws(() => store.snapshot(A), refused('CLOSED', /closed/))
    kept.release()
  })

  test('a release does not touch the reads under way', async t => {
    const metastore = await opened(t, { readPath: 'worker' })
    const store = metastore.records('rows')
    await store.put(A, 'k', bytesOf('old'))
    const snapshot = store.snapshot(A)
    await store.put(A, 'k', bytesOf('new'))
    const read = store.get(A, 'k', { snapshot })
    const disposed = store.snapshot(A)
    disposed[Symbol.dispose]()
    snapshot.release()
    await metastore.compact()
    assert.deepEqual(await read, bytesOf('old'))
  })
})

test('getSync is UNAVAILABLE exactly while it would need the bucket', async t => {
  const given = options()
  const first = await opened(t, given)
  await first.records('rows').put(A, 'k', bytesOf('v'))
  await first.flush()
  await first.close()
  await rm(join(given.dataDir, 'cache'), { recursive: true })
  const again = await opened(t, given)
  const store = again.records('rows')
  assert.throws(() => store.getSync(A, 'k'), refused('UNAVAILABLE', /cannot wait for the bucket/))
  // Memtables come first: what they answer needs no table.
  await store.put(A, 'new', bytesOf('n'))
  assert.deepEqual(store.getSync(A, 'new'), bytesOf('n'))
  assert.deepEqual(await store.get(A, 'k'), bytesOf('v'))
  assert.deepEqual(store.getSync(A, 'k'), bytesOf('v'))
})

describe('ranges', () => {
  test('bounds of the longest keys include and exclude exactly', async t => {
    const metastore = await opened(t)
    const store = metastore.records('rows')
    const keys = [0, 1, 2, 3].map(i => new Uint8Array(4096).fill(i))
    await store.batch(
      A,
      keys.map(key => ({ type: 'put', key, value: key.subarray(0, 1) })),
    )
    const found = async (range: RecordRange): Promise<number[]> => {
      const values = []
      for await (const { value } of store.scan(A, range)) values.push(value[0])
      return values
    }
    for (const reverse of [false, true]) {
      const order = (...wanted: number[]): number[] => (reverse ? wanted.reverse() : wanted)
      assert.deepEqual(await found({ gt: keys[1], reverse }), order(2, 3))
      assert.deepEqual(await found({ gte: keys[1], reverse }), order(1, 2, 3))
      assert.deepEqual(await found({ lt: keys[2], reverse }), order(0, 1))
      assert.deepEqual(await found({ lte: keys[2], reverse }), order(0, 1, 2))
      assert.deepEqual(await found({ gt: keys[1], lt: keys[2], reverse }), [])
      assert.deepEqual(await found({ gt: keys[2], lte: keys[1], reverse }), [])
    }
    // Of two bounds on one side the inclusive one counts.
    assert.deepEqual(await found({ gt: keys[2], gte: keys[2], lt: keys[2], lte: keys[3] }), [2, 3])
    for (const field of ['gt', 'gte', 'lt', 'lte']) {
      const long = refused('INVALID_REQUEST', new RegExp(`^${field} must be`))
      await assert.rejects(found({ [field]: new Uint8Array(4097) }), long)
    }
  })

  test('answers of many large values come in parts, all of them', async t => {
    const metastore = await opened(t)
    const store = metastore.records('rows')
    const value = new Uint8Array(400_000).fill(7)
    const keys = ['a', 'b', 'c', 'd', 'e']
    for (const key of keys) await store.put(A, key, value)
    const found = await store.getMany(A, ['e', 'x', ...keys])
    assert.deepEqual(
      found.map(one => one?.length),
      [400_000, undefined, 400_000, 400_000, 400_000, 400_000, 400_000],
    )
    assert.deepEqual(await store.hasMany(A, ['e', 'x', 'a']), [true, false, true])
    assert.deepEqual(await store.getMany(A, []), [])
    const rows = []
    for await (const row of store.scan(A, { reverse: true })) rows.push(row)
    assert.deepEqual(
      rows.map(row => [textOf(row.key), row.value.length]),
      [...keys].reverse().map(key => [key, 400_000]),
    )
  })
})
