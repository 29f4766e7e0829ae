/**
 * What commits cost of a bucket: all requests and bytes of a store with the default settings, from
 * the first commit to the flush after the last. In tail objects they go there once, in tables a
 * second time, and again with each compaction.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Metastore } from '../../src/index.ts'
import { DirectoryObjectStore } from '../../src/workers/io/directory-object-store.ts'
import { Answers } from '../answers.ts'
import { type BenchContext, sized } from '../bench-context.ts'
import { Committer } from '../committer.ts'
import { CountingObjectStore } from '../counting-object-store.ts'
import { callAtRate } from '../in-flight.ts'
import { Latencies } from '../latencies.ts'
import type { Case } from '../measure.ts'
import { openStore } from '../stores.ts'

const DURATION_MS = 30_000
const SMALL_DURATION_MS = 300
const RATES = [100, 1000, 4000] as const
/** More wait in the store than a broker would let wait. */
const IN_FLIGHT_MAX = 1024
const EXTENTS_A_COMMIT = 10
const PARTITIONS_PER_DOMAIN = 100
const HOUR_MS = 3_600_000
const DEFAULT_MEMTABLE_BYTES_MAX: number = 32 * 1024 * 1024

export async function runBucketCommits(context: BenchContext): Promise<void> {
  const rates = context.isSmall ? RATES.slice(0, 1) : RATES
  await context.measure(...rates.map(rate => commitCase(context, rate)))
}

function commitCase(context: BenchContext, ratePerSecond: number): Case {
  const folder = join(context.directory, 'round')
  const durationMs = sized(context, DURATION_MS, SMALL_DURATION_MS)
  const count = (ratePerSecond * durationMs) / 1000
  const bucket = new CountingObjectStore(new DirectoryObjectStore(join(folder, 'bucket')))
  let store: Metastore
  return {
    ...{ workload: 'bucket-commits', unit: 'commits' },
    variant: `addObjects, 10 extents, ${ratePerSecond} a second`,
    prepare: async () => {
      const memtableBytesMax = DEFAULT_MEMTABLE_BYTES_MAX
      store = await openStore(folder, { objectStore: bucket, memtableBytesMax })
    },
    run: async () => {
      const answers = new Answers()
      const latencies = new Latencies()
      const committer = new Committer(store, PARTITIONS_PER_DOMAIN, EXTENTS_A_COMMIT)
      await committer.preregister(count)
      await store.flush()
      const { rowBytes } = (await store.status()).storage
      bucket.reset()
      const elapsedMs = await callAtRate(count, ratePerSecond, IN_FLIGHT_MAX, latencies, i =>
        committer.commit(i, answers),
      )
      const requestsAnHour = (bucket.requests * HOUR_MS) / elapsedMs
      await store.flush()
      const details = {
        'requests for 1000 commits': (bucket.requests * 1000) / count,
        'requests an hour before the flush': requestsAnHour,
        'row bytes a commit': ((await store.status()).storage.rowBytes - rowBytes) / count,
        'bytes a commit': sumOf(bucket.putBytes.values()) / count,
        'of tails': (bucket.putBytes.get('tail') ?? 0) / count,
        'of tables': (bucket.putBytes.get('table') ?? 0) / count,
      }
      await committer.checkOffsets(answers)
      return { operations: count, elapsedMs, answers, latencies, details }
    },
    finish: async () => {
      await store.close()
      await rm(folder, { recursive: true })
    },
  }
}

function sumOf(values: Iterable<number>): number {
  return [...values].reduce((sum, value) => sum + value, 0)
}
