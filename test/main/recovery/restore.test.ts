/**
 * Goal: a restore finds the newest committed state and the tail behind it, that of a checkpoint, or
 * that of a time; what is damaged is named, or left out when that is wished; and what was not used
 * is told. Method: a live source over a bucket in memory, whose tail objects the tests make of its
 * log, and whose objects they damage.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, mock, test } from 'node:test'
import {
  clusterKey,
  committedKey,
  manifestKey,
  tableKey,
} from '../../../src/codec/bucket-layout.ts'
import { encodeManifest } from '../../../src/codec/manifest.ts'
import { type ErrorCode, Metastore, MetastoreError } from '../../../src/index.ts'
import { temporaryDirectory } from '../../temporary-directory.ts'
import { bytes, contentsOf, PLACES } from './restoring.ts'
import { SourceStore } from './source-store.ts'

let directory: string
before(async () => {
  directory = await temporaryDirectory()
})
after(() => rm(directory, { recursive: true }))

function refusal(code: ErrorCode, text: RegExp, details?: object): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof MetastoreError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, text)
    if (details !== undefined) assert.deepEqual(error.details, details)
    return true
  }
}

describe('latest', () => {
  test('the tail goes on where the manifest ends, and writes go on behind it', async () => {
    await using source = await SourceStore.open(directory)
    await source.putAll('flushed')
    await source.store.flush()
    await source.putAll('flushed', 'changed')
    await source.putAll('shipped')
    const [sequences, expected] = [await source.sequences(), await contentsOf(source.store)]
    await source.shipAll()
    await source.putAll('lost')
    const dataDir = join(directory, randomUUID())
    const restored = await source.restore({}, { dataDir })
    assert.deepEqual(await contentsOf(restored), expected)
    for (const [i, domain] of (restored.restoreReport?.domains ?? []).entries()) {
      assert.equal(domain.sequence, sequences[i])
      assert.equal(domain.tailBatches, (2 * sequences[i]) / 3)
      assert.deepEqual([domain.tables, domain.notUsed, domain.skipped], [1, [], null])
    }
    const { partitions } = await restored.status()
    assert.deepEqual(
      partitions.map(of => of.committedSequence),
      sequences,
    )
    await restored.records('k').put(PLACES[0], 'more', bytes('more'))
    const more = { ...expected, '0 more': 'more' }
    await restored.flush()
    await restored.close()
    const again = await Metastore.open({ dataDir, objectStore: source.bucket, workers: 1 })
    assert.deepEqual(await contentsOf(again), more)
    // What was restored can be restored.
    const twice = await source.restore({ clusterId: again.clusterId })
    assert.deepEqual(await contentsOf(twice), more)
    await again.close()
  })

  test('before the first flush the tail is all there is', async () => {
    await using source = await SourceStore.open(directory)
    await source.putAll('a')
    await source.shipAll()
    const restored = await source.restore()
    assert.deepEqual(await contentsOf(restored), await contentsOf(source.store))
    assert.equal(restored.restoreReport?.domains[0].manifest, null)
    await restored.records('k').put(PLACES[0], 'a', bytes('b'))
    await restored.flush()
    const twice = await source.restore({ clusterId: restored.clusterId })
    assert.deepEqual(await contentsOf(twice), { ...(await contentsOf(source.store)), '0 a': 'b' })
  })

  test('more of a tail than a memtable holds is restored', { timeout: 60_000 }, async () => {
    await using source = await SourceStore.open(directory, { memtableBytesMax: 16 * 1024 * 1024 })
    const value = 'v'.repeat(500_000)
    for (let i = 0; i < 4; i++) await source.putAll(`key ${i}`, value)
    await source.shipAll()
    const restored = await source.restore({}, { memtableBytesMax: 65_536 })
    assert.deepEqual(await contentsOf(restored), await contentsOf(source.store))
  })

  test('a manifest that the pointer does not name is not used, and told', async () => {
    await using source = await SourceStore.open(directory)
    await source.putAll('a')
    await source.store.flush()
    const manifest = await source.committed(0)
    const next = { ...manifest, version: manifest.version + 1, tables: [], lastSequence: 99 }
    await source.bucket.put(manifestKey(next), encodeManifest(next))
    const restored = await source.restore()
    assert.deepEqual(await contentsOf(restored), await contentsOf(source.store))
    assert.deepEqual(restored.restoreReport?.domains[0].notUsed, [
      { kind: 'manifest', why: 'uncommitted', count: 1, newest: manifestKey(next) },
    ])
  })

  test('objects that overlap fill the gaps of each other, and a gap ends the tail', async () => {
    await using source = await SourceStore.open(directory, { partitions: 1 })
    await source.putAll('a')
    await source.flush()
    await source.putAll('b')
    const expected = await contentsOf(source.store)
    await source.putAll('c')
    await source.ship(0, [7, 10], 1, 1)
    await source.ship(0, [9, 13], 2, 2)
    await source.ship(0, [12, 16], 3, 3)
    const behind = await source.ship(0, [18, 24], 4, 3)
    const restored = await source.restore()
    assert.deepEqual(await contentsOf(restored), expected)
    const [{ sequence, tailBatches, notUsed }] = restored.restoreReport?.domains ?? []
    assert.deepEqual([sequence, tailBatches], [16, 8])
    assert.deepEqual(notUsed, [{ kind: 'tail', why: 'gap', count: 1, newest: behind }])
  })

  test('no table is read', async () => {
    await using source = await SourceStore.open(directory)
    await source.putAll('a')
    await source.store.flush()
    source.bucket.gets.length = 0
    await source.restore()
    assert.deepEqual(
      source.bucket.gets.filter(key => key.endsWith('.sst')),
      [],
    )
  })
})

describe('damage', () => {
  const pieces: [string, (source: SourceStore) => Promise<{ key: string; is?: Uint8Array }>][] = [
    ['a lost pointer', async ({ domains }) => ({ key: committedKey(domains[1]) })],
    ['a bad pointer', async ({ domains }) => ({ key: committedKey(domains[1]), is: bytes('{}') })],
    ['a lost manifest', async source => ({ key: manifestKey(await source.committed(1)) })],
    [
      'a bad manifest',
      async source => ({ key: manifestKey(await source.committed(1)), is: bytes('WMMF') }),
    ],
    ['a lost table', async source => ({ key: tableKey((await source.committed(1)).tables[0]) })],
    [
      'a table cut short',
      async source => ({ key: tableKey((await source.committed(1)).tables[0]), is: bytes('x') }),
    ],
  ]
  for (const [what, damage] of pieces) {
    test(`${what} is named, and left out if that is wished`, async () => {
      await using source = await SourceStore.open(directory)
      for (const key of ['a', 'b']) {
        await source.putAll(key)
        await source.store.flush()
      }
      const { key: file, is } = await damage(source)
      if (is === undefined) await source.bucket.delete([file])
      else await source.bucket.put(file, is)
      const [clusterId, dataDir] = [randomUUID(), join(directory, randomUUID())]
      const restore = source.restore({}, { clusterId, dataDir })
      await assert.rejects(restore, (error: unknown) => {
        refusal('CORRUPTION', /^metastore partition 1: /)(error)
        const { details } = error as { details: { file: string; domain: number } }
        assert.deepEqual([details.file, details.domain], [file, 1])
        return true
      })
      const { objects } = await source.bucket.list(clusterKey(clusterId))
      assert.deepEqual(objects, [], 'nothing was made')
      const part = await source.restore({ partial: true }, { clusterId, dataDir })
      const [whole, skipped] = part.restoreReport?.domains ?? []
      assert.deepEqual([whole.skipped, skipped.sequence], [null, 0])
      assert.ok(skipped.skipped?.includes(file), String(skipped.skipped))
      const all = Object.keys(await contentsOf(source.store))
      const here = Object.keys(await contentsOf(part))
      assert.ok(here.length > 0 && here.length < all.length)
      await Promise.all(PLACES.map(tp => part.records('k').put(tp, 'new', bytes('new'))))
    })
  }

  test('a tail object that is damaged ends the tail if that is wished', async () => {
    await using source = await SourceStore.open(directory, { partitions: 1 })
    await source.putAll('a')
    await source.ship(0, [1, 8])
    const expected = await contentsOf(source.store)
    await source.putAll('b')
    const file = await source.ship(0, [9, 12])
    await source.ship(0, [13, 16])
    await source.bucket.put(file, bytes('WMTL and no more'))
    await assert.rejects(source.restore(), (error: unknown) => {
      refusal('CORRUPTION', /^metastore partition 0: .*checksum/)(error)
      assert.equal((error as { details: { file: string } }).details.file, file)
      return true
    })
    const part = await source.restore({ partial: true })
    assert.deepEqual(await contentsOf(part), expected)
    const [{ sequence, skipped, notUsed }] = part.restoreReport?.domains ?? []
    assert.equal(sequence, 8)
    assert.match(String(skipped), /checksum/)
    assert.deepEqual(
      notUsed.map(({ why, count }) => [why, count]),
      [
        ['gap', 1],
        ['damaged', 1],
      ],
    )
    // Another object that has the same is as good.
    await source.ship(0, [8, 14], Date.now(), 2)
    const whole = await source.restore({ partial: true })
    assert.deepEqual(await contentsOf(whole), await contentsOf(source.store))
  })

  test('an object of another domain under a name of this one is damage', async () => {
    await using source = await SourceStore.open(directory)
    await source.putAll('a')
    const right = await source.ship(0, [1, 2])
    const wrong = right.replace(source.domains[0], source.domains[1])
    await source.bucket.put(wrong, (await source.bucket.get(right)) as Uint8Array)
    await assert.rejects(source.restore(), refusal('CORRUPTION', /says that it is/))
  })

  test("a damaged cluster.json is an error, also with 'partial'", async () => {
    await using source = await SourceStore.open(directory)
    await source.bucket.put(clusterKey(source.store.clusterId), bytes('no JSON'))
    await assert.rejects(source.restore({ partial: true }), refusal('CORRUPTION', /cluster\.json/))
  })
})

describe('a checkpoint', () => {
  test('is restored as it was, whatever came later', async () => {
    await using source = await SourceStore.open(directory)
    await source.putAll('a')
    const { domains } = await source.store.checkpoint('one', { ttlMs: 60_000 })
    const expected = await contentsOf(source.store)
    await source.putAll('a', 'changed')
    await source.shipAll()
    await source.putAll('b')
    await source.store.flush()
    const restored = await source.restore({ at: { checkpoint: 'one' } })
    assert.deepEqual(await contentsOf(restored), expected)
    const report = restored.restoreReport?.domains ?? []
    assert.deepEqual(
      report.map(({ domain, sequence }) => ({ domain, sequence })),
      domains,
    )
    for (const { notUsed, tailBatches } of report) {
      assert.equal(tailBatches, 0)
      assert.deepEqual(
        notUsed.map(({ kind, why }) => `${why} ${kind}`),
        ['later manifest', 'later tail'],
      )
    }
  })

  test('that is not there is refused, with those that are', async () => {
    await using source = await SourceStore.open(directory)
    await source.store.checkpoint('one')
    await source.store.checkpoint('two')
    await assert.rejects(
      source.restore({ at: { checkpoint: 'three' } }),
      refusal('INVALID_REQUEST', /three is not in the bucket; .* one, two/, {
        checkpoints: ['one', 'two'],
      }),
    )
  })

  test('that has expired is restored as long as it can be', async () => {
    await using source = await SourceStore.open(directory)
    await source.putAll('a')
    await source.store.checkpoint('short', { ttlMs: 1 })
    const expected = await contentsOf(source.store)
    const file = manifestKey(await source.committed(0))
    await source.putAll('b')
    await source.store.flush()
    const restored = await source.restore({ at: { checkpoint: 'short' } })
    assert.deepEqual(await contentsOf(restored), expected)
    await source.bucket.delete([file])
    await assert.rejects(
      source.restore({ at: { checkpoint: 'short' } }),
      refusal('CORRUPTION', /checkpoint short kept .* until/, { file, domain: 0 }),
    )
  })
})

describe('a timestamp', () => {
  test('before the cluster, or what is kept of it, is refused with the oldest one', async () => {
    const createdAt = 1_700_000_000_000
    mock.timers.enable({ apis: ['Date'], now: createdAt })
    try {
      await using source = await SourceStore.open(directory)
      const flushAt = async (time: number, key: string): Promise<string[]> => {
        mock.timers.setTime(createdAt + time)
        await source.putAll(key)
        await source.store.flush()
        return [manifestKey(await source.committed(0)), manifestKey(await source.committed(1))]
      }
      const first = await flushAt(10, 'a')
      const atFirst = await contentsOf(source.store)
      const second = await flushAt(20, 'b')
      await flushAt(30, 'c')
      const at = (time: number) => ({ at: { timestamp: createdAt + time } })
      await assert.rejects(
        source.restore(at(-1)),
        refusal('INVALID_REQUEST', /oldest state/, { oldestTimestamp: createdAt }),
      )
      // What a domain had before its first flush is in its tail, and there is none.
      assert.deepEqual(await contentsOf(await source.restore(at(9))), {})
      assert.deepEqual(await contentsOf(await source.restore(at(19))), atFirst)
      await source.bucket.delete([...first, second[1]])
      await assert.rejects(source.restore(at(19)), (error: unknown) => {
        const { details } = error as { details: { oldestTimestamp: number } }
        assert.equal(details.oldestTimestamp, createdAt + 30)
        return refusal('INVALID_REQUEST', /oldest state that can be had/)(error)
      })
      await assert.rejects(
        source.restore({ ...at(19), partial: true }),
        refusal('INVALID_REQUEST', /oldest/),
      )
      const part = await source.restore({ ...at(25), partial: true })
      const [whole, skipped] = part.restoreReport?.domains ?? []
      assert.deepEqual([whole.skipped, whole.time], [null, createdAt + 20])
      assert.match(String(skipped.skipped), /oldest/)
    } finally {
      mock.timers.reset()
    }
  })

  test('finds what a checkpoint has kept when the rest is collected', async () => {
    const createdAt = 1_700_000_000_000
    mock.timers.enable({ apis: ['Date'], now: createdAt })
    try {
      await using source = await SourceStore.open(directory)
      mock.timers.setTime(createdAt + 10)
      await source.putAll('a')
      await source.store.checkpoint('kept')
      const expected = await contentsOf(source.store)
      const replaced: string[] = []
      for (const time of [20, 30]) {
        mock.timers.setTime(createdAt + time)
        await source.putAll('b', `${time}`)
        await source.store.flush()
        if (time === 20) {
          for (const i of [0, 1]) replaced.push(manifestKey(await source.committed(i)))
        }
      }
      await source.bucket.delete(replaced)
      const restored = await source.restore({ at: { timestamp: createdAt + 19 } })
      assert.deepEqual(await contentsOf(restored), expected)
      await assert.rejects(
        source.restore({ at: { timestamp: createdAt + 9 } }),
        refusal('INVALID_REQUEST', /oldest/),
      )
    } finally {
      mock.timers.reset()
    }
  })
})

describe('options and repetition', () => {
  test('malformed wishes are refused by name', async () => {
    await using source = await SourceStore.open(directory)
    const wrong: [object, RegExp][] = [
      [{ at: 'newest' }, /from\.at must be.*"newest"/],
      [{ at: { timestamp: -1 } }, /from\.at\.timestamp.*-1/],
      [{ at: { checkpoint: '../x' } }, /from\.at\.checkpoint.*\.\.\/x/],
      [{ at: { checkpoint: 'a', timestamp: 1 } }, /from\.at must be/],
      [{ partial: 1 }, /from\.partial.*1/],
      [{ until: 1 }, /from\.until is not known/],
      [{ clusterId: 'x' }, /from\.clusterId.*"x"/],
    ]
    for (const [from, text] of wrong) {
      await assert.rejects(source.restore(from), refusal('INVALID_REQUEST', text))
    }
  })

  test('a restore that broke off is repeated into the same dataDir only', async () => {
    await using source = await SourceStore.open(directory)
    await source.putAll('a')
    await source.store.flush()
    await source.putAll('b')
    await source.shipAll()
    const [clusterId, dataDir] = [randomUUID(), join(directory, randomUUID())]
    for (const [method, end] of [
      ['put', '/committed'],
      ['head', '.sst'],
    ]) {
      // The first look at tables is before anything is made.
      let isMade = false
      source.bucket.breaksAt = (called, key) => {
        if (called === 'put' && key === clusterKey(clusterId)) isMade = true
        return isMade && called === method && key.endsWith(end)
      }
      const broken = source.restore({}, { clusterId, dataDir })
      await assert.rejects(broken, refusal('CLOSED', /broke off/))
    }
    source.bucket.breaksAt = () => false
    const elsewhere = source.restore({}, { clusterId })
    await assert.rejects(elsewhere, refusal('CONFLICT', /already has cluster/))
    const restored = await source.restore({}, { clusterId, dataDir })
    assert.equal(restored.clusterId, clusterId)
    assert.deepEqual(await contentsOf(restored), await contentsOf(source.store))
  })

  test('a repetition does not leave a pointer to what it leaves out', async () => {
    await using source = await SourceStore.open(directory)
    await source.putAll('a')
    await source.store.flush()
    const [clusterId, dataDir] = [randomUUID(), join(directory, randomUUID())]
    let isMade = false
    source.bucket.breaksAt = (method, key) => {
      if (method === 'put' && key === clusterKey(clusterId)) isMade = true
      return isMade && method === 'head' && key.endsWith('.sst')
    }
    await assert.rejects(source.restore({}, { clusterId, dataDir }), refusal('CLOSED', /broke/))
    source.bucket.breaksAt = () => false
    await source.bucket.delete([manifestKey(await source.committed(1))])
    const part = source.restore({ partial: true }, { clusterId, dataDir })
    await assert.rejects(part, refusal('CONFLICT', /a restore that broke off was of another state/))
  })
})
