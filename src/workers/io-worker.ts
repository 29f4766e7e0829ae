/**
 * The I/O worker: stateless tasks of the pool (shared/io-tasks.ts). Encodes tables, and does the
 * traffic with the bucket; main only handles small objects of a store that lives there.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CLUSTER_PREFIX, clusterIdOf } from '../codec/bucket-layout.ts'
import { MetastoreError } from '../codec/errors.ts'
import type { BuiltTable, IoAnswer, IoRequest, IoTask, StoreAccess } from '../shared/io-tasks.ts'
import { Memtable } from '../shared/memtable.ts'
import type { ObjectStore } from '../shared/object-store.ts'
import { runObjectTask } from '../shared/object-tasks.ts'
import { withRetry } from '../shared/retry.ts'
import { CacheFiles } from './io/cache-files.ts'
import { collectTables } from './io/collect-tables.ts'
import { compactTables } from './io/compact-tables.ts'
import { DirectoryObjectStore } from './io/directory-object-store.ts'
import { flushTables } from './io/flush-tables.ts'
import { PortObjectStore } from './io/port-object-store.ts'
import { storeTable } from './io/store-table.ts'
import { type FetchContext, fetchBlocks, openTable } from './io/table-fetch.ts'
import type { FinishedTable } from './io/table-output.ts'

/** The longest that a merge keeps its thread's event loop to itself. */
const BREATH_MS = 5

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
      return flushMemtable(task, fetchContext(task, bucket, deadlineMs))
    case 'compactTables':
      return compact(task, fetchContext(task, bucket, deadlineMs))
    case 'create':
    case 'overwrite':
    case 'read':
      return runObjectTask(task, bucket, { deadlineMs })
    case 'listClusters':
      return listClusters(bucket, deadlineMs)
    case 'collectTables':
      return collectTables(bucket, task, deadlineMs)
    case 'openTable':
      return openTable(fetchContext(task, bucket, deadlineMs), task.table)
    case 'fetchBlocks': {
      const context = fetchContext(task, bucket, deadlineMs)
      return fetchBlocks(context, task.table, task.offset, task.length)
    }
  }
}

async function flushMemtable(
  task: Extract<IoTask, { type: 'buildTables' }>,
  context: FetchContext,
): Promise<BuiltTable[]> {
  const built: BuiltTable[] = []
  for (const table of flushTables(new Memtable(task.memory), task)) {
    built.push(await storeTable(context, table))
  }
  return built
}

async function compact(
  task: Extract<IoTask, { type: 'compactTables' }>,
  context: FetchContext,
): Promise<BuiltTable[]> {
  const built: BuiltTable[] = []
  const store = async (table: FinishedTable): Promise<void> => {
    built.push(await storeTable(context, table))
  }
  await compactTables(context, task, store, breather())
  return built
}

/** Gives the thread's event loop a turn when BREATH_MS have passed since the last one. */
function breather(): () => Promise<void> | undefined {
  let last = performance.now()
  return () => {
    if (performance.now() - last < BREATH_MS) return undefined
    return nextTurn().then(() => {
      last = performance.now()
    })
  }
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

function fetchContext(
  { cacheDirectory }: { cacheDirectory: string },
  bucket: ObjectStore,
  deadlineMs: number,
): FetchContext {
  return { bucket, cache: new CacheFiles(cacheDirectory), cacheDirectory, deadlineMs }
}
