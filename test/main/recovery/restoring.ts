/**
 * What tests of restores share: writes whose values can be looked up, and tails made from a node's
 * own log, so that they do not depend on who ships them.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { tailKey } from '../../../src/codec/bucket-layout.ts'
import { batchSequence } from '../../../src/codec/row-batch.ts'
import { encodeTail, type Tail } from '../../../src/codec/tail.ts'
import type { Metastore, ObjectStore, TopicPartition } from '../../../src/index.ts'
import { DiskLog } from '../../../src/main/log/disk-log.ts'
import { ENTRY_KIND } from '../../../src/main/replication/replicated-log.ts'

const topicId = '33333333-3333-4333-8333-333333333333'
/** In both metastore partitions of a cluster that has two. */
export const PLACES: readonly TopicPartition[] = Array.from({ length: 8 }, (_, partition) => ({
  topicId,
  partition,
}))

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** All records of a metastore, as text. */
export async function contentsOf(store: Metastore): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const tp of PLACES) {
    for await (const { key, value } of store.records('k').scan(tp)) {
      found[`${tp.partition} ${Buffer.from(key)}`] = `${Buffer.from(value)}`
    }
  }
  return found
}

/** The committed row batches that a node's log has, ascending, by metastore partition. */
export async function batchesIn(dataDir: string): Promise<Map<number, Uint8Array>[]> {
  const directory = join(dataDir, `../copy-${randomUUID()}`)
  await cp(join(dataDir, 'log'), directory, { recursive: true })
  const log = await DiskLog.open({ directory, durability: 'os', onFatal: assert.ifError })
  const batches: Map<number, Uint8Array>[] = []
  try {
    await log.replay(({ group, kind, payload }) => {
      batches[group] ??= new Map()
      if (kind === ENTRY_KIND.rows) batches[group].set(batchSequence(payload), payload.slice())
    })
  } finally {
    await log.close()
    await rm(directory, { recursive: true })
  }
  return batches
}

/** Puts a tail object. */
export async function putTail(bucket: ObjectStore, tail: Tail): Promise<string> {
  const key = tailKey(tail)
  await bucket.put(key, encodeTail(tail, 'lz4'))
  return key
}

/** What is the same in all tail objects of a domain. */
export type TailOrigin = Pick<Tail, 'clusterId' | 'domain' | 'epoch'>

/** Puts the batches of [first, last] as a tail object. @returns its key */
export async function shipTail(
  bucket: ObjectStore,
  origin: TailOrigin,
  batches: ReadonlyMap<number, Uint8Array>,
  [first, last]: readonly [number, number],
  createdAt: number,
): Promise<string> {
  const chosen = Array.from({ length: last - first + 1 }, (_, i) => {
    const batch = batches.get(first + i)
    assert.ok(batch, `batch ${first + i} is not in the log any more`)
    return batch
  })
  return putTail(bucket, { ...origin, first, last, createdAt, batches: chosen })
}
