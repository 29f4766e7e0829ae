/** A cluster of two metastore partitions over a bucket in memory, whose tail a test ships itself. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { clusterKey, committedKey, manifestKey } from '../../../src/codec/bucket-layout.ts'
import { decodeCluster } from '../../../src/codec/cluster-file.ts'
import { decodeCommitted } from '../../../src/codec/committed-pointer.ts'
import { decodeManifest, type Manifest } from '../../../src/codec/manifest.ts'
import {
  Metastore,
  MetastoreError,
  type MetastoreOptions,
  type ObjectInfo,
} from '../../../src/index.ts'
import { MemoryObjectStore } from '../../../src/main/object-stores/memory-object-store.ts'
import type { RestoreFrom } from '../../../src/main/recovery/restore-request.ts'
import type { PutAnswer } from '../../../src/shared/object-store.ts'
import { batchesIn, bytes, PLACES, shipTail } from './restoring.ts'

/** Counts what is read, and fails for good where a test says so. */
class TestStore extends MemoryObjectStore {
  readonly gets: string[] = []
  breaksAt: (method: 'put' | 'head', key: string) => boolean = () => false

  override async get(...args: Parameters<MemoryObjectStore['get']>): Promise<Uint8Array | null> {
    this.gets.push(args[0])
    return await super.get(...args)
  }

  override async put(...args: Parameters<MemoryObjectStore['put']>): Promise<PutAnswer> {
    this.#check('put', args[0])
    return await super.put(...args)
  }

  override async head(...args: Parameters<MemoryObjectStore['head']>): Promise<ObjectInfo | null> {
    this.#check('head', args[0])
    return await super.head(...args)
  }

  #check(method: 'put' | 'head', key: string): void {
    // A code that is not tried again.
    if (this.breaksAt(method, key)) throw new MetastoreError('CLOSED', `${method} ${key} broke off`)
  }
}

export class SourceStore implements AsyncDisposable {
  readonly bucket: TestStore
  readonly store: Metastore
  readonly domains: string[]
  readonly #directory: string
  readonly #dataDir: string
  readonly #restored: Metastore[] = []
  /** What the log had when it was looked at, by metastore partition and sequence. */
  readonly #batches: Map<number, Uint8Array>[] = []

  private constructor(
    directory: string,
    dataDir: string,
    bucket: TestStore,
    store: Metastore,
    domains: string[],
  ) {
    this.bucket = bucket
    this.#directory = directory
    this.#dataDir = dataDir
    this.store = store
    this.domains = domains
  }

  static async open(directory: string, more: Partial<MetastoreOptions> = {}): Promise<SourceStore> {
    const dataDir = join(directory, randomUUID())
    const bucket = new TestStore()
    const given = { dataDir, objectStore: bucket, partitions: 2, workers: 1, ...QUIET, ...more }
    const store = await Metastore.open(given)
    const key = clusterKey(store.clusterId)
    const { domains } = decodeCluster((await bucket.get(key)) as Uint8Array, key)
    return new SourceStore(directory, dataDir, bucket, store, domains)
  }

  /** Writes a value of a key at all places, one write each. */
  async putAll(key: string, value: string = key): Promise<void> {
    await Promise.all(PLACES.map(tp => this.store.records('k').put(tp, key, bytes(value))))
  }

  /** The newest committed sequence of each metastore partition. */
  async sequences(): Promise<number[]> {
    return (await this.store.status()).partitions.map(of => of.committedSequence)
  }

  /** Flushes; batches can still be shipped. */
  async flush(): Promise<void> {
    await this.#noteBatches()
    await this.store.flush()
  }

  /** Ships the batches of [first, last] of one metastore partition. @returns the object's key */
  async ship(
    partition: number,
    [first, last]: readonly [number, number],
    createdAt: number = Date.now(),
    epoch = 1,
  ): Promise<string> {
    const { clusterId } = this.store
    const origin = { clusterId, domain: this.domains[partition], epoch }
    await this.#noteBatches()
    const batches = this.#batches[partition]
    return await shipTail(this.bucket, origin, batches, [first, last], createdAt)
  }

  async #noteBatches(): Promise<void> {
    for (const [partition, batches] of (await batchesIn(this.#dataDir)).entries()) {
      this.#batches[partition] ??= new Map()
      for (const [sequence, batch] of batches ?? []) this.#batches[partition].set(sequence, batch)
    }
  }

  /** Ships everything behind the manifests, as one object a metastore partition. */
  async shipAll(createdAt: number = Date.now()): Promise<void> {
    const { partitions } = await this.store.status()
    for (const { partition, committedSequence, flushedSequence } of partitions) {
      if (committedSequence === flushedSequence) continue
      await this.ship(partition, [flushedSequence + 1, committedSequence], createdAt)
    }
  }

  /** The manifest that the pointer names. */
  async committed(partition: number): Promise<Manifest> {
    const pointer = await this.bucket.get(committedKey(this.domains[partition]))
    assert.ok(pointer)
    const key = manifestKey(decodeCommitted(pointer, 'pointer'))
    return decodeManifest((await this.bucket.get(key)) as Uint8Array, key)
  }

  /** Restores into a dataDir of its own; closed with the source. */
  async restore(
    from: Partial<RestoreFrom> = {},
    more: Partial<MetastoreOptions> = {},
  ): Promise<Metastore> {
    const given = { dataDir: join(this.#directory, randomUUID()), workers: 1, ...QUIET, ...more }
    const restored = await Metastore.restore({
      ...{ objectStore: this.bucket, ...given },
      from: { clusterId: this.store.clusterId, ...from },
    })
    this.#restored.push(restored)
    return restored
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.store, ...this.#restored].map(store => store.close()))
  }
}

/** Nothing is flushed by itself. */
const QUIET: Partial<MetastoreOptions> = { durability: 'os', memtableBytesMax: 1024 * 1024 }
