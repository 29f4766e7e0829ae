/**
 * A live metastore over a bucket in memory, and replicas of it. Tail objects are written here, from
 * the metastore's own log, as its leader would.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { tailKey } from '../../../src/codec/bucket-layout.ts'
import { decodeCluster } from '../../../src/codec/cluster-file.ts'
import { LOG_ENTRY } from '../../../src/codec/log-format.ts'
import { batchSequence } from '../../../src/codec/row-batch.ts'
import { encodeTail } from '../../../src/codec/tail.ts'
import {
  type ErrorCode,
  Metastore,
  MetastoreError,
  type MetastoreOptions,
  type ObjectStore,
  ReadReplica,
  type ReadReplicaOptions,
  type TopicPartition,
} from '../../../src/index.ts'
import { scanSegment } from '../../../src/main/log/segment-reader.ts'
import { MemoryObjectStore } from '../../../src/main/object-stores/memory-object-store.ts'
import { ENTRY_KIND } from '../../../src/main/replication/replicated-log.ts'
import { temporaryDirectory } from '../../temporary-directory.ts'

export const TP: TopicPartition = {
  topicId: '11111111-1111-4111-8111-111111111111',
  partition: 0,
}

/** So long that nothing happens by itself. */
export const NEVER_MS: number = 2 ** 31 - 1

export class ReplicaFixture {
  readonly bucket: MemoryObjectStore
  readonly directory: string
  readonly #options: Partial<MetastoreOptions>
  readonly #replicas: ReadReplica[] = []
  store: Metastore
  #epoch = 1
  /** By this leader. */
  readonly #shipped = new Map<number, number>()

  private constructor(
    bucket: MemoryObjectStore,
    directory: string,
    options: Partial<MetastoreOptions>,
    store: Metastore,
  ) {
    this.bucket = bucket
    this.directory = directory
    this.#options = options
    this.store = store
  }

  static async open(options: Partial<MetastoreOptions> = {}): Promise<ReplicaFixture> {
    const [bucket, directory] = [new MemoryObjectStore(), await temporaryDirectory()]
    const store = await openStore(bucket, directory, options)
    return new ReplicaFixture(bucket, directory, options, store)
  }

  get dataDir(): string {
    return join(this.directory, 'store')
  }

  async reopenStore(): Promise<void> {
    await this.store.close()
    this.store = await openStore(this.bucket, this.directory, this.#options)
  }

  replicaOptions(more: Partial<ReadReplicaOptions> = {}): ReadReplicaOptions {
    return {
      dataDir: join(this.directory, randomUUID()),
      objectStore: this.bucket,
      clusterId: this.store.clusterId,
      refreshIntervalMs: NEVER_MS,
      workers: 1,
      ...more,
    }
  }

  async openReplica(more: Partial<ReadReplicaOptions> = {}): Promise<ReadReplica> {
    const replica = await ReadReplica.open(this.replicaOptions(more))
    this.#replicas.push(replica)
    return replica
  }

  async close(): Promise<void> {
    for (const replica of this.#replicas) await replica.close()
    await this.store.close()
    await rm(this.directory, { recursive: true })
  }

  /** UUIDs by number. */
  async domains(): Promise<string[]> {
    const file = join(this.dataDir, 'cluster.json')
    return decodeCluster(await readFile(file), file).domains
  }

  /** The batches in the log, by domain; what was acknowledged is there. */
  async batches(): Promise<Map<number, Map<number, Uint8Array>>> {
    const batches = new Map<number, Map<number, Uint8Array>>()
    const directory = join(this.dataDir, 'log')
    for (const name of (await readdir(directory)).sort()) {
      const bytes = await readFile(join(directory, name))
      scanSegment(bytes, ({ type, kind, group, payloadStart, payloadBytes }) => {
        if (type !== LOG_ENTRY || kind !== ENTRY_KIND.rows) return
        const batch = new Uint8Array(bytes.subarray(payloadStart, payloadStart + payloadBytes))
        const known = batches.get(group) ?? new Map<number, Uint8Array>()
        batches.set(group, known.set(batchSequence(batch), batch))
      })
    }
    return batches
  }

  /**
   * Puts a tail object of some of a domain's batches.
   * @returns its key
   */
  async ship(
    domain: number,
    first: number,
    last: number,
    { epoch = 1, bucket = this.bucket }: { epoch?: number; bucket?: ObjectStore } = {},
  ): Promise<string> {
    const logged = (await this.batches()).get(domain)
    const batches = Array.from({ length: last - first + 1 }, (_, i) => {
      const batch = logged?.get(first + i)
      if (batch === undefined) throw new Error(`batch ${first + i} is not in the log`)
      return batch
    })
    const name = { domain: (await this.domains())[domain], epoch, first, last }
    const { clusterId } = this.store
    const tail = { ...name, clusterId, createdAt: Date.now(), batches }
    await bucket.put(tailKey(name), encodeTail(tail, 'lz4'), { ifNoneMatch: true })
    return tailKey(name)
  }

  /** Another leader ships from what no manifest covers on. */
  newLeader(): void {
    this.#epoch++
    this.#shipped.clear()
  }

  /** The leader ships, of every domain, what it did not ship before. */
  async shipAll(bucket: ObjectStore = this.bucket): Promise<void> {
    const { partitions } = await this.store.status()
    for (const { partition, committedSequence, flushedSequence } of partitions) {
      const from = Math.max(this.#shipped.get(partition) ?? 0, flushedSequence)
      if (committedSequence === from) continue
      const options = { epoch: this.#epoch, bucket }
      await this.ship(partition, from + 1, committedSequence, options)
      this.#shipped.set(partition, committedSequence)
    }
  }

  /** Newest committed batch of a domain. */
  async sequence(domain = 0): Promise<number> {
    return (await this.store.status()).partitions[domain].committedSequence
  }

  /** A record of kind 'test' in TP. */
  async put(key: string, value: string): Promise<void> {
    await this.store.records('test').put(TP, key, new TextEncoder().encode(value))
  }
}

export async function valueIn(
  of: Metastore | ReadReplica,
  key: string,
): Promise<string | undefined> {
  const value = await of.records('test').get(TP, key)
  return value === undefined ? undefined : new TextDecoder().decode(value)
}

function openStore(
  objectStore: ObjectStore,
  directory: string,
  options: Partial<MetastoreOptions>,
): Promise<Metastore> {
  return Metastore.open({
    ...{ dataDir: join(directory, 'store'), objectStore, partitions: 1, workers: 1 },
    ...{ durability: 'os', flushIntervalMs: NEVER_MS, ...options },
  })
}

/** For assert.rejects and assert.throws. */
export function code(expected: ErrorCode, text: RegExp = /./): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof MetastoreError, String(error))
    assert.equal(error.code, expected, error.message)
    assert.match(error.message, text)
    return true
  }
}

export async function until(isTrue: () => Promise<boolean> | boolean): Promise<void> {
  const endsAt = performance.now() + 20_000
  while (!(await isTrue())) {
    assert.ok(performance.now() < endsAt, 'it did not come true')
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
