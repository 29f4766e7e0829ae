/** findByOffset over extents in memtables, and over the same in tables. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { ExtentLocation, Metastore, TopicPartition } from '../src/index.ts'
import { MetastoreError } from '../src/index.ts'
import { Answers } from './answers.ts'
import { type BenchContext, sized } from './bench-context.ts'
import { Committer, EXTENT_OFFSETS, type Group } from './committer.ts'
import { callInFlight } from './in-flight.ts'
import { Latencies } from './latencies.ts'
import { Random } from './random.ts'
import { DOMAINS, openStore } from './stores.ts'

const GROUP_PARTITIONS = 10
const EXTENTS_A_PARTITION = 100
const FILL_IN_FLIGHT = 256
const BATCH = 64
const SEED = 362_436_069
const READ_PATHS = ['auto', 'worker'] as const

interface Query {
  topicPartition: TopicPartition
  offset: number
  objectId: string
}

export async function runLookups(context: BenchContext): Promise<void> {
  const folder = join(context.directory, 'lookups')
  const partitionsPerDomain = sized(context, 1000, 80) / DOMAINS
  const extents = sized(context, EXTENTS_A_PARTITION, 10)
  const groups = await fill(folder, partitionsPerDomain, extents)
  for (const workload of ['lookup-memtable', 'lookup-table']) {
    for (const readPath of READ_PATHS) {
      await using store = await openStore(folder, { readPath })
      await lookups(context, store, groups, workload, readPath)
    }
    await using store = await openStore(folder, {})
    await store.flush()
  }
}

/** @returns what is in the metastore */
async function fill(folder: string, perDomain: number, extents: number): Promise<Group[]> {
  await using store = await openStore(folder, { durability: 'os' })
  const committer = new Committer(store, perDomain, GROUP_PARTITIONS)
  const commits = committer.groups.length * extents
  await committer.preregister(commits)
  await callInFlight(commits, FILL_IN_FLIGHT, new Latencies(), i =>
    committer.commit(i, new Answers()),
  )
  return committer.groups
}

async function lookups(
  context: BenchContext,
  store: Metastore,
  groups: readonly Group[],
  workload: string,
  readPath: string,
): Promise<void> {
  const ask = async (query: Query, answers: Answers): Promise<void> => {
    check(await store.findByOffset(query.topicPartition, query.offset), query, answers)
  }
  for (const { inFlight, count } of [
    { inFlight: 1, count: sized(context, 5000, 500) },
    { inFlight: 64, count: sized(context, 60_000, 1000) },
  ]) {
    const queries = randomQueries(groups, count)
    await context.measure({
      workload,
      variant: `${inFlight} in flight, read path ${readPath}`,
      unit: 'lookups',
      run: async () => {
        const answers = new Answers()
        const latencies = new Latencies()
        const elapsedMs = await callInFlight(count, inFlight, latencies, i =>
          ask(queries[i], answers),
        )
        return { operations: count, elapsedMs, answers, latencies }
      },
    })
  }
  await batches(context, store, groups, workload, readPath)
}

/** One caller with batches; latencies are those of whole batches. */
async function batches(
  context: BenchContext,
  store: Metastore,
  groups: readonly Group[],
  workload: string,
  readPath: string,
): Promise<void> {
  const count = sized(context, 1000, 16)
  const queries = randomQueries(groups, count * BATCH)
  await context.measure({
    workload,
    variant: `batches of ${BATCH}, read path ${readPath}`,
    unit: 'lookups',
    run: async () => {
      const answers = new Answers()
      const latencies = new Latencies()
      const elapsedMs = await callInFlight(count, 1, latencies, async i => {
        const batch = queries.slice(i * BATCH, (i + 1) * BATCH)
        const found = await store.findByOffsets(batch)
        for (const [at, location] of found.entries()) check(location, batch[at], answers)
      })
      return { operations: count * BATCH, elapsedMs, answers, latencies }
    },
  })
}

function check(found: ExtentLocation | MetastoreError, query: Query, answers: Answers): void {
  if (found instanceof MetastoreError) throw found
  answers.expect(found.baseOffset, query.offset - (query.offset % EXTENT_OFFSETS))
  if (found.objectId !== query.objectId) assert.fail('a wrong answer: another object')
}

function randomQueries(groups: readonly Group[], count: number): Query[] {
  const random = new Random(SEED)
  return Array.from({ length: count }, () => {
    const { partitions, objectIds } = groups[random.below(groups.length)]
    const extent = random.below(objectIds.length)
    return {
      topicPartition: partitions[random.below(partitions.length)],
      offset: extent * EXTENT_OFFSETS + random.below(EXTENT_OFFSETS),
      objectId: objectIds[extent],
    }
  })
}
