/**
 * From nothing but the bucket to the first answer: few rows, ten and a hundred times as many, all in
 * tables; and as many with a tenth more of them in tail objects, which are replayed. The last also
 * from a bucket that is far away.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Metastore } from '../../src/index.ts'
import { Answers } from '../answers.ts'
import { type BenchContext, sized } from '../bench-context.ts'
import { type BenchBucket, copyObjects, FAR_MS, openBucket } from '../buckets.ts'
import { CountingObjectStore } from '../counting-object-store.ts'
import { callInFlight } from '../in-flight.ts'
import { Latencies } from '../latencies.ts'
import type { Case } from '../measure.ts'
import { Random } from '../random.ts'
import { BATCH_ROWS, Records } from '../records.ts'
import { openStore } from '../stores.ts'

const TENTHS = [100, 10, 1]
const TAIL_PART = 10
const BATCHES_IN_FLIGHT = 8
const TAIL_INTERVAL_MS = 50
/** The default: there are several tables of a domain. */
const MEMTABLE_BYTES_MAX: number = 32 * 1024 * 1024

interface Source {
  /** Where its bucket is, as a directory. */
  folder: string
  name: string
  clusterId: string
  rows: number
}

export async function runRestore(context: BenchContext): Promise<void> {
  const sources: Source[] = []
  const parts = context.isSmall ? [1] : TENTHS
  for (const part of parts) sources.push(await fill(context, Math.ceil(context.rows / part), 0))
  sources.push(await fill(context, context.rows, Math.ceil(context.rows / TAIL_PART)))
  const withTail = sources[sources.length - 1]
  for (const bucket of context.buckets) {
    const cases: Case[] = []
    for (const source of sources) cases.push(await restoreCase(context, bucket, source))
    if (bucket.name === 'directory') {
      cases.push(await restoreCase(context, bucket, withTail, FAR_MS))
    }
    await context.measure(...cases)
  }
}

async function fill(context: BenchContext, rows: number, tailRows: number): Promise<Source> {
  const name = tailRows === 0 ? `${rows} rows` : `${rows} rows and a tail of ${tailRows}`
  const folder = join(context.directory, name.replaceAll(' ', '-'))
  const tailIntervalMs = tailRows === 0 ? null : TAIL_INTERVAL_MS
  const memtableBytesMax = MEMTABLE_BYTES_MAX
  await using store = await openStore(folder, {
    ...{ durability: 'os', memtableBytesMax, tailIntervalMs },
  })
  const records = new Records(store)
  const batches = Math.ceil(rows / BATCH_ROWS)
  const put = (from: number, count: number): Promise<number> =>
    callInFlight(count, BATCHES_IN_FLIGHT, new Latencies(), i => records.putBatch(from + i))
  await put(0, batches)
  await store.flush()
  const tailBatches = Math.ceil(tailRows / BATCH_ROWS)
  await put(batches, tailBatches)
  while (tailRows > 0 && (await store.status()).recoveryPointMs > 0) await sleep(TAIL_INTERVAL_MS)
  const { clusterId } = store
  return { folder, name, clusterId, rows: (batches + tailBatches) * BATCH_ROWS }
}

async function restoreCase(
  context: BenchContext,
  bucket: BenchBucket,
  { folder, name, clusterId, rows }: Source,
  distanceMs = 0,
): Promise<Case> {
  const inner = openBucket(bucket.location(`${name.replaceAll(' ', '-')}-${distanceMs}`))
  await copyObjects(openBucket({ type: 'directory', root: join(folder, 'bucket') }), inner)
  const objectStore = new CountingObjectStore(inner, distanceMs)
  const dataDir = join(folder, `restored-${distanceMs}`)
  const where = distanceMs === 0 ? bucket.name : `${bucket.name} ${distanceMs} ms away`
  let restored: Metastore
  return {
    ...{ workload: 'restore', variant: `${where}, ${name}`, unit: 'restores' },
    prepare: () => objectStore.reset(),
    run: async round => {
      const answers = new Answers()
      const random = new Random(round + 1)
      const startedAt = performance.now()
      restored = await Metastore.restore({
        ...{ dataDir, objectStore, from: { clusterId, at: 'latest' } },
      })
      const openMs = performance.now() - startedAt
      const { requests, bytes } = objectStore
      const records = new Records(restored)
      await records.checkBatchRow(random.below(rows), answers)
      const elapsedMs = performance.now() - startedAt
      const details = {
        ...{ 'ms to the first answer': elapsedMs, 'open ms': openMs },
        ...{ 'requests at open': requests, 'bytes at open': bytes },
        ...{ 'requests in all': objectStore.requests, 'bytes in all': objectStore.bytes },
      }
      for (let i = 0; i < sized(context, 100, 20); i++) {
        await records.checkBatchRow(random.below(rows), answers)
      }
      return { operations: 1, elapsedMs, answers, details }
    },
    finish: async () => {
      await restored.close()
      await rm(dataDir, { recursive: true })
    },
  }
}
