/**
 * Goal: a replica takes over all that the bucket has, and never goes back, whatever the bucket
 * answers. Method: a live metastore over a bucket in memory, tail objects written from its log, and
 * buckets that fail or lie.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { committedKey, tablePrefix, tailKey } from '../../../src/codec/bucket-layout.ts'
import { encodeTail } from '../../../src/codec/tail.ts'
import type { MetastoreError } from '../../../src/index.ts'
import { FaultyObjectStore, seededPlan } from '../../object-stores/faulty-object-store.ts'
import { code, ReplicaFixture, TP, until, valueIn } from './replica-fixture.ts'

let fixture: ReplicaFixture
beforeEach(async () => {
  fixture = await ReplicaFixture.open()
})
afterEach(() => fixture.close())

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

  test('at random is never answered wrongly from, and in calm nothing is missing', async () => {
    const rates = { errorBefore: 0.1, errorAfter: 0.1, throttle: 0.1, delay: 0.2, truncate: 0.15 }
    const bucket = new FaultyObjectStore(fixture.bucket, () => null)
    const replica = await fixture.openReplica({ objectStore: bucket, blockCacheBytesMax: 0 })
    bucket.plan = seededPlan(11, rates)
    let seen = -1
    for (let round = 0; round < 30; round++) {
      await fixture.put('a', `${round}`)
      if (round % 5 === 0) await fixture.store.flush()
      else if (round % 3 !== 0) await fixture.shipAll()
      await replica.refresh().catch(code('CORRUPTION'))
      // A table's bytes may come cut short as well: that is said, and not answered from.
      const value = await valueIn(replica, 'a').catch(code('CORRUPTION'))
      if (typeof value !== 'string') continue
      assert.ok(Number(value) >= seen && Number(value) <= round, `${value} after ${seen}`)
      seen = Number(value)
    }
    bucket.plan = () => null
    await fixture.shipAll()
    await replica.refresh()
    assert.equal(await valueIn(replica, 'a'), '29')
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
    // Two tries, each of which asks once more for what fails its check.
    assert.equal(calls.filter(({ key }) => key === table).length, 4)
    assert.equal(calls.filter(({ key }) => key === committedKey(uuid)).length, 1)
  })
})
