/** The tasks of the I/O pool (shared/io-tasks.ts), one function for all: stateless. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CLUSTER_PREFIX, clusterIdOf } from '../../codec/bucket-layout.ts'
import { decodeTail, type Tail } from '../../codec/tail.ts'
import type { BuiltTable, IoTask } from '../../shared/io-tasks.ts'
import { Memtable } from '../../shared/memtable.ts'
import type { ObjectStore } from '../../shared/object-store.ts'
import { runObjectTask } from '../../shared/object-tasks.ts'
import { withRetry } from '../../shared/retry.ts'
import type { TableCache } from './cache-files.ts'
import { compactTables } from './compact-tables.ts'
import { flushTables } from './flush-tables.ts'
import { BucketAccess } from './garbage/bucket-access.ts'
import { collectGarbage } from './garbage/collect-garbage.ts'
import { sweepObjects } from './garbage/sweep-objects.ts'
import { putTail } from './put-tail.ts'
import { storeTable } from './store-table.ts'
import { type FetchContext, fetchBlocks, openTable } from './table-fetch.ts'
import type { FinishedTable } from './table-output.ts'
import { tailReach } from './tail-reach.ts'

/** The longest that rows on their way to tables keep its thread's event loop to itself. */
const BREATH_MS = 5

export interface IoTaskContext {
  readonly bucket: ObjectStore
  /** How long the bucket may take for one object, retries included. */
  readonly deadlineMs: number
  /** The local cache in a directory. */
  readonly cacheOf: (cacheDirectory: string) => TableCache
}

/** @throws what the task fails with */
export async function runIoTask(task: IoTask, context: IoTaskContext): Promise<unknown> {
  const { bucket, deadlineMs } = context
  switch (task.type) {
    case 'buildTables':
      return flushMemtable(task, fetchContext(task, context))
    case 'compactTables':
      return compact(task, fetchContext(task, context))
    case 'create':
    case 'overwrite':
    case 'moveCommitted':
    case 'read':
    case 'remove':
    case 'keys':
    case 'sizes':
      return runObjectTask(task, bucket, { deadlineMs })
    case 'listClusters':
      return listClusters(bucket, deadlineMs)
    case 'collectGarbage':
      return collectGarbage(bucket, task, deadlineMs)
    case 'deleteObjects':
      await new BucketAccess(bucket, deadlineMs).delete(task.keys)
      return null
    case 'sweepObjects':
      return sweepObjects(fetchContext(task, context), task)
    case 'putTail':
      return putTail(bucket, task, deadlineMs)
    case 'tailReach':
      return tailReach(bucket, task.domain, task.after, deadlineMs)
    case 'readTail':
      return readTail(bucket, task.key, deadlineMs)
    case 'openTable':
      return openTable(fetchContext(task, context), task.table)
    case 'fetchBlocks': {
      const fetching = fetchContext(task, context)
      return fetchBlocks(fetching, task.table, task.offset, task.length)
    }
  }
}

async function flushMemtable(
  task: Extract<IoTask, { type: 'buildTables' }>,
  context: FetchContext,
): Promise<BuiltTable[]> {
  const built: BuiltTable[] = []
  const store = async (table: FinishedTable): Promise<void> => {
    built.push(await storeTable(context, table))
  }
  await flushTables(new Memtable(task.memory), task, store, breather())
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

async function readTail(
  bucket: ObjectStore,
  key: string,
  deadlineMs: number,
): Promise<Tail | null> {
  const bytes = await withRetry({ deadlineMs }, signal => bucket.get(key, { signal }))
  return bytes === null ? null : decodeTail(bytes, key)
}

function fetchContext(
  { cacheDirectory }: { cacheDirectory: string },
  { bucket, deadlineMs, cacheOf }: IoTaskContext,
): FetchContext {
  return { bucket, cache: cacheOf(cacheDirectory), cacheDirectory, deadlineMs }
}
