/**
 * Creates an object that must be written once, and knows afterwards whose it is, also when an
 * answer was lost: a put that timed out may have been done, or be done later, and its repetition
 * then meets the object that it wrote itself.
 */
import { randomUUID } from 'node:crypto'
import { MetastoreError } from '../codec/errors.ts'
import type { ObjectStore } from './object-store.ts'
import { isRetryable, type RetryOptions, withRetry } from './retry.ts'

/** The metadata that says whose put an object is. */
export const PUT_ID_NAME = 'waymark-put-id'

export interface PutOnceOptions extends RetryOptions {
  /** Kept beside the object together with the put id. */
  readonly metadata?: Readonly<Record<string, string>>
}

/**
 * 'created' when the object at `key` is from this call, 'exists' when it is from another. The body
 * is borrowed until the promise settles, and beyond that by an abandoned call of a store that
 * does not heed its signal.
 *
 * After UNAVAILABLE or an abort nothing is known: the object may be there, or come later. Keys
 * must therefore never be used again for other contents.
 */
export async function putOnce(
  store: ObjectStore,
  key: string,
  body: Uint8Array,
  options: PutOnceOptions,
): Promise<'created' | 'exists'> {
  const putId = randomUUID()
  const metadata = { ...options.metadata, [PUT_ID_NAME]: putId }
  const mayRetry = options.isRetryable ?? isRetryable

  return await withRetry(options, async signal => {
    // One id for all attempts: an earlier one may be what the store has, or gets while we retry.
    let failure: unknown = null
    try {
      const answer = await store.put(key, body, { ifNoneMatch: true, metadata, signal })
      if (answer === 'created') return 'created'
    } catch (error) {
      signal.throwIfAborted()
      if (!mayRetry(error)) throw error
      failure = error
    }
    const found = await store.head(key, { signal })
    if (found !== null) return found.metadata[PUT_ID_NAME] === putId ? 'created' : 'exists'
    throw failure ?? goneAgain(key)
  })
}

function goneAgain(key: string): MetastoreError {
  return new MetastoreError('UNAVAILABLE', `object '${key}' existed and was gone a moment later`)
}
