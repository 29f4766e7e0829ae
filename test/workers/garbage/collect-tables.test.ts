/**
 * Goal: garbage collection finds what nobody refers to, and never touches what somebody does: the
 * committed manifest's chain within the delay, other domains, jobs under way.
 * Method: a bucket with a clock, in which each object's fate is known; examples for each rule, then
 * random histories of flushes, compactions and failed jobs, with other domains that refer to them.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  clusterKey,
  committedKey,
  manifestKey,
  tableKey,
} from '../../../src/codec/bucket-layout.ts'
import { encodeCluster } from '../../../src/codec/cluster-file.ts'
import { MetastoreError } from '../../../src/codec/errors.ts'
import {
  encodeManifest,
  type ManifestName,
  type TableDescription,
} from '../../../src/codec/manifest.ts'
import { MemoryObjectStore } from '../../../src/main/object-stores/memory-object-store.ts'
import type { CollectedGarbage, GarbageCollection } from '../../../src/shared/garbage-tasks.ts'
import type { ObjectStore } from '../../../src/shared/object-store.ts'
import { collectGarbage } from '../../../src/workers/io/garbage/collect-garbage.ts'
import { FaultyObjectStore, seededPlan } from '../../object-stores/faulty-object-store.ts'

const CLUSTER = '99999999-0000-4000-8000-000000000000'
const OTHER_CLUSTER = '99999999-0000-4000-8000-000000000001'
const DOMAIN = '11111111-0000-4000-8000-000000000001'
const SIBLING = '11111111-0000-4000-8000-000000000002'
const DESCENDANT = '11111111-0000-4000-8000-000000000003'
const DELAY_MS = 1000
const DEADLINE_MS = 20_000

type TableName = Pick<TableDescription, 'domain' | 'epoch' | 'id'>

function name(id: number, epoch = 1, domain = DOMAIN): TableName {
  return { domain, epoch, id }
}

/** A bucket whose clock stands where the test puts it. */
class Bucket {
  now = 10_000
  readonly store: MemoryObjectStore = new MemoryObjectStore(() => this.now)

  async addCluster(clusterId: string, domains: string[]): Promise<void> {
    const cluster = { clusterId, hashing: 'murmur2', domains, createdAt: 1 } as const
    await this.store.put(clusterKey(clusterId), encodeCluster(cluster))
  }

  async addTables(...tables: TableName[]): Promise<void> {
    for (const table of tables) await this.store.put(tableKey(table), new Uint8Array(100))
  }

  /** A manifest over tables of level 0. */
  async addManifest(
    version: number,
    parent: ManifestName | null,
    tables: readonly TableName[],
    domain = DOMAIN,
    epoch = 1,
  ): Promise<ManifestName> {
    const manifestName = { domain, epoch, version }
    const bytes = encodeManifest({
      clusterId: CLUSTER,
      ...manifestName,
      parent,
      lastSequence: 1,
      lastIndex: 1,
      nextTableId: 1000,
      createdAt: 1,
      compactionCursors: [],
      tables: tables.map(table => ({
        ...table,
        level: 0,
        sizeBytes: 100,
        checksum: '',
        rows: 1,
        deletes: 0,
        smallestKey: Uint8Array.of(1),
        greatestKey: Uint8Array.of(2),
        smallestSequence: 1,
        greatestSequence: 1,
      })),
    })
    await this.store.put(manifestKey(manifestName), bytes)
    return manifestName
  }

  async keys(): Promise<string[]> {
    const keys: string[] = []
    for (let after: string | undefined; ; ) {
      const page = await this.store.list('', after === undefined ? {} : { after })
      keys.push(...page.objects.map(({ key }) => key))
      if (page.next === null) return keys
      after = page.next
    }
  }

  collect(
    committed: ManifestName | null,
    rest: Partial<GarbageCollection> = {},
    store: ObjectStore = this.store,
  ): Promise<CollectedGarbage> {
    const collection: GarbageCollection = {
      clusterId: CLUSTER,
      domain: DOMAIN,
      committed,
      announcedAt: 0,
      epoch: 1,
      firstIdUnderWay: 500,
      firstVersionUnderWay: 500,
      delayMs: DELAY_MS,
      now: this.now,
      isDryRun: false,
      isFirst: true,
      ...rest,
    }
    return collectGarbage(store, collection, DEADLINE_MS)
  }

  /** Collects. @returns the keys that have gone */
  async goneAfter(
    committed: ManifestName | null,
    rest: Partial<GarbageCollection> = {},
  ): Promise<string[]> {
    const before = await this.keys()
    const counts = await this.collect(committed, rest)
    const left = new Set(await this.keys())
    const gone = before.filter(key => !left.has(key))
    assert.equal(counts.tables, gone.filter(key => key.endsWith('.sst')).length)
    assert.equal(counts.manifests, gone.filter(key => key.includes('/manifest/')).length)
    return gone
  }
}

async function newBucket(): Promise<Bucket> {
  const bucket = new Bucket()
  await bucket.addCluster(CLUSTER, [DOMAIN, SIBLING])
  return bucket
}

describe('collecting tables', () => {
  test('finds those of failed attempts, once they are old enough', async () => {
    const bucket = await newBucket()
    await bucket.addTables(name(1), name(2))
    const committed = await bucket.addManifest(1, null, [name(1)])
    bucket.now += DELAY_MS - 1
    assert.deepEqual(await bucket.goneAfter(committed), [])
    bucket.now += 1
    assert.deepEqual(await bucket.goneAfter(committed), [tableKey(name(2))])
    assert.deepEqual(await bucket.goneAfter(committed), [])
  })

  test('leaves those of jobs under way, of this epoch and later ones', async () => {
    const bucket = await newBucket()
    const tables = [name(7), name(8), name(5, 2), name(6, 2), name(1, 3)]
    await bucket.addTables(...tables)
    bucket.now += 10 * DELAY_MS
    const gone = await bucket.goneAfter(null, { epoch: 2, firstIdUnderWay: 6 })
    assert.deepEqual(gone, tables.slice(0, 3).map(tableKey))
  })

  test('keeps what a manifest names until it was replaced for the delay', async () => {
    const bucket = await newBucket()
    await bucket.addTables(name(1), name(2))
    const first = await bucket.addManifest(1, null, [name(1), name(2)])
    bucket.now += 10 * DELAY_MS
    await bucket.addTables(name(3))
    // It is old, but has counted until now.
    const second = await bucket.addManifest(2, first, [name(3)])
    assert.deepEqual(await bucket.goneAfter(second), [])
    bucket.now += DELAY_MS - 1
    assert.deepEqual(await bucket.goneAfter(second), [])
    bucket.now += 1
    const gone = [manifestKey(first), tableKey(name(1)), tableKey(name(2))]
    assert.deepEqual(await bucket.goneAfter(second), gone)
  })

  test('lets go a manifest that never counted, and what only it names', async () => {
    const bucket = await newBucket()
    await bucket.addTables(name(1), name(2))
    const first = await bucket.addManifest(1, null, [name(1)])
    // Two made from the same one: the second was not committed.
    const committed = await bucket.addManifest(2, first, [name(1)])
    const lost = await bucket.addManifest(3, first, [name(1), name(2)])
    bucket.now += DELAY_MS - 1
    assert.deepEqual(await bucket.goneAfter(committed), [])
    bucket.now += 1
    const gone = [manifestKey(first), manifestKey(lost), tableKey(name(2))]
    assert.deepEqual(await bucket.goneAfter(committed), gone)
  })

  test('keeps what another domain refers to, of any cluster of the bucket', async () => {
    for (const [cluster, domain] of [
      [CLUSTER, SIBLING],
      [OTHER_CLUSTER, DESCENDANT],
    ]) {
      const bucket = await newBucket()
      if (cluster === OTHER_CLUSTER) await bucket.addCluster(OTHER_CLUSTER, [DESCENDANT])
      const foreign = name(9, 1, domain)
      await bucket.addTables(name(1), name(2), name(3), foreign, name(77, 1, domain))
      const committed = await bucket.addManifest(1, null, [name(1)])
      // Restored from a manifest of this domain that is gone by now.
      const restored = await bucket.addManifest(5, { ...committed, version: 9 }, [name(2)], domain)
      await bucket.addManifest(6, restored, [foreign], domain)
      bucket.now += 10 * DELAY_MS
      assert.deepEqual(await bucket.goneAfter(committed), [tableKey(name(3))])
    }
  })

  test('touches nothing but tables and manifests of the domain', async () => {
    const bucket = await newBucket()
    const others = [
      committedKey(DOMAIN),
      `domain/${DOMAIN}/table/notes.txt`,
      `domain/${DOMAIN}/table/00000000000000000001-1.sst`,
      `domain/${DOMAIN}/manifest/readme`,
      `domain/${SIBLING}/table/00000000000000000001-00000000000000000001.sst`,
      'something/else',
    ]
    for (const key of others) await bucket.store.put(key, new Uint8Array(3))
    bucket.now += 10 * DELAY_MS
    assert.deepEqual(await bucket.goneAfter(null), [])
  })

  test('deletes nothing on a dry run, but counts it', async () => {
    const bucket = await newBucket()
    await bucket.addTables(name(1), name(2), name(3))
    const first = await bucket.addManifest(1, null, [name(1)])
    const committed = await bucket.addManifest(2, first, [name(2)])
    bucket.now += 10 * DELAY_MS
    const before = await bucket.keys()
    const store = new FaultyObjectStore(bucket.store, () => null)
    const counts = await bucket.collect(committed, { isDryRun: true }, store)
    assert.deepEqual(await bucket.keys(), before)
    assert.ok(store.calls.every(({ method }) => method !== 'delete' && method !== 'put'))
    const firstBytes = await bucket.store.get(manifestKey(first))
    const sizeBytes = 200 + (firstBytes?.length ?? 0)
    const { tables, manifests } = counts
    assert.deepEqual([tables, manifests, counts.sizeBytes], [2, 1, sizeBytes])
    assert.deepEqual(await bucket.collect(committed), counts)
  })

  test('goes through more objects than a page or a delete takes', async () => {
    const bucket = await newBucket()
    await bucket.addTables(...Array.from({ length: 2345 }, (_, id) => name(id)))
    const committed = await bucket.addManifest(1, null, [name(3), name(2000)])
    bucket.now += DELAY_MS
    const gone = await bucket.goneAfter(committed, { firstIdUnderWay: 2300 })
    assert.equal(gone.length, 2298)
    const keys = await bucket.keys()
    for (const id of [3, 2000, 2300]) assert.ok(keys.includes(tableKey(name(id))), `table ${id}`)
  })

  test('deletes nothing when a manifest is damaged, whosever it is', async () => {
    for (const domain of [DOMAIN, SIBLING]) {
      const bucket = await newBucket()
      await bucket.addTables(name(1), name(2))
      const committed = await bucket.addManifest(1, null, [name(1)])
      const damaged = await bucket.addManifest(2, null, [name(2)], domain)
      const bytes = await bucket.store.get(manifestKey(damaged))
      assert.ok(bytes !== null)
      bytes[20] ^= 1
      await bucket.store.put(manifestKey(damaged), bytes)
      bucket.now += 10 * DELAY_MS
      const before = await bucket.keys()
      await assert.rejects(
        bucket.collect(committed),
        error => error instanceof MetastoreError && error.code === 'CORRUPTION',
      )
      assert.deepEqual(await bucket.keys(), before)
    }
  })

  test('over a bucket that fails now and then comes to the same end', async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const bucket = await newBucket()
      await bucket.addTables(name(1), name(2), name(3))
      const first = await bucket.addManifest(1, null, [name(1)])
      const committed = await bucket.addManifest(2, first, [name(2)])
      bucket.now += 10 * DELAY_MS
      const plan = seededPlan(seed, { errorBefore: 0.2, errorAfter: 0.2 })
      await bucket.collect(committed, {}, new FaultyObjectStore(bucket.store, plan))
      const left = (await bucket.keys()).filter(key => key.startsWith(`domain/${DOMAIN}`))
      assert.deepEqual(left, [manifestKey(committed), tableKey(name(2))])
    }
  })
})

type Event =
  | { event: 'flush' | 'compact' | 'fail' | 'lose' | 'wait' | 'collect' | 'term' }
  | { event: 'restore' | 'forget' }

const eventArbitrary: fc.Arbitrary<Event> = fc.record({
  event: fc.constantFrom(
    ...([
      'flush',
      'flush',
      'compact',
      'fail',
      'lose',
      'wait',
      'wait',
      'collect',
      'collect',
    ] as const),
    ...(['term', 'restore', 'forget'] as const),
  ),
})

/** What each object is good for, as the test knows it. */
class History {
  readonly bucket: Bucket
  committed: ManifestName | null = null
  epoch = 1
  #version = 0
  #nextId = 1
  #tables: TableName[] = []
  /** Committed ones, with the time of their replacement. */
  readonly #chain: { manifest: ManifestName; tables: TableName[]; replacedAt: number }[] = []
  /** A restored domain's, by its only manifest. */
  #restored: { manifest: ManifestName; tables: TableName[] } | undefined
  #restores = 0

  constructor(bucket: Bucket) {
    this.bucket = bucket
  }

  async apply({ event }: Event): Promise<void> {
    switch (event) {
      case 'flush':
        return this.#commit([...(await this.#newTables(1)), ...this.#tables])
      case 'compact':
        return this.#commit(await this.#newTables(2))
      case 'fail':
        await this.#newTables(2)
        return
      case 'lose': {
        const tables = await this.#newTables(1)
        this.#version++
        await this.bucket.addManifest(this.#version, this.committed, tables, DOMAIN, this.epoch)
        return
      }
      case 'wait':
        this.bucket.now += DELAY_MS * 0.4
        return
      case 'term':
        this.epoch++
        return
      case 'restore':
        return this.#restore()
      case 'forget':
        if (this.#restored === undefined) return
        await this.bucket.store.delete([manifestKey(this.#restored.manifest)])
        this.#restored = undefined
        return
      default:
        return this.#collect()
    }
  }

  async #newTables(count: number): Promise<TableName[]> {
    const tables = Array.from({ length: count }, () => name(this.#nextId++, this.epoch))
    await this.bucket.addTables(...tables)
    return tables
  }

  async #commit(tables: TableName[]): Promise<void> {
    this.#version++
    const { committed, epoch } = this
    const manifest = await this.bucket.addManifest(this.#version, committed, tables, DOMAIN, epoch)
    const last = this.#chain.at(-1)
    if (last !== undefined) last.replacedAt = this.bucket.now
    this.#chain.push({ manifest, tables, replacedAt: Number.POSITIVE_INFINITY })
    this.committed = manifest
    this.#tables = tables
  }

  async #restore(): Promise<void> {
    if (this.#restored !== undefined || this.committed === null) return
    const tables = this.#tables
    const manifest = await this.bucket.addManifest(
      ++this.#restores,
      this.committed,
      tables,
      DESCENDANT,
    )
    this.#restored = { manifest, tables }
  }

  /** What a job under way has is named by the ids from here on. */
  async #collect(): Promise<void> {
    const { bucket, committed, epoch } = this
    const firstIdUnderWay = Math.max(1, this.#nextId - 2)
    await bucket.collect(committed, { epoch, firstIdUnderWay })
    const keys = new Set(await bucket.keys())
    const expectThere = (key: string): void => assert.ok(keys.has(key), `${key} has gone`)
    for (const { manifest, tables, replacedAt } of this.#chain) {
      if (replacedAt <= bucket.now - DELAY_MS) continue
      expectThere(manifestKey(manifest))
      for (const table of tables) expectThere(tableKey(table))
    }
    for (const table of this.#restored?.tables ?? []) expectThere(tableKey(table))
    if (this.#restored !== undefined) expectThere(manifestKey(this.#restored.manifest))
  }

  /** When all is long past, what is left is what the committed manifests name. */
  async finish(): Promise<void> {
    const { bucket, committed, epoch } = this
    bucket.now += 10 * DELAY_MS
    await this.#newTables(1)
    await bucket.collect(committed, { epoch, firstIdUnderWay: this.#nextId - 1 })
    const expected = new Set([clusterKey(CLUSTER), clusterKey(OTHER_CLUSTER)])
    expected.add(tableKey(name(this.#nextId - 1, epoch)))
    for (const table of [...this.#tables, ...(this.#restored?.tables ?? [])]) {
      expected.add(tableKey(table))
    }
    if (committed !== null) expected.add(manifestKey(committed))
    if (this.#restored !== undefined) expected.add(manifestKey(this.#restored.manifest))
    assert.deepEqual(await bucket.keys(), [...expected].sort())
  }
}

describe('histories of a domain', () => {
  test('lose nothing that somebody needs, and leave nothing else in the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(eventArbitrary, { minLength: 5, maxLength: 60, size: 'max' }),
        async events => {
          const bucket = await newBucket()
          await bucket.addCluster(OTHER_CLUSTER, [DESCENDANT])
          const history = new History(bucket)
          for (const event of events) await history.apply(event)
          await history.finish()
        },
      ),
      { numRuns: 150 },
    )
  })
})
