/**
 * From ReadReplica.open in an empty dataDir to its first answer, over few extents and over a hundred
 * times as many. The bucket is a directory, so there is no network in the times; requests and bytes
 * are what a real one would be asked for.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ReadReplica } from '../../src/index.ts'
import { DirectoryObjectStore } from '../../src/workers/io/directory-object-store.ts'
import { Answers } from '../answers.ts'
import type { BenchContext } from '../bench-context.ts'
import { EXTENT_OFFSETS } from '../committer.ts'
import { CountingObjectStore } from '../counting-object-store.ts'
import { LookupExtents } from '../lookup-extents.ts'
import type { Case } from '../measure.ts'

const TIMES_AS_MANY = 100

export async function runReplica(context: BenchContext): Promise<void> {
  const sizes = [Math.ceil(context.rows / TIMES_AS_MANY), context.rows]
  const cases: Case[] = []
  for (const rows of sizes) cases.push(await coldStart(context, rows))
  await context.measure(...cases)
}

async function coldStart(context: BenchContext, rows: number): Promise<Case> {
  const folder = join(context.directory, `${rows}`)
  const extents = await LookupExtents.open(folder, { ...context, rows })
  await extents.settle()
  const { clusterId } = extents.store
  await extents.close()
  const [query] = extents.queries(1)
  const bucket = new CountingObjectStore(new DirectoryObjectStore(join(folder, 'bucket')))
  const dataDir = join(folder, 'replica')
  let replica: ReadReplica
  return {
    ...{ workload: 'replica-cold-start', variant: `${rows} extents, to the first answer` },
    unit: 'starts',
    prepare: () => bucket.reset(),
    run: async () => {
      const answers = new Answers()
      const startedAt = performance.now()
      replica = await ReadReplica.open({ dataDir, objectStore: bucket, clusterId })
      const openMs = performance.now() - startedAt
      const { bytes, requests } = bucket
      const found = await replica.findByOffset(query.topicPartition, query.offset)
      const elapsedMs = performance.now() - startedAt
      answers.expect(found.baseOffset, query.offset - (query.offset % EXTENT_OFFSETS))
      const details = {
        ...{ 'open ms': openMs, 'gets at open': requests, 'bytes at open': bytes },
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
