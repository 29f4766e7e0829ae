/**
 * Goal: what an embedding program relies on around the reads of a replica: options, ownership of the
 * dataDir, what opening costs, what is refused, how old the state is, and an end that leaves nothing.
 * Method: a live metastore over a bucket in memory, and buckets that count.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import {
  Metastore,
  type MetastoreError,
  type ObjectStore,
  ReadReplica,
  type ReadReplicaOptions,
} from '../../../src/index.ts'
import { FaultyObjectStore } from '../../object-stores/faulty-object-store.ts'
import { code, NEVER_MS, ReplicaFixture, TP, valueIn } from './replica-fixture.ts'

let fixture: ReplicaFixture
beforeEach(async () => {
  fixture = await ReplicaFixture.open()
})
afterEach(() => fixture.close())

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
    const expected = ['get cluster.json', 'put lease', 'get committed', 'get manifest']
    assert.deepEqual(asked[0], [...expected, 'put lease', 'list tail'])
    assert.deepEqual(asked[1], asked[0])
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

  test('directories are buckets as well', async () => {
    const objectStore = `file:${join(fixture.directory, 'bucket')}`
    const dataDir = join(fixture.directory, 'other')
    await using store = await Metastore.open({ dataDir, objectStore, partitions: 2 })
    const { clusterId } = store
    const [one, two] = [0, 1].map(i =>
      fixture.replicaOptions({ objectStore, clusterId, workers: 1 + i }),
    )
    await store.records('test').put(TP, 'a', new TextEncoder().encode('1'))
    await store.flush()
    await using first = await ReadReplica.open(one)
    await using second = await ReadReplica.open(two)
    assert.deepEqual([await valueIn(first, 'a'), await valueIn(second, 'a')], ['1', '1'])
    await store.records('test').put(TP, 'a', new TextEncoder().encode('2'))
    await store.flush()
    await Promise.all([first.refresh(), second.refresh()])
    assert.deepEqual([await valueIn(first, 'a'), await valueIn(second, 'a')], ['2', '2'])
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
