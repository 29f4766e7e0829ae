/**
 * The I/O tasks that are one small object: put it, move it, read it. An I/O thread runs them, or
 * the main thread when the store lives there, which costs it no more than serving the calls.
 */
import { putOnce } from './conditional-put.ts'
import type { IoResults, ObjectTask } from './io-tasks.ts'
import { moveCommitted } from './move-committed.ts'
import type { ObjectStore } from './object-store.ts'
import { type RetryOptions, withRetry } from './retry.ts'

export function isObjectTask(task: { type: string }): task is ObjectTask {
  return task.type === 'create' || task.type === 'moveCommitted' || task.type === 'read'
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
    case 'moveCommitted':
      return moveCommitted(bucket, task.manifest, options)
    case 'read':
      return withRetry(options, signal => bucket.get(task.key, { signal }))
  }
}
