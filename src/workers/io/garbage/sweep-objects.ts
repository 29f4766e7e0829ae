/**
 * A part of the sweep: lists callers' objects and leaves out those that another cluster of the
 * bucket knows, by the object rows of its committed manifests. Whoever runs it asks the domains of
 * its own cluster about the rest. Both the list and the rows are in the order of ids.
 */
import {
  committedKey,
  manifestKey,
  OBJECT_PREFIX,
  objectIdOf,
} from '../../../codec/bucket-layout.ts'
import { compareBytes } from '../../../codec/bytes.ts'
import { decodeCommitted } from '../../../codec/committed-pointer.ts'
import { corruption } from '../../../codec/errors.ts'
import { KEY_BYTES, ROW_TYPE } from '../../../codec/keys.ts'
import { decodeManifest, type TableDescription } from '../../../codec/manifest.ts'
import { uuidBytes } from '../../../codec/uuid.ts'
import type { ObjectSweep, SweptObjects } from '../../../shared/garbage-tasks.ts'
import type { FetchContext } from '../table-fetch.ts'
import { TableStream } from '../table-stream.ts'
import { BucketAccess } from './bucket-access.ts'
import { readClusters } from './surroundings.ts'

/** Pages of the list that one task goes through: opening the others' tables costs as much. */
const PAGES_A_TASK = 10
const POINTER_READS_MAX = 3

export async function sweepObjects(
  context: FetchContext,
  { clusterId, after, before }: ObjectSweep,
): Promise<SweptObjects> {
  const bucket = new BucketAccess(context.bucket, context.deadlineMs)
  const listed: string[] = []
  let next = after
  for (let pages = 0; pages < PAGES_A_TASK; pages++) {
    const page = await bucket.page(OBJECT_PREFIX, next)
    for (const { key, modifiedAt } of page.objects) {
      const id = objectIdOf(key)
      if (id !== undefined && modifiedAt <= before) listed.push(id)
    }
    next = page.next
    if (next === null) break
  }
  const tables = listed.length === 0 ? [] : await readForeignTables(bucket, clusterId)
  return { ids: await unknownTo(context, tables, listed), next }
}

/** Tables of all other clusters' committed manifests that may have object rows. */
async function readForeignTables(
  bucket: BucketAccess,
  clusterId: string,
): Promise<TableDescription[]> {
  const [first, last] = [Uint8Array.of(ROW_TYPE.object), Uint8Array.of(ROW_TYPE.object + 1)]
  const tables: TableDescription[] = []
  for (const cluster of await readClusters(bucket)) {
    if (cluster.clusterId === clusterId) continue
    for (const domain of cluster.domains) {
      for (const table of await readCommittedTables(bucket, domain)) {
        const isBefore = compareBytes(table.greatestKey, first) < 0
        if (!isBefore && compareBytes(table.smallestKey, last) < 0) tables.push(table)
      }
    }
  }
  return tables
}

async function readCommittedTables(
  bucket: BucketAccess,
  domain: string,
): Promise<TableDescription[]> {
  for (let attempt = 1; ; attempt++) {
    const pointer = await bucket.get(committedKey(domain))
    if (pointer === null) return []
    const key = manifestKey(decodeCommitted(pointer, committedKey(domain)))
    const bytes = await bucket.get(key)
    if (bytes !== null) return decodeManifest(bytes, key).tables
    // Its domain may have moved the pointer since, and collected what it named before.
    if (attempt === POINTER_READS_MAX) throw corruption(`${key} is missing`, { file: key })
  }
}

/** @param ids ascending */
async function unknownTo(
  context: FetchContext,
  tables: readonly TableDescription[],
  ids: readonly string[],
): Promise<string[]> {
  const streams: TableStream[] = []
  const key = new Uint8Array(KEY_BYTES.object)
  key[0] = ROW_TYPE.object
  try {
    if (ids.length > 0) key.set(uuidBytes(ids[0]), 1)
    for (const table of tables) streams.push(await TableStream.open(context, [table], key))
    const unknown: string[] = []
    for (const id of ids) {
      key.set(uuidBytes(id), 1)
      let isKnown = false
      for (const stream of streams) isKnown = (await seekForward(stream, key)) || isKnown
      if (!isKnown) unknown.push(id)
    }
    return unknown
  } finally {
    for (const stream of streams) stream.close()
  }
}

/** @returns whether the stream has a row of the key: a deleted one counts, it was known once */
async function seekForward(stream: TableStream, key: Uint8Array): Promise<boolean> {
  const { row } = stream
  while (row.valid) {
    const order = row.compareKey(key)
    if (order >= 0) return order === 0
    row.next()
    if (!row.valid) await stream.nextBlock()
  }
  return false
}
