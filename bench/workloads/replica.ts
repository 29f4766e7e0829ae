/**
 * From ReadReplica.open in an empty dataDir to its first answer, over few extents and over a hundred
 * times as many.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ReadReplica } from '../../src/index.ts'
import { Answers } from '../answers.ts'
import type { BenchContext } from '../bench-context.ts'
import { type BenchBucket, copyObjects, openBucket } from '../buckets.ts'
import { EXTENT_OFFSETS } from '../committer.ts'
import { CountingObjectStore } from '../counting-object-store.ts'
import { LookupExtents, type LookupQuery } from '../lookup-extents.ts'
import type { Case } from '../measure.ts'

const TIMES_AS_MANY = 100

export async function runReplica(context: BenchContext): Promise<void> {
  const sizes = [Math.ceil(context.rows / TIMES_AS_MANY), context.rows]
  const sources: Source[] = []
  for (const rows of sizes) sources.push(await fill(context, rows))
  for (const bucket of context.buckets) {
    const cases: Case[] = []
    for (const source of sources) cases.push(await coldStart(bucket, source))
    await context.measure(...cases)
  }
}

interface Source {
  rows: number
  folder: string
  clusterId: string
  query: LookupQuery
}

async function fill(context: BenchContext, rows: number): Promise<Source> {
  const folder = join(context.directory, `${rows}`)
  const extents = await LookupExtents.open(folder, { ...context, rows })
  await extents.settle()
  const { clusterId } = extents.store
  await extents.close()
  const [query] = extents.queries(1)
  return { rows, folder, clusterId, query }
}

async function coldStart(
  { name, location }: BenchBucket,
  { rows, folder, clusterId, query }: Source,
): Promise<Case> {
  const inner = openBucket(location(`${rows}-extents`))
  await copyObjects(openBucket({ type: 'directory', root: join(folder, 'bucket') }), inner)
  const bucket = new CountingObjectStore(inner)
  const dataDir = join(folder, 'replica')
  let replica: ReadReplica
  return {
    ...{ workload: 'replica-cold-start', variant: `${name}, ${rows} extents, to the first answer` },
    unit: 'starts',
    prepare: () => bucket.reset(),
    run: async () => {
      const answers = new Answers()
      const startedAt = performance.now()
      replica = await ReadReplica.open({ dataDir, objectStore: bucket, clusterId })
      const openMs = performance.now() - startedAt
      const { bytes, requests, gets } = bucket
      const found = await replica.findByOffset(query.topicPartition, query.offset)
      const elapsedMs = performance.now() - startedAt
      answers.expect(found.baseOffset, query.offset - (query.offset % EXTENT_OFFSETS))
      const details = {
        ...{
          'open ms': openMs,
          'gets at open': gets,
          'requests at open': requests,
          'bytes at open': bytes,
        },
        'bytes in all': bucket.bytes,
      }
      return { operations: 1, elapsedMs, answers, details }
    },
    finish: async () => {
      await replica.close()
      await rm(dataDir, { recursive: true })
    },
  }
}
