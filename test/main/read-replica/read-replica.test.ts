/**
 * Goal: a replica answers as its metastore does of all that the bucket has, with nothing but the
 * bucket; what it has never goes back; and it leaves nothing behind. Method: a live metastore over a
 * bucket in memory, tail objects written from its log, and buckets that count, fail or lie.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { committedKey, tablePrefix, tailKey } from '../../../src/codec/bucket-layout.ts'
import { encodeTail } from '../../../src/codec/tail.ts'
import {
  type ErrorCode,
  Metastore,
  MetastoreError,
  type ObjectStore,
  ReadReplica,
  type ReadReplicaOptions,
} from '../../../src/index.ts'
import { FaultyObjectStore } from '../../object-stores/faulty-object-store.ts'
import { NEVER_MS, ReplicaFixture, TP, valueIn } from './replica-fixture.ts'

let fixture: ReplicaFixture
beforeEach(async () => {
  fixture = await ReplicaFixture.open()
})
afterEach(() => fixture.close())

function code(expected: ErrorCode, text: RegExp = /./): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof MetastoreError, String(error))
    assert.equal(error.code, expected, error.message)
    assert.match(error.message, text)
    return true
  }
}

async function until(isTrue: () => Promise<boolean> | boolean): Promise<void> {
  const endsAt = performance.now() + 20_000
  while (!(await isTrue())) {
    assert.ok(performance.now() < endsAt, 'it did not come true')
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

describe('open', () => {
  const bad: [string, Partial<Record<string, unknown>>, RegExp][] = [
    ['no cluster id', { clusterId: undefined }, /clusterId.*undefined/],
    ['a cluster id that is none', { clusterId: 'X' }, /clusterId.*"X"/],
    ['an interval of nothing', { refreshIntervalMs: 0 }, /refreshIntervalMs.*0/],
    ['a lease of nothing', { leaseMs: 1 }, /leaseMs.*1/],
    ['an empty dataDir', { dataDir: '' }, /dataDir/],
    ['an option of a metastore', { partitions: 3 }, /partitions.*3/],
    ['an unknown option', { colour: 'red' }, /colour.*"red"/],
  ]
  for (const [name, change, text] of bad) {
    test(`${name} is refused, by name and value`, async () => {
      const given = { ...fixture.replicaOptions(), ...change } as ReadReplicaOptions
      await assert.rejects(ReadReplica.open(given), code('INVALID_REQUEST', text))
    })
  }

  test('a cluster that is not there is refused, and those that are there are listed', async () => {
    const clusterId = randomUUID()
    const options = fixture.replicaOptions({ clusterId })
    await assert.rejects(ReadReplica.open(options), error => {
      code('INVALID_REQUEST', new RegExp(`${clusterId} is not in the bucket`))(error)
      const { details } = error as MetastoreError
      assert.deepEqual(details, { clusterIds: [fixture.store.clusterId] })
      return true
    })
    // The directory is nobody's yet.
    const replica = await fixture.openReplica({ dataDir: options.dataDir })
    assert.equal(replica.clusterId, fixture.store.clusterId)
    assert.equal(replica.partitionCount, 1)
  })

  test('a dataDir has one owner, and stays with its cluster and its kind', async () => {
    const replica = await fixture.openReplica()
    const options = fixture.replicaOptions()
    const own = await fixture.openReplica({ dataDir: options.dataDir })
    await assert.rejects(ReadReplica.open(options), code('CONFLICT', /open in another/))
    await own.close()
    await replica.close()
    const other = { ...options, clusterId: randomUUID() }
    await assert.rejects(ReadReplica.open(other), code('INVALID_REQUEST', /clusterId/))
    const { dataDir } = options
    await assert.rejects(
      Metastore.open({ dataDir, objectStore: fixture.bucket }),
      code('INVALID_REQUEST', /read replica's/),
    )
    await fixture.store.close()
    const metastores = fixture.replicaOptions({ dataDir: fixture.dataDir })
    await assert.rejects(ReadReplica.open(metastores), code('INVALID_REQUEST', /metastore's/))
  })

  test('reads no table, whatever the size of the data', async () => {
    const asked: string[][] = []
    for (const rows of [10, 20_000]) {
      for (let from = 0; from < rows; from += 1000) {
        await fixture.store.records('test').batch(
          TP,
          Array.from({ length: Math.min(1000, rows) }, (_, i) => ({
            ...{ type: 'put' as const, key: `${from + i}`, value: new Uint8Array(100).fill(i) },
          })),
        )
      }
      await fixture.store.flush()
      const bucket = new FaultyObjectStore(fixture.bucket, () => null)
      const replica = await fixture.openReplica({ objectStore: bucket })
      asked.push(bucket.calls.map(({ method, key }) => `${method} ${key.split('/')[2]}`))
      const before = bucket.calls.length
      assert.ok((await replica.records('test').get(TP, '7')) !== undefined)
      const fetched = bucket.calls.slice(before)
      assert.ok(fetched.every(({ key }) => key.endsWith('.sst')))
      assert.ok(fetched.length <= 3, `${fetched.length} requests for a first read`)
    }
    const expected = ['get cluster.json', 'get committed', 'put lease', 'get manifest']
    assert.deepEqual(asked[0], [...expected, 'put lease', 'list tail'])
    assert.deepEqual(asked[1], asked[0])
  })
})

describe('follow', () => {
  test('what was flushed and what was shipped is there after a refresh', async () => {
    await fixture.put('a', '1')
    const replica = await fixture.openReplica()
    assert.equal(await valueIn(replica, 'a'), undefined)
    await fixture.store.flush()
    await replica.refresh()
    assert.equal(await valueIn(replica, 'a'), '1')
    await fixture.put('a', '2')
    await fixture.put('b', '1')
    await replica.refresh()
    assert.equal(await valueIn(replica, 'a'), '1')
    await fixture.shipAll()
    await replica.refresh()
    assert.deepEqual([await valueIn(replica, 'a'), await valueIn(replica, 'b')], ['2', '1'])
    await fixture.store.records('test').delete(TP, 'a')
    await fixture.store.flush()
    await replica.refresh()
    assert.deepEqual([await valueIn(replica, 'a'), await valueIn(replica, 'b')], [undefined, '1'])
  })

  test('happens by itself', async () => {
    const replica = await fixture.openReplica({ refreshIntervalMs: 10 })
    await fixture.put('a', '1')
    await fixture.shipAll()
    await until(async () => (await valueIn(replica, 'a')) === '1')
    await fixture.put('a', '2')
    await fixture.store.flush()
    await until(async () => (await valueIn(replica, 'a')) === '2')
  })

  test('a refresh sees what was put before it, also when another one is under way', async () => {
    const replica = await fixture.openReplica()
    for (let i = 0; i < 20; i++) {
      const underWay = replica.refresh()
      await fixture.put('a', `${i}`)
      await fixture.shipAll()
      await Promise.all([replica.refresh(), replica.refresh()])
      assert.equal(await valueIn(replica, 'a'), `${i}`)
      await underWay
    }
  })

  test('a manifest over a gap in the tail drops what it covers', async () => {
    const replica = await fixture.openReplica()
    await fixture.put('a', '1')
    await fixture.put('b', '1')
    await fixture.shipAll()
    await replica.refresh()
    // Never shipped: of `a` and `b` the memtable has what is older than the tables.
    await fixture.put('a', '2')
    await fixture.store.records('test').delete(TP, 'b')
    await fixture.store.flush()
    await replica.refresh()
    assert.deepEqual([await valueIn(replica, 'a'), await valueIn(replica, 'b')], ['2', undefined])
    // And a tail that is ahead of the next manifest.
    await fixture.put('a', '3')
    await fixture.ship(0, (await fixture.sequence()) - 0, await fixture.sequence())
    await replica.refresh()
    await fixture.store.flush()
    await fixture.put('b', '4')
    await fixture.store.compact()
    await replica.refresh()
    assert.deepEqual([await valueIn(replica, 'a'), await valueIn(replica, 'b')], ['3', '4'])
  })

  test('a gap waits for what is missing, and takes it from any epoch', async () => {
    const replica = await fixture.openReplica()
    for (let i = 1; i <= 6; i++) await fixture.put('a', `${i}`)
    const first = (await fixture.sequence()) - 5
    await fixture.ship(0, first, first + 1, { epoch: 3 })
    await fixture.ship(0, first + 4, first + 5, { epoch: 3 })
    await replica.refresh()
    assert.equal(await valueIn(replica, 'a'), '2')
    // Late, and of an older leader: its key is before those that were looked at.
    await fixture.ship(0, first + 1, first + 4, { epoch: 1 })
    await replica.refresh()
    assert.equal(await valueIn(replica, 'a'), '6')
  })

  test('the metastore is closed and its disk is gone, and the replica goes on', async () => {
    await fixture.put('a', '1')
    await fixture.store.flush()
    await fixture.put('b', '2')
    await fixture.shipAll()
    await fixture.store.close()
    await rm(fixture.dataDir, { recursive: true })
    const replica = await fixture.openReplica()
    assert.deepEqual([await valueIn(replica, 'a'), await valueIn(replica, 'b')], ['1', '2'])
    await replica.refresh()
    assert.deepEqual([await valueIn(replica, 'a'), await valueIn(replica, 'b')], ['1', '2'])
  })

  test('memory is bounded: the tail waits for a flush, and nothing is lost by it', async () => {
    const small = await fixture.openReplica({ memtableBytesMax: 65_536 })
    const value = 'x'.repeat(1_000_000)
    // Each fills a memtable.
    for (let i = 0; i < 16; i++) {
      await fixture.put(`${i}`, value)
      await fixture.shipAll()
      await small.refresh()
    }
    assert.equal((await valueIn(small, '0'))?.length, value.length)
    assert.equal((await valueIn(small, '15'))?.length, undefined)
    await fixture.store.flush()
    await small.refresh()
    assert.equal((await valueIn(small, '15'))?.length, value.length)
    await fixture.put('15', 'after')
    await fixture.shipAll()
    await small.refresh()
    assert.equal(await valueIn(small, '15'), 'after')
  })
})

describe('never goes back', () => {
  test('an older pointer changes nothing', async () => {
    await fixture.put('a', '1')
    await fixture.store.flush()
    const [uuid] = await fixture.domains()
    const older = await fixture.bucket.get(committedKey(uuid))
    assert.ok(older !== null)
    await fixture.put('a', '2')
    await fixture.store.flush()
    const replica = await fixture.openReplica()
    assert.equal(await valueIn(replica, 'a'), '2')
    await fixture.bucket.put(committedKey(uuid), older)
    await replica.refresh()
    assert.equal(await valueIn(replica, 'a'), '2')
    await fixture.bucket.delete([committedKey(uuid)])
    await replica.refresh()
    assert.equal(await valueIn(replica, 'a'), '2')
  })

  test('tail objects that come again, or are gone, change nothing', async () => {
    const replica = await fixture.openReplica()
    for (let i = 1; i <= 4; i++) await fixture.put('a', `${i}`)
    const last = await fixture.sequence()
    const keys = [await fixture.ship(0, 1, last)]
    await replica.refresh()
    assert.equal(await valueIn(replica, 'a'), '4')
    keys.push(await fixture.ship(0, 1, last - 2, { epoch: 2 }))
    await replica.refresh()
    assert.equal(await valueIn(replica, 'a'), '4')
    await fixture.bucket.delete(keys)
    await replica.refresh()
    assert.equal(await valueIn(replica, 'a'), '4')
  })

  test('reads during refreshes see no state before one that was seen', async () => {
    const replica = await fixture.openReplica({ refreshIntervalMs: 1, blockCacheBytesMax: 0 })
    const keys = Array.from({ length: 8 }, (_, i) => `k${i}`)
    let isOver = false
    const seen = new Map<string, number>()
    const reader = async (): Promise<void> => {
      while (!isOver) {
        for (const key of keys) {
          const value = Number((await valueIn(replica, key)) ?? -1)
          assert.ok(value >= (seen.get(key) ?? -1), `${key} went back to ${value}`)
          seen.set(key, value)
        }
        await new Promise(setImmediate)
      }
    }
    const reading = Promise.all([reader(), reader(), reader()])
    for (let round = 0; round < 40; round++) {
      await Promise.all(keys.map(key => fixture.put(key, `${round}`)))
      if (round % 3 === 0) await fixture.store.flush()
      else if (round % 7 === 0) await fixture.store.compact()
      else if (round % 3 === 1) await fixture.shipAll()
    }
    await fixture.store.flush()
    await replica.refresh()
    isOver = true
    await reading
    for (const key of keys) assert.equal(await valueIn(replica, key), '39')
  })
})

describe('a bucket that fails', () => {
  test('leaves reads as they are, and is caught up with', async () => {
    await fixture.put('a', '1')
    await fixture.store.flush()
    const bucket = new FaultyObjectStore(fixture.bucket, () => null)
    const failures: string[] = []
    const logger = {
      ...{ debug() {}, info() {}, error() {} },
      warn: (_: object, message: string) => failures.push(message),
    }
    const replica = await fixture.openReplica({ objectStore: bucket, logger })
    assert.equal(await valueIn(replica, 'a'), '1')
    await fixture.put('a', '2')
    await fixture.store.flush()
    await fixture.put('b', '1')
    await fixture.shipAll()
    // Cut short on the way: pointer, manifest, tail.
    for (const what of ['/committed', '/manifest/', '/tail/']) {
      bucket.plan = ({ method, key }) =>
        method === 'get' && key.includes(what) ? 'truncate' : null
      await assert.rejects(replica.refresh(), code('CORRUPTION'))
      assert.equal(await valueIn(replica, 'a'), what === '/tail/' ? '2' : '1')
    }
    assert.deepEqual(failures, Array(3).fill('a refresh has failed'))
    bucket.plan = ({ index }) => (index % 2 === 0 ? 'errorBefore' : 'delay')
    await replica.refresh()
    assert.deepEqual([await valueIn(replica, 'a'), await valueIn(replica, 'b')], ['2', '1'])
  })

  test('hangs, and close() ends all the same', async () => {
    const bucket = new FaultyObjectStore(fixture.bucket, () => null)
    const replica = await fixture.openReplica({ objectStore: bucket })
    bucket.plan = () => 'hang'
    const refreshing = assert.rejects(replica.refresh(), code('CLOSED'))
    await replica.close()
    await refreshing
  })

  test('damage names the object, and a manifest passes over a damaged tail', async () => {
    const replica = await fixture.openReplica()
    await fixture.put('a', '1')
    const key = await fixture.ship(0, 1, await fixture.sequence())
    const bytes = (await fixture.bucket.get(key)) ?? new Uint8Array(0)
    bytes[bytes.length >> 1] ^= 1
    await fixture.bucket.put(key, bytes)
    await assert.rejects(replica.refresh(), code('CORRUPTION', new RegExp(key)))
    await fixture.store.flush()
    await replica.refresh()
    assert.equal(await valueIn(replica, 'a'), '1')
  })

  test("another cluster's objects under this one's names are refused", async () => {
    const replica = await fixture.openReplica()
    await fixture.put('a', '1')
    const [domain] = await fixture.domains()
    const batch = (await fixture.batches()).get(0)?.get(1) ?? new Uint8Array(0)
    const name = { domain, epoch: 1, first: 1, last: 1 }
    const tail = { ...name, clusterId: randomUUID(), createdAt: 1, batches: [batch] }
    await fixture.bucket.put(tailKey(name), encodeTail(tail, 'none'))
    await assert.rejects(replica.refresh(), code('CORRUPTION', /not the tail object/))
    assert.equal(await valueIn(replica, 'a'), undefined)
  })
})

describe('a table that is gone', () => {
  test('makes a read refresh and try once more', async () => {
    await fixture.put('a', '1')
    await fixture.store.flush()
    const replica = await fixture.openReplica()
    const [uuid] = await fixture.domains()
    const { objects } = await fixture.bucket.list(tablePrefix(uuid))
    await fixture.put('a', '2')
    await fixture.store.flush()
    await fixture.store.compact()
    await fixture.bucket.delete(objects.map(({ key }) => key))
    assert.equal(await valueIn(replica, 'a'), '2')
  })

  test('is named when a refresh does not help', async () => {
    await fixture.put('a', '1')
    await fixture.store.flush()
    const bucket = new FaultyObjectStore(fixture.bucket, () => null)
    const replica = await fixture.openReplica({ objectStore: bucket })
    const [uuid] = await fixture.domains()
    const { objects } = await fixture.bucket.list(tablePrefix(uuid))
    const [{ key: table }] = objects
    await fixture.bucket.delete([table])
    const before = bucket.calls.length
    await assert.rejects(valueIn(replica, 'a'), error => {
      code('CORRUPTION', new RegExp(table))(error)
      assert.equal(((error as MetastoreError).details as { file: string }).file, table)
      return true
    })
    const calls = bucket.calls.slice(before)
    assert.equal(calls.filter(({ key }) => key === table).length, 2)
    assert.equal(calls.filter(({ key }) => key === committedKey(uuid)).length, 1)
  })
})

describe('reads', () => {
  test('are of what is there: other consistencies are refused, by name', async () => {
    const replica = await fixture.openReplica()
    await fixture.put('a', '1')
    await fixture.shipAll()
    await replica.refresh()
    for (const consistency of ['linearizable', 'leader'] as const) {
      const expected = code('INVALID_REQUEST', new RegExp(`consistency.*"${consistency}"`))
      const o = { consistency }
      await assert.rejects(replica.getOffsets(TP, o), expected)
      await assert.rejects(replica.findByOffsets([], o), expected)
      await assert.rejects(replica.records('test').get(TP, 'a', o), expected)
    }
    const found = await replica.records('test').get(TP, 'a', { consistency: 'stale' })
    assert.equal(found?.length, 1)
    await assert.rejects(
      replica.getOffsets(TP, { consistency: 'stale' }),
      code('MISSING_PARTITION'),
    )
  })

  test('of records: get, getSync, getMany, scan and snapshots; writes are READ_ONLY', async () => {
    await fixture.put('a', '1')
    await fixture.put('b', '2')
    await fixture.store.flush()
    const replica = await fixture.openReplica()
    const records = replica.records('test')
    const scanned: string[] = []
    for await (const { key } of records.scan(TP)) scanned.push(Buffer.from(key).toString())
    assert.deepEqual(scanned, ['a', 'b'])
    assert.deepEqual(await records.hasMany(TP, ['a', 'c']), [true, false])
    assert.deepEqual(records.getSync(TP, 'b'), await records.get(TP, 'b'))
    using snapshot = records.snapshot(TP)
    assert.equal((await records.get(TP, 'a', { snapshot }))?.length, 1)
    const readOnly = code('READ_ONLY', /read replica/)
    await assert.rejects(records.put(TP, 'a', new Uint8Array(1)), readOnly)
    await assert.rejects(records.delete(TP, 'a'), readOnly)
    await assert.rejects(records.batch(TP, [{ type: 'delete', key: 'a' }]), readOnly)
    await assert.rejects(records.put(TP, 'a', 'x' as never), code('INVALID_REQUEST'))
  })
})

describe('lagMs', () => {
  test('is small after a refresh that left nothing out, and grows while none does', async () => {
    const bucket = new FaultyObjectStore(fixture.bucket, () => null)
    const replica = await fixture.openReplica({ objectStore: bucket })
    const before = Date.now()
    await replica.refresh()
    assert.ok(replica.lagMs() <= Date.now() - before)
    // A gap: what is behind it is left out.
    for (let i = 0; i < 3; i++) await fixture.put('a', `${i}`)
    const last = await fixture.sequence()
    const gapAt = Date.now()
    await fixture.ship(0, last, last)
    await new Promise(resolve => setTimeout(resolve, 20))
    await replica.refresh()
    assert.ok(replica.lagMs() >= Date.now() - gapAt - 1, `${replica.lagMs()}`)
    bucket.plan = ({ key }) => (key.endsWith('/committed') ? 'truncate' : null)
    await fixture.store.flush()
    await assert.rejects(replica.refresh())
    assert.ok(replica.lagMs() >= 20)
    bucket.plan = () => null
    const again = Date.now()
    await replica.refresh()
    assert.ok(replica.lagMs() <= Date.now() - again)
  })
})

describe('several', () => {
  test('replicas follow each on its own', async () => {
    const [one, two] = [await fixture.openReplica(), await fixture.openReplica()]
    await fixture.put('a', '1')
    await fixture.store.flush()
    await one.refresh()
    assert.deepEqual([await valueIn(one, 'a'), await valueIn(two, 'a')], ['1', undefined])
    await one.close()
    await two.refresh()
    assert.equal(await valueIn(two, 'a'), '1')
  })

  test('lives of a replica take over its cache', async () => {
    await fixture.put('a', '1')
    await fixture.store.flush()
    const bucket = new FaultyObjectStore(fixture.bucket, () => null)
    const options = fixture.replicaOptions({ objectStore: bucket as ObjectStore })
    const isTable = ({ key }: { key: string }): boolean => key.endsWith('.sst')
    const first = await ReadReplica.open(options)
    assert.equal(await valueIn(first, 'a'), '1')
    await first.close()
    const fetched = bucket.calls.filter(isTable).length
    assert.ok(fetched > 0)
    const second = await ReadReplica.open(options)
    assert.equal(await valueIn(second, 'a'), '1')
    await second.close()
    assert.equal(bucket.calls.filter(isTable).length, fetched)
  })
})

test('after close() nothing is answered, and closing again is fine', async () => {
  const replica = await fixture.openReplica({ refreshIntervalMs: 1 })
  await replica.close()
  await replica.close()
  await assert.rejects(replica.refresh(), code('CLOSED', /read replica/))
  await assert.rejects(replica.getOffsets(TP), code('CLOSED', /read replica/))
  assert.throws(() => replica.records('test').getSync(TP, 'a'), code('CLOSED'))
  await using again = await ReadReplica.open(fixture.replicaOptions({ leaseMs: NEVER_MS }))
  assert.equal(again.partitionCount, 1)
})
