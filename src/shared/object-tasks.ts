/**
 * The I/O tasks that move no bulk: put, move, read or delete small objects, list names, ask for
 * sizes. An I/O thread runs them, or the main thread when the store lives there, which costs it no
 * more than serving the calls.
 */
import { putOnce } from './conditional-put.ts'
import type { IoResults, ObjectTask } from './io-tasks.ts'
import { moveCommitted } from './move-committed.ts'
import type { ObjectStore } from './object-store.ts'
import { type RetryOptions, withRetry } from './retry.ts'

/** Calls for sizes that are under way at once. */
const SIZES_AT_ONCE = 32

const TYPES: ReadonlySet<string> = new Set<ObjectTask['type']>([
  ...(['create', 'overwrite', 'moveCommitted', 'read', 'remove', 'keys', 'sizes'] as const),
])

export function isObjectTask(task: { type: string }): task is ObjectTask {
  return TYPES.has(task.type)
}

/** @throws what retry.ts gives up with */
export async function runObjectTask(
  task: ObjectTask,
  bucket: ObjectStore,
  options: RetryOptions,
): Promise<IoResults[ObjectTask['type']]> {
  switch (task.type) {
    case 'create':
      return putOnce(bucket, task.key, task.bytes, options)
    case 'overwrite':
      await withRetry(options, signal => bucket.put(task.key, task.bytes, { signal }))
      return null
    case 'moveCommitted':
      return moveCommitted(bucket, task.manifest, options)
    case 'read':
      return withRetry(options, signal => bucket.get(task.key, { signal }))
    case 'remove':
      await withRetry(options, signal => bucket.delete(task.keys, { signal }))
      return null
    case 'keys':
      return keysBelow(bucket, task.prefix, task.after, options)
    case 'sizes':
      return sizesOf(bucket, task.keys, options)
  }
}

async function keysBelow(
  bucket: ObjectStore,
  prefix: string,
  from: string | undefined,
  options: RetryOptions,
): Promise<string[]> {
  const keys: string[] = []
  let after = from
  for (;;) {
    const page = await withRetry(options, signal =>
      bucket.list(prefix, after === undefined ? { signal } : { signal, after }),
    )
    for (const { key } of page.objects) keys.push(key)
    if (page.next === null) return keys
    after = page.next
  }
}

async function sizesOf(
  bucket: ObjectStore,
  keys: readonly string[],
  options: RetryOptions,
): Promise<(number | null)[]> {
  const sizes: (number | null)[] = keys.map(() => null)
  let next = 0
  const ask = async (): Promise<void> => {
    while (next < keys.length) {
      const at = next++
      const info = await withRetry(options, signal => bucket.head(keys[at], { signal }))
      sizes[at] = info?.sizeBytes ?? null
    }
  }
  await Promise.all(Array.from({ length: SIZES_AT_ONCE }, ask))
  return sizes
}
