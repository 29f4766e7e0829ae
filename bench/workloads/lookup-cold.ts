/**
 * findByOffset without a block cache: from the local files of tables, and from the bucket alone. A
 * store around the bucket counts what is asked of it. The bucket is a directory, so there is no
 * network in the times, but where the bucket is said to be away; requests and bytes are what a real
 * one would be asked for.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DirectoryObjectStore } from '../../src/workers/io/directory-object-store.ts'
import { type BenchContext, sized } from '../bench-context.ts'
import { FAR_MS } from '../buckets.ts'
import { CountingObjectStore } from '../counting-object-store.ts'
import { LookupExtents } from '../lookup-extents.ts'
import type { Case, Round } from '../measure.ts'

export async function runLookupCold(context: BenchContext): Promise<void> {
  const folder = join(context.directory, 'cold')
  await using extents = await LookupExtents.open(folder, context)
  await extents.settle()
  const directory = new DirectoryObjectStore(join(folder, 'bucket'))
  const near = new CountingObjectStore(directory)
  const far = new CountingObjectStore(directory, FAR_MS)
  const queries = extents.queries(sized(context, 5000, 200))
  const lookUp = async (count: number, inFlight: number, bucket = near): Promise<Round> => {
    bucket.reset()
    const round = await extents.lookUp(queries.slice(0, count), inFlight)
    const { requests, bytes } = bucket
    const details = { 'requests a lookup': requests / count, 'bytes a lookup': bytes / count }
    return { ...round, details }
  }
  const common = { workload: 'lookup-cold', unit: 'lookups' }
  const inFiles = (inFlight: number): Case => ({
    ...{ ...common, variant: `blocks in local files, ${inFlight} in flight` },
    prepare: () => extents.reopen({ objectStore: near, blockCacheBytesMax: 0 }),
    run: () => lookUp(queries.length, inFlight),
  })
  const inBucket = (
    variant: string,
    cacheBytesMax: number | undefined,
    count: number,
    inFlight = 1,
    objectStore = near,
  ): Case => ({
    ...{ ...common, variant },
    prepare: async () => {
      await extents.close()
      await rm(join(extents.dataDir, 'cache'), { recursive: true, force: true })
      await extents.reopen({
        ...{ objectStore, blockCacheBytesMax: 0 },
        ...(cacheBytesMax !== undefined && { cacheBytesMax }),
      })
    },
    run: () => lookUp(count, inFlight, objectStore),
  })
  const few = sized(context, 1000, 100)
  await context.measure(inFiles(1))
  await context.measure(inFiles(64))
  await context.measure(inBucket('bucket only, local cache emptied before', undefined, few))
  await context.measure(inBucket('bucket only, no local cache', 0, few))
  const away = `bucket only, ${FAR_MS} ms away, no local cache, 64 in flight`
  await context.measure(inBucket(away, 0, few, 64, far))
}
