/**
 * Goal: what an embedding broker relies on around the calls themselves: options, ownership of the
 * dataDir, order of calls, failures of the bucket, limits, and an end that leaves nothing behind.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import {
  type ErrorCode,
  Metastore,
  MetastoreError,
  type MetastoreOptions,
  type NewExtent,
  type NewObject,
  type TopicPartition,
} from '../../src/index.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { FaultyObjectStore, scriptedPlan } from '../object-stores/faulty-object-store.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const A: TopicPartition = { topicId: '11111111-1111-4111-8111-111111111111', partition: 0 }
const B: TopicPartition = { topicId: '22222222-2222-4222-8222-222222222222', partition: 7 }

type NewTerms = Parameters<Metastore['addObjects']>[0]['terms']

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
    ...more,
  }
}

function code(expected: ErrorCode, text: RegExp = /./): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof MetastoreError, String(error))
    assert.equal(error.code, expected, error.message)
    assert.match(error.message, text)
    return true
  }
}

function extent(topicPartition: TopicPartition, baseOffset: number, lastOffset: number): NewExtent {
  return { topicPartition, baseOffset, lastOffset, maxTimestamp: 1, position: 0, sizeBytes: 99 }
}

function object(objectId: string, ...extents: NewExtent[]): NewObject {
  return { objectId, footerPosition: 500, sizeBytes: 564, extents }
}

async function add(store: Metastore, tp: TopicPartition, from: number, to: number): Promise<void> {
  const [id] = await store.preregisterObjects(tp, 1)
  await store.addObjects({
    objects: [object(id, extent(tp, from, to))],
    terms: [{ topicPartition: tp, terms: [{ term: 1, startOffset: from }] }],
  })
}

describe('options', () => {
  const bad: [string, Partial<Record<string, unknown>>, RegExp][] = [
    ['an empty dataDir', { dataDir: '' }, /dataDir.*""/],
    ['an unknown store', { objectStore: 'ftp://x' }, /objectStore.*ftp/],
    ['a bucket without a name', { objectStore: 's3:///prefix' }, /objectStore.*""/],
    ['a bucket of two letters', { objectStore: 's3://ab' }, /objectStore.*"ab"/],
    ['a prefix that begins no key', { objectStore: 's3://bucket/a//b' }, /objectStore.*a\/\/b/],
    ['an endpoint that is no URL', { s3: { endpoint: 'host:9000' } }, /s3\.endpoint.*host:9000/],
    ['a region of nothing', { s3: { region: '' } }, /s3\.region.*""/],
    ['a path style of a sort', { s3: { forcePathStyle: 'yes' } }, /s3\.forcePathStyle.*yes/],
    ['an unknown option of S3', { s3: { acl: 'x' } }, /s3\.acl is not known/],
    ['half credentials', { s3: { credentials: { accessKeyId: 'id' } } }, /credentials\.secretAcc/],
    ['a store without its methods', { objectStore: { put() {} } }, /objectStore has no method get/],
    ['no partitions', { partitions: 0 }, /partitions.*0/],
    ['a fraction of workers', { workers: 1.5 }, /workers.*1\.5/],
    ['a tiny memtable', { memtableBytesMax: 100 }, /memtableBytesMax.*100/],
    ['a garbage interval of nothing', { garbageIntervalMs: 0 }, /garbageIntervalMs.*0/],
    ['a negative time to commit', { preregistrationTtlMs: -1 }, /preregistrationTtlMs.*-1/],
    ['a flush interval of nothing', { flushIntervalMs: 0 }, /flushIntervalMs.*0/],
    ['a tail interval of nothing', { tailIntervalMs: 0 }, /tailIntervalMs.*0/],
    ['a tail that is false', { tailIntervalMs: false }, /tailIntervalMs.*false/],
    ['an unknown durability', { durability: 'maybe' }, /durability.*maybe/],
    ['an unknown compression', { compression: 'zip' }, /compression.*zip/],
    ['a cluster id that is none', { clusterId: 'X' }, /clusterId.*"X"/],
    ['more threads at least than at most', { ioThreads: { min: 3, max: 2 } }, /ioThreads\.max.*2/],
    ['half a logger', { logger: { info() {} } }, /logger has no method/],
    ['an option of another version', { colour: 'red' }, /colour/],
  ]
  for (const [name, change, text] of bad) {
    test(`${name} is refused, by name and value`, async () => {
      const given = { ...options(), ...change } as MetastoreOptions
      await assert.rejects(Metastore.open(given), code('INVALID_REQUEST', text))
    })
  }

  test('credentials that are refused are in no message', async () => {
    const secret = 'do-not-tell'
    const wrong = [
      { credentials: secret },
      { credentials: { accessKeyId: secret, secretAccessKey: '' } },
      { credentials: { accessKeyId: secret, secretAccessKey: secret, token: secret } },
      { endpoint: `http://${secret}:${secret}@host` },
    ]
    for (const s3 of wrong) {
      const given = { ...options(), s3 } as unknown as MetastoreOptions
      await assert.rejects(Metastore.open(given), (error: Error) => {
        assert.ok(!error.message.includes(secret), error.message)
        return error.message.includes('s3.')
      })
    }
  })

  test('a dataDir keeps its partition count and its cluster id', async () => {
    const given = options()
    const store = await Metastore.open(given)
    const { clusterId } = store
    await store.close()
    await assert.rejects(
      Metastore.open({ ...given, partitions: 3 }),
      code('INVALID_REQUEST', /partitions is 3.*2/),
    )
    await assert.rejects(
      Metastore.open({ ...given, clusterId: randomUUID() }),
      code('INVALID_REQUEST', /clusterId/),
    )
    const { partitions: _, ...rest } = given
    const again = await Metastore.open({ ...rest, clusterId })
    assert.deepEqual([again.clusterId, again.partitionCount], [clusterId, 2])
    await again.close()
  })
})

describe('ownership', () => {
  test('a dataDir that is open cannot be opened again, and can after close()', async () => {
    const given = options()
    const store = await Metastore.open(given)
    await assert.rejects(Metastore.open(given), code('CONFLICT', /open in another/))
    await store.close()
    await (await Metastore.open(given)).close()
  })

  test('a cluster id that the bucket has is not made a second time', async () => {
    const given = options({ clusterId: randomUUID() })
    await (await Metastore.open(given)).close()
    await assert.rejects(
      Metastore.open({ ...given, dataDir: join(directory, randomUUID()) }),
      code('CONFLICT', /already has cluster/),
    )
  })

  test('a creation that broke off before its end begins anew', async () => {
    const given = options()
    const store = await Metastore.open(given)
    await add(store, A, 0, 9)
    await store.close()
    // As if the process had died before cluster.json was written.
    await rm(join(given.dataDir, 'cluster.json'))
    const again = await Metastore.open(given)
    await assert.rejects(again.getOffsets(A), code('MISSING_PARTITION'))
    await again.close()
  })

  test('a creation with an id of the caller goes on after the bucket has heard of it', async () => {
    const given = options({ clusterId: randomUUID() })
    await (await Metastore.open(given)).close()
    const path = join(given.dataDir, 'cluster.json')
    // As if the process had died between the bucket's cluster.json and its own.
    await rename(path, `${path}.creating`)
    const again = await Metastore.open(given)
    assert.equal(again.clusterId, given.clusterId)
    await add(again, A, 0, 9)
    await again.close()
  })

  test('a damaged cluster.json is CORRUPTION naming the file', async () => {
    const given = options()
    await (await Metastore.open(given)).close()
    await writeFile(join(given.dataDir, 'cluster.json'), '{"format":"other"}')
    await assert.rejects(Metastore.open(given), code('CORRUPTION', /cluster\.json.*format/))
  })
})

describe('calls', () => {
  let store: Metastore
  before(async () => {
    store = await Metastore.open(options())
  })
  after(() => store.close())

  test('take effect in the order they were made, awaited or not', async () => {
    const tp = { topicId: randomUUID(), partition: 1 }
    const ids = await store.preregisterObjects(tp, 50)
    const terms = (from: number): { term: number; startOffset: number }[] => [
      { term: 1, startOffset: from },
    ]
    const seen = ids.map((id, i) => {
      void store.addObjects({
        objects: [object(id, extent(tp, i * 10, i * 10 + 9))],
        terms: [{ topicPartition: tp, terms: terms(i * 10) }],
      })
      return store.getOffsets(tp)
    })
    const nextOffsets = (await Promise.all(seen)).map(({ nextOffset }) => nextOffset)
    assert.deepEqual(
      nextOffsets,
      ids.map((_, i) => i * 10 + 10),
    )
  })

  test('of several metastore partitions fail each for itself, and say so', async () => {
    const tps = Array.from({ length: 8 }, (_, partition) => ({ topicId: randomUUID(), partition }))
    const ids = await Promise.all(tps.map(async tp => (await store.preregisterObjects(tp, 1))[0]))
    const request = {
      objects: tps.map((tp, i) => object(i === 0 ? randomUUID() : ids[i], extent(tp, 0, 9))),
      terms: tps.map(topicPartition => ({ topicPartition, terms: [{ term: 1, startOffset: 0 }] })),
    }
    await assert.rejects(store.addObjects(request), error => {
      code('PARTIAL_FAILURE')(error)
      const { outcomes } = (error as MetastoreError).details as {
        outcomes: { domain: number; error?: MetastoreError }[]
      }
      assert.deepEqual(outcomes.map(({ domain }) => domain).sort(), [0, 1])
      assert.equal(outcomes.filter(outcome => outcome.error?.code === 'CONFLICT').length, 1)
      return true
    })
  })

  test('a request larger than a memtable is refused and changes nothing', async () => {
    const tiny = await Metastore.open(options({ memtableBytesMax: 65_536 }))
    const kind = tiny.records('big')
    const value = new Uint8Array(1024 * 1024)
    const operations = Array.from({ length: 12 }, (_, i) => ({
      type: 'put' as const,
      key: `k${i}`,
      value,
    }))
    await assert.rejects(kind.batch(A, operations), code('INVALID_REQUEST', /more than a memtable/))
    assert.equal(await kind.get(A, 'k0'), undefined)
    await kind.put(A, 'k0', value)
    assert.equal((await kind.get(A, 'k0'))?.length, value.length)
    await tiny.close()
  })

  test('records keep byte order and page through any number of rows', async () => {
    const kind = store.records('rows')
    const keys = Array.from({ length: 2500 }, (_, i) => Uint8Array.of(i >> 8, i & 255, 0))
    await kind.batch(
      A,
      keys.map(key => ({ type: 'put', key, value: key })),
    )
    await kind.delete(A, keys[3])
    const seen: number[] = []
    for await (const { key } of kind.scan(A, { gte: keys[1], lt: keys[2400] })) {
      seen.push(key[0] * 256 + key[1])
    }
    const expected = keys.map((_, i) => i).filter(i => i >= 1 && i < 2400 && i !== 3)
    assert.deepEqual(seen, expected)
    const backward: number[] = []
    for await (const { key } of kind.scan(A, { reverse: true, limit: 1100 })) {
      backward.push(key[0] * 256 + key[1])
    }
    assert.deepEqual(
      backward,
      keys
        .map((_, i) => i)
        .reverse()
        .slice(0, 1100),
    )
  })

  test('an object builder groups extents by domain and waits for what is unfinished', async () => {
    const builder = store.objectBuilder()
    const tp = { topicId: randomUUID(), partition: 0 }
    const [one, same] = await Promise.all([builder.objectFor(tp), builder.objectFor(tp)])
    assert.equal(one, same)
    const other = await builder.newObjectFor(tp)
    assert.notEqual(other, one)
    builder.add(one, extent(tp, 0, 9))
    assert.throws(() => builder.build(), code('INVALID_REQUEST', /not finished/))
    builder.abandon(other)
    assert.equal(builder.isEmpty, true)
    builder.finish(one, { footerPosition: 99, sizeBytes: 150 })
    assert.equal(builder.isEmpty, false)
    assert.throws(() => builder.add(one, extent(tp, 10, 19)), code('INVALID_REQUEST', /finished/))
    const terms = [{ topicPartition: tp, terms: [{ term: 1, startOffset: 0 }] }]
    await store.addObjects({ objects: builder.build(), terms })
    assert.equal((await store.findByOffset(tp, 5)).objectId, one)
    assert.notEqual(await builder.objectFor(tp), one)
  })

  test('extents() pages both ways through a log longer than its page', async () => {
    const tp = { topicId: randomUUID(), partition: 3 }
    const ids = await store.preregisterObjects(tp, 25)
    for (const [i, id] of ids.entries()) {
      await store.addObjects({
        objects: [object(id, extent(tp, i, i))],
        terms: [{ topicPartition: tp, terms: [{ term: 1, startOffset: i }] }],
      })
    }
    for (const reverse of [false, true]) {
      const bases: number[] = []
      for await (const { baseOffset } of store.extents(tp, { limit: 4, reverse })) {
        bases.push(baseOffset)
      }
      const expected = ids.map((_, i) => i)
      assert.deepEqual(bases, reverse ? expected.reverse() : expected)
    }
  })

  test('setStartOffset and removeTopics finish logs of many steps', async () => {
    const tp = { topicId: randomUUID(), partition: 0 }
    const ids = await store.preregisterObjects(tp, 2600)
    await Promise.all(
      ids.map((id, i) =>
        store.addObjects({
          objects: [object(id, extent(tp, i, i))],
          terms: [{ topicPartition: tp, terms: [{ term: 1, startOffset: i }] }],
        }),
      ),
    )
    await store.setStartOffset(tp, 2300)
    assert.deepEqual(await store.getOffsets(tp), { startOffset: 2300, nextOffset: 2600 })
    assert.deepEqual(await store.getSize(tp), { sizeBytes: 300 * 99, extentCount: 300 })
    await store.records('x').put(tp, 'k', new Uint8Array(1))
    assert.deepEqual(await store.removeTopics([tp.topicId]), { notRemoved: [] })
    await assert.rejects(store.getOffsets(tp), code('MISSING_PARTITION'))
    assert.equal(await store.records('x').get(tp, 'k'), undefined)
    await assert.rejects(add(store, tp, 0, 9), code('CONFLICT', /removed/))
  })
})

describe('the bucket', () => {
  test('a flush that fails tells its caller, is retried and loses nothing', async () => {
    const memory = new MemoryObjectStore()
    const given = options({ objectStore: memory })
    const store = await Metastore.open(given)
    await add(store, A, 0, 9)
    await store.close()
    // Every put of the first attempts fails at once; retries within a task use up most of them.
    const faulty = new FaultyObjectStore(memory, scriptedPlan(...Array(3).fill('errorBefore')))
    const again = await Metastore.open({ ...given, objectStore: faulty })
    await again.flush()
    assert.ok(faulty.calls.length > 3)
    const { partitions } = await again.status()
    assert.ok(partitions.some(({ flushedSequence }) => flushedSequence > 0))
    assert.deepEqual(await again.getOffsets(A), { startOffset: 0, nextOffset: 10 })
    await again.close()
  })

  test('a bucket that never answers holds neither writes, reads nor close() up', async () => {
    const memory = new MemoryObjectStore()
    const given = options({ objectStore: memory })
    await (await Metastore.open(given)).close()
    const hanging = new FaultyObjectStore(memory, () => 'hang')
    const store = await Metastore.open({ ...given, objectStore: hanging })
    await add(store, A, 0, 9)
    const flushed = assert.rejects(store.flush(), code('CLOSED'))
    await add(store, A, 10, 19)
    assert.equal((await store.getOffsets(A)).nextOffset, 20)
    await store.close()
    await flushed
    const again = await Metastore.open(given)
    assert.equal((await again.getOffsets(A)).nextOffset, 20)
    await again.close()
  })

  test('memtables that wait for the bucket are limited: then OVERLOADED, and reads go on', async () => {
    const memory = new MemoryObjectStore()
    const given = options({ objectStore: memory, partitions: 1, memtableBytesMax: 65_536 })
    await (await Metastore.open(given)).close()
    const hanging = new FaultyObjectStore(memory, () => 'hang')
    const store = await Metastore.open({ ...given, objectStore: hanging })
    const kind = store.records('x')
    const value = new Uint8Array(1024 * 1024)
    const fill = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) await kind.put(A, `k${i}`, value)
    }
    await assert.rejects(fill(), code('OVERLOADED', /wait for the bucket/))
    assert.equal((await kind.get(A, 'k0'))?.length, value.length)
    const [status] = (await store.status()).partitions
    assert.equal(status.frozenMemtables, 4)
    await store.close()
    const again = await Metastore.open(given)
    assert.equal((await again.records('x').get(A, 'k0'))?.length, value.length)
    await again.flush()
    await again.records('x').put(A, 'after', value)
    await again.close()
  })

  test('a damaged file of the local cache is fetched again at open', async () => {
    const given = options()
    const store = await Metastore.open(given)
    await add(store, A, 0, 9)
    await store.flush()
    await store.close()
    const files = await readdir(join(given.dataDir, 'cache'), { recursive: true })
    const tables = files.filter(name => name.endsWith('.sst'))
    assert.ok(tables.length > 0)
    for (const name of tables) await writeFile(join(given.dataDir, 'cache', name), 'garbage')
    const again = await Metastore.open(given)
    assert.equal((await again.findByOffset(A, 5)).lastOffset, 9)
    await again.close()
  })

  test('a manifest whose answer was lost does not stop the flushes after it', async () => {
    const memory = new MemoryObjectStore()
    const given = options({ objectStore: memory, partitions: 1 })
    await (await Metastore.open(given)).close()
    let losses = 1
    const faulty = new FaultyObjectStore(memory, call => {
      const isManifest = call.method === 'put' && call.key.includes('/manifest/')
      return isManifest && losses-- > 0 ? 'errorAfter' : null
    })
    const store = await Metastore.open({ ...given, objectStore: faulty })
    await add(store, A, 0, 9)
    await store.flush()
    await add(store, A, 10, 19)
    await store.flush()
    await store.close()
    const target = { ...given, dataDir: join(directory, randomUUID()) }
    const restored = await Metastore.restore({ ...target, from: { clusterId: store.clusterId } })
    assert.equal((await restored.getOffsets(A)).nextOffset, 20)
    await restored.close()
  })

  test('a commit that the pointer missed is announced by the next opening', async () => {
    const memory = new MemoryObjectStore()
    const given = options({ objectStore: memory, partitions: 1 })
    await (await Metastore.open(given)).close()
    const faulty = new FaultyObjectStore(memory, call =>
      call.method === 'put' && call.key.endsWith('/committed') ? 'errorBefore' : null,
    )
    const store = await Metastore.open({ ...given, objectStore: faulty })
    await add(store, A, 0, 9)
    const flushed = assert.rejects(store.flush(), code('CLOSED'))
    while ((await store.status()).partitions[0].flushedSequence === 0) await setTimeout(5)
    await store.close()
    await flushed
    const again = await Metastore.open(given)
    await again.flush()
    const target = { ...given, dataDir: join(directory, randomUUID()) }
    const restored = await Metastore.restore({ ...target, from: { clusterId: store.clusterId } })
    assert.equal((await restored.getOffsets(A)).nextOffset, 10)
    await Promise.all([again.close(), restored.close()])
  })

  test('sizes that cannot be counted are refused and change nothing', async () => {
    const store = await Metastore.open(options())
    const huge = { ...extent(A, 0, 9), sizeBytes: Number.MAX_SAFE_INTEGER }
    const [one, two] = await store.preregisterObjects(A, 2)
    const terms = (startOffset: number): NewTerms => [
      { topicPartition: A, terms: [{ term: 1, startOffset }] },
    ]
    await store.addObjects({ objects: [object(one, huge)], terms: terms(0) })
    const next = { ...extent(A, 10, 19), sizeBytes: 1 }
    await assert.rejects(
      store.addObjects({ objects: [object(two, next)], terms: terms(10) }),
      code('CONFLICT', /2\^53/),
    )
    assert.deepEqual(await store.getOffsets(A), { startOffset: 0, nextOffset: 10 })
    await store.close()
  })

  test('status() tells how old the oldest write is that a lost disk would lose', async () => {
    const store = await Metastore.open(options())
    assert.equal((await store.status()).recoveryPointMs, 0)
    await add(store, A, 0, 9)
    await setTimeout(30)
    assert.ok((await store.status()).recoveryPointMs >= 25)
    await store.flush()
    assert.equal((await store.status()).recoveryPointMs, 0)
    await store.close()
  })

  test('flushing nothing writes nothing', async () => {
    const memory = new MemoryObjectStore()
    const store = await Metastore.open(options({ objectStore: memory }))
    await store.flush()
    const { objects } = await memory.list('')
    assert.deepEqual(
      objects.map(({ key }) => key),
      [`cluster/${store.clusterId}/cluster.json`],
    )
    await store.close()
  })
})

describe('restore', () => {
  test('makes a new cluster that goes on alone while its source lives', async () => {
    const given = options()
    const source = await Metastore.open(given)
    await add(source, A, 0, 9)
    await source.flush()
    await add(source, A, 10, 19)
    const target = { ...given, dataDir: join(directory, randomUUID()) }
    const restored = await Metastore.restore({ ...target, from: { clusterId: source.clusterId } })
    assert.notEqual(restored.clusterId, source.clusterId)
    // What was not flushed is lost with the disk; what was is there.
    assert.equal((await restored.getOffsets(A)).nextOffset, 10)
    await add(restored, A, 10, 14)
    await add(source, B, 0, 9)
    await Promise.all([restored.flush(), source.flush()])
    await Promise.all([restored.close(), source.close()])
    const [one, two] = [await Metastore.open(given), await Metastore.open(target)]
    assert.equal((await one.getOffsets(A)).nextOffset, 20)
    assert.equal((await two.getOffsets(A)).nextOffset, 15)
    await assert.rejects(two.getOffsets(B), code('MISSING_PARTITION'))
    await Promise.all([one.close(), two.close()])
    const third = { ...given, dataDir: join(directory, randomUUID()) }
    const again = await Metastore.restore({ ...third, from: { clusterId: two.clusterId } })
    assert.equal((await again.getOffsets(A)).nextOffset, 15)
    await again.close()
  })

  test('an unknown source is refused, with the clusters that there are', async () => {
    const given = options()
    const store = await Metastore.open(given)
    await store.close()
    const from = { clusterId: randomUUID() }
    await assert.rejects(
      Metastore.restore({ ...given, dataDir: join(directory, randomUUID()), from }),
      error => {
        code('INVALID_REQUEST', /is not in the bucket/)(error)
        const { details } = error as MetastoreError
        assert.deepEqual(details, { clusterIds: [store.clusterId] })
        return true
      },
    )
    const own = { clusterId: store.clusterId }
    await assert.rejects(
      Metastore.restore({ ...given, from: own }),
      code('CONFLICT', /already holds/),
    )
  })
})

describe('the end', () => {
  test('close() answers what was called, and refuses what comes after', async () => {
    const given = options()
    const store = await Metastore.open(given)
    const [id] = await store.preregisterObjects(A, 1)
    const late = store.addObjects({
      objects: [object(id, extent(A, 0, 9))],
      terms: [{ topicPartition: A, terms: [{ term: 1, startOffset: 0 }] }],
    })
    const closed = store.close()
    assert.deepEqual(await late, { correctedNextOffsets: [] })
    await closed
    await store.close()
    await assert.rejects(store.getOffsets(A), code('CLOSED'))
    await assert.rejects(store.preregisterObjects(A, 1), code('CLOSED'))
    const again = await Metastore.open(given)
    assert.equal((await again.getOffsets(A)).nextOffset, 10)
    await again.close()
  })

  test('close() leaves no thread, timer, port or file open', async () => {
    const countOf = (): number =>
      process.getActiveResourcesInfo().filter(name => name !== 'PipeWrap' && name !== 'TTYWrap')
        .length
    const before = countOf()
    const store = await Metastore.open(options())
    await add(store, A, 0, 9)
    await store.flush()
    await store.close()
    await setTimeout(50)
    assert.ok(countOf() <= before, process.getActiveResourcesInfo().join())
  })
})
