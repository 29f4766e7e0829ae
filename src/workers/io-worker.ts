/**
 * The I/O worker: stateless tasks of the pool (shared/io-tasks.ts). Encodes tables, and does all of
 * Waymark's traffic with the bucket.
 */
import { CLUSTER_PREFIX, clusterIdOf, tableKey } from '../codec/bucket-layout.ts'
import { corruption, MetastoreError } from '../codec/errors.ts'
import { xxh64 } from '../codec/hash.ts'
import type { TableDescription } from '../codec/manifest.ts'
import type { IoAnswer, IoRequest, IoTask, StoreAccess } from '../shared/io-tasks.ts'
import { Memtable } from '../shared/memtable.ts'
import type { ObjectStore } from '../shared/object-store.ts'
import { CacheFiles } from './io/cache-files.ts'
import { putOnce } from './io/conditional-put.ts'
import { DirectoryObjectStore } from './io/directory-object-store.ts'
import { PortObjectStore } from './io/port-object-store.ts'
import { withRetry } from './io/retry.ts'
import { buildTables } from './io/table-writer.ts'

export default async function runTask(request: IoRequest): Promise<IoAnswer> {
  const { task, store, deadlineMs } = request
  const bucket = openStore(store)
  try {
    return { value: await run(task, bucket, deadlineMs) }
  } catch (error) {
    // Errors that are cloned between threads lose their own fields.
    if (!(error instanceof MetastoreError)) throw error
    const { code, message, details } = error
    return { error: { code, message, details } }
  } finally {
    if (bucket instanceof PortObjectStore) bucket.close()
  }
}

const directories = new Map<string, DirectoryObjectStore>()

function openStore(access: StoreAccess): ObjectStore {
  if (access.type === 'port') return new PortObjectStore(access.port)
  let store = directories.get(access.root)
  if (store === undefined) {
    store = new DirectoryObjectStore(access.root)
    directories.set(access.root, store)
  }
  return store
}

async function run(task: IoTask, bucket: ObjectStore, deadlineMs: number): Promise<unknown> {
  switch (task.type) {
    case 'buildTables':
      return flushMemtable(task, bucket, deadlineMs)
    case 'create':
      return putOnce(bucket, task.key, task.bytes, { deadlineMs })
    case 'overwrite':
      await withRetry({ deadlineMs }, signal => bucket.put(task.key, task.bytes, { signal }))
      return null
    case 'read':
      return withRetry({ deadlineMs }, signal => bucket.get(task.key, { signal }))
    case 'listClusters':
      return listClusters(bucket, deadlineMs)
    case 'fetchTables':
      return fetchTables(task, bucket, deadlineMs)
  }
}

/** Cache file and object are written together; the version that will name them needs both. */
async function flushMemtable(
  task: Extract<IoTask, { type: 'buildTables' }>,
  bucket: ObjectStore,
  deadlineMs: number,
): Promise<TableDescription[]> {
  const cache = new CacheFiles(task.cacheDirectory)
  const descriptions: TableDescription[] = []
  for (const { description, bytes } of buildTables(new Memtable(task.memory), task)) {
    const key = tableKey(description)
    const [outcome] = await Promise.all([
      putOnce(bucket, key, bytes, { deadlineMs }),
      cache.write(key, bytes),
    ])
    if (outcome === 'exists') {
      throw new MetastoreError('CONFLICT', `${key} is already in the bucket: another writer?`)
    }
    descriptions.push(description)
  }
  return descriptions
}

async function listClusters(bucket: ObjectStore, deadlineMs: number): Promise<string[]> {
  const ids: string[] = []
  let after = ''
  for (;;) {
    const page = await withRetry({ deadlineMs }, signal =>
      bucket.list(CLUSTER_PREFIX, after === '' ? { signal } : { signal, after }),
    )
    for (const { key } of page.objects) {
      const id = clusterIdOf(key)
      if (id !== undefined) ids.push(id)
    }
    if (page.next === null) return ids
    after = page.next
  }
}

async function fetchTables(
  task: Extract<IoTask, { type: 'fetchTables' }>,
  bucket: ObjectStore,
  deadlineMs: number,
): Promise<number> {
  const cache = new CacheFiles(task.cacheDirectory)
  let fetchedBytes = 0
  for (const table of task.tables) {
    const key = tableKey(table)
    if (!task.force && (await cache.sizeOf(key)) === table.sizeBytes) continue
    const bytes = await withRetry({ deadlineMs }, signal => bucket.get(key, { signal }))
    checkTable(key, table, bytes)
    await cache.write(key, bytes)
    fetchedBytes += bytes.length
  }
  return fetchedBytes
}

function checkTable(
  key: string,
  table: TableDescription,
  bytes: Uint8Array | null,
): asserts bytes is Uint8Array {
  if (bytes === null) throw corruption(`${key} is not in the bucket`, { file: key })
  const checksum = xxh64(bytes).toString(16).padStart(16, '0')
  if (bytes.length !== table.sizeBytes || checksum !== table.checksum) {
    throw corruption(`${key} in the bucket is not what its manifest says`, { file: key })
  }
}
