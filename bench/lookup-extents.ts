/** A metastore with as many extents as there are rows, and findByOffset cases over them. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { ExtentLocation, Metastore, MetastoreOptions, TopicPartition } from '../src/index.ts'
import { MetastoreError } from '../src/index.ts'
import { Answers } from './answers.ts'
import { type BenchContext, sized } from './bench-context.ts'
import { Committer, EXTENT_OFFSETS, type Group } from './committer.ts'
import { callInFlight } from './in-flight.ts'
import { Latencies } from './latencies.ts'
import type { Case, Round } from './measure.ts'
import { CACHE_BYTES } from './peers/key-value-store.ts'
import { Random } from './random.ts'
import { DOMAINS, openStore } from './stores.ts'

const GROUP_PARTITIONS = 10
const FILL_IN_FLIGHT = 256
const BATCH = 64
const SEED = 362_436_069

export interface LookupQuery {
  topicPartition: TopicPartition
  offset: number
  objectId: string
}

export class LookupExtents implements AsyncDisposable {
  readonly #folder: string
  readonly #groups: readonly Group[]
  #store: Metastore | undefined

  private constructor(folder: string, groups: readonly Group[]) {
    this.#folder = folder
    this.#groups = groups
  }

  /** Fills the store in `folder` and opens it again: everything is in memtables. */
  static async open(folder: string, context: BenchContext): Promise<LookupExtents> {
    const extents = new LookupExtents(folder, await fill(folder, context))
    await extents.reopen()
    return extents
  }

  get store(): Metastore {
    if (this.#store === undefined) throw new Error('the store is not open')
    return this.#store
  }

  get dataDir(): string {
    return join(this.#folder, 'data')
  }

  async reopen(options: Partial<MetastoreOptions> = {}): Promise<void> {
    await this.#store?.close()
    const blockCacheBytesMax = CACHE_BYTES
    this.#store = await openStore(this.#folder, { blockCacheBytesMax, ...options })
  }

  /** Everything into tables of the deepest level. */
  async settle(): Promise<void> {
    await this.store.compact()
    await this.reopen()
  }

  close(): Promise<void> {
    return this.#store?.close() ?? Promise.resolve()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  queries(count: number): LookupQuery[] {
    const random = new Random(SEED)
    return Array.from({ length: count }, () => {
      const { partitions, objectIds } = this.#groups[random.below(this.#groups.length)]
      const extent = random.below(objectIds.length)
      return {
        topicPartition: partitions[random.below(partitions.length)],
        offset: extent * EXTENT_OFFSETS + random.below(EXTENT_OFFSETS),
        objectId: objectIds[extent],
      }
    })
  }

  cases(context: BenchContext, workload: string): Case[] {
    const common = { workload, unit: 'lookups' }
    const queries = this.queries(sized(context, 48_000, 640))
    const inFlight = (count: number): Case => ({
      ...common,
      variant: `findByOffset, ${count === 1 ? 'one caller' : `${count} in flight`}`,
      run: () => this.lookUp(count === 1 ? queries.slice(0, queries.length / 2) : queries, count),
    })
    const variant = `findByOffsets, batches of ${BATCH}`
    const batched: Case = { ...common, variant, run: () => this.#lookUpBatches(queries) }
    return [inFlight(1), inFlight(64), batched]
  }

  async lookUp(queries: readonly LookupQuery[], inFlight: number): Promise<Round> {
    const answers = new Answers()
    const latencies = new Latencies()
    const elapsedMs = await callInFlight(queries.length, inFlight, latencies, async i => {
      const { topicPartition, offset } = queries[i]
      check(await this.store.findByOffset(topicPartition, offset), queries[i], answers)
    })
    return { operations: queries.length, elapsedMs, answers, latencies }
  }

  /** One caller with batches; latencies are those of whole batches. */
  async #lookUpBatches(queries: readonly LookupQuery[]): Promise<Round> {
    const answers = new Answers()
    const latencies = new Latencies()
    const count = Math.floor(queries.length / BATCH)
    const elapsedMs = await callInFlight(count, 1, latencies, async i => {
      const batch = queries.slice(i * BATCH, (i + 1) * BATCH)
      const found = await this.store.findByOffsets(batch)
      for (const [at, location] of found.entries()) check(location, batch[at], answers)
    })
    return { operations: count * BATCH, elapsedMs, answers, latencies }
  }
}

function check(found: ExtentLocation | MetastoreError, query: LookupQuery, answers: Answers): void {
  if (found instanceof MetastoreError) throw found
  answers.expect(found.baseOffset, query.offset - (query.offset % EXTENT_OFFSETS))
  if (found.objectId !== query.objectId) assert.fail('a wrong answer: another object')
}

/** @returns what is in the metastore */
async function fill(folder: string, context: BenchContext): Promise<Group[]> {
  await using store = await openStore(folder, { durability: 'os' })
  const partitionsPerDomain = sized(context, 125, 10)
  const extents = Math.ceil(context.rows / DOMAINS / partitionsPerDomain)
  const committer = new Committer(store, partitionsPerDomain, GROUP_PARTITIONS)
  const commits = committer.groups.length * extents
  await committer.preregister(commits)
  await callInFlight(commits, FILL_IN_FLIGHT, new Latencies(), i =>
    committer.commit(i, new Answers()),
  )
  return committer.groups
}
