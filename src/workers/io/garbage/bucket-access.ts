/** The bucket as garbage collection uses it: whole listings, retries within one deadline a call. */
import type { ObjectStore } from '../../../shared/object-store.ts'
import { withRetry } from '../../../shared/retry.ts'
import type { BucketObject } from './decide.ts'

const DELETED_AT_ONCE = 1000

export class BucketAccess {
  readonly #bucket: ObjectStore
  readonly #deadlineMs: number

  constructor(bucket: ObjectStore, deadlineMs: number) {
    this.#bucket = bucket
    this.#deadlineMs = deadlineMs
  }

  async list(prefix: string): Promise<BucketObject[]> {
    const objects: BucketObject[] = []
    let after: string | null = null
    do {
      const page = await this.page(prefix, after)
      for (const object of page.objects) objects.push(object)
      after = page.next
    } while (after !== null)
    return objects
  }

  page(
    prefix: string,
    after: string | null,
  ): Promise<{ objects: BucketObject[]; next: string | null }> {
    return this.#retry(signal =>
      this.#bucket.list(prefix, after === null ? { signal } : { signal, after }),
    )
  }

  get(key: string): Promise<Uint8Array | null> {
    return this.#retry(signal => this.#bucket.get(key, { signal }))
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += DELETED_AT_ONCE) {
      const some = keys.slice(at, at + DELETED_AT_ONCE)
      await this.#retry(signal => this.#bucket.delete(some, { signal }))
    }
  }

  /** Aborts, or only counts, unfinished uploads that were begun before a time. */
  async abortUploads(prefix: string, before: number, dryRun: boolean): Promise<number> {
    if (this.#bucket.abortUploads === undefined) return 0
    const aborted = await this.#retry(
      signal => this.#bucket.abortUploads?.(prefix, { before, dryRun, signal }) ?? NO_UPLOADS,
    )
    return aborted.uploads
  }

  #retry<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withRetry({ deadlineMs: this.#deadlineMs }, call)
  }
}

const NO_UPLOADS = Promise.resolve({ uploads: 0 })
