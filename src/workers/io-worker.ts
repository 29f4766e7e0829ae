/**
 * The I/O worker: a thread of the pool, which carries out tasks (io/run-io-task.ts). Encodes tables
 * and does the traffic with the bucket; main only handles small objects of a store in its memory.
 */
import { MetastoreError } from '../codec/errors.ts'
import type { IoAnswer, IoRequest, StoreAccess } from '../shared/io-tasks.ts'
import type { ObjectStore } from '../shared/object-store.ts'
import { CacheFiles } from './io/cache-files.ts'
import { DirectoryObjectStore } from './io/directory-object-store.ts'
import { PortObjectStore } from './io/port-object-store.ts'
import { runIoTask } from './io/run-io-task.ts'
import { S3ObjectStore } from './io/s3/s3-object-store.ts'

export default async function runTask(request: IoRequest): Promise<IoAnswer> {
  const { task, store, deadlineMs } = request
  const bucket = openStore(store)
  try {
    const cacheOf = (directory: string): CacheFiles => new CacheFiles(directory)
    return { value: await runIoTask(task, { bucket, deadlineMs, cacheOf }) }
  } catch (error) {
    // Errors that are cloned between threads lose their own fields.
    if (!(error instanceof MetastoreError)) throw error
    const { code, message, details } = error
    return { error: { code, message, details } }
  } finally {
    if (bucket instanceof PortObjectStore) bucket.close()
  }
}

/** Kept for the thread's life, with what they know and their connections. */
const stores = new Map<string, ObjectStore>()

function openStore(access: StoreAccess): ObjectStore {
  if (access.type === 'port') return new PortObjectStore(access.port)
  const name = JSON.stringify(access)
  let store = stores.get(name)
  if (store === undefined) {
    store =
      access.type === 's3'
        ? new S3ObjectStore(access.location)
        : new DirectoryObjectStore(access.root)
    stores.set(name, store)
  }
  return store
}
