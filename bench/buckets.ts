/**
 * The kinds of buckets that benches measure: a directory, and S3 where WAYMARK_TEST_S3 names the
 * endpoint of a server (test/s3/server.sh). Through the stores that a metastore uses.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { CreateBucketCommand, DeleteBucketCommand, S3Client } from '@aws-sdk/client-s3'
import type { StoreLocation } from '../src/main/object-stores/store-location.ts'
import type { ObjectStore } from '../src/shared/object-store.ts'
import type { S3Options } from '../src/shared/s3-options.ts'
import { DirectoryObjectStore } from '../src/workers/io/directory-object-store.ts'
import { S3ObjectStore } from '../src/workers/io/s3/s3-object-store.ts'

// The SDK would warn of versions of Node that later versions of it need.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'

const ENDPOINT_NAME = 'WAYMARK_TEST_S3'
const COPIES_AT_ONCE = 4
/** What a request of S3 may take from begin to end: of a bucket that is far away. */
export const FAR_MS = 30

export interface BenchBucket {
  name: 'directory' | 'S3'
  /** An empty part of it, for names that were not asked for before. */
  location: (name: string) => Exclude<StoreLocation, { type: 'memory' | 'object' }>
}

export function directoryBucket(folder: string): BenchBucket {
  return { name: 'directory', location: name => ({ type: 'directory', root: join(folder, name) }) }
}

export function openBucket(location: ReturnType<BenchBucket['location']>): ObjectStore {
  return location.type === 's3'
    ? new S3ObjectStore(location.location)
    : new DirectoryObjectStore(location.root)
}

/** A bucket of a run's own on the server. */
export class S3Bucket implements AsyncDisposable {
  readonly endpoint: string
  readonly #options: S3Options
  readonly #name: string

  private constructor(endpoint: string) {
    this.endpoint = endpoint
    this.#name = `waymark-bench-${randomBytes(6).toString('hex')}`
    this.#options = {
      ...{ endpoint, region: 'us-east-1', forcePathStyle: true },
      credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
    }
  }

  /** @throws Error when no server is named, or it does not answer */
  static async create(): Promise<S3Bucket> {
    const endpoint = process.env[ENDPOINT_NAME]
    if (endpoint === undefined) {
      throw new Error(`${ENDPOINT_NAME} names no server (test/s3/server.sh)`)
    }
    const bucket = new S3Bucket(endpoint)
    await bucket.#call(client => client.send(new CreateBucketCommand({ Bucket: bucket.#name })))
    return bucket
  }

  of(bench: string): BenchBucket {
    return {
      name: 'S3',
      location: name => ({
        type: 's3',
        location: { bucket: this.#name, prefix: `${bench}/${name}/`, options: this.#options },
      }),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const location = { bucket: this.#name, prefix: '', options: this.#options }
    const store = new S3ObjectStore(location)
    for (;;) {
      const { objects } = await store.list('')
      if (objects.length === 0) break
      await store.delete(objects.map(({ key }) => key))
    }
    await this.#call(client => client.send(new DeleteBucketCommand({ Bucket: this.#name })))
  }

  async #call(use: (client: S3Client) => Promise<unknown>): Promise<void> {
    const client = new S3Client({ ...this.#options })
    try {
      await use(client)
    } finally {
      client.destroy()
    }
  }
}

/** All objects. */
export async function copyObjects(from: ObjectStore, to: ObjectStore): Promise<void> {
  let after: string | null = ''
  while (after !== null) {
    const page = await from.list('', after === '' ? {} : { after })
    const keys = page.objects.map(({ key }) => key)
    const copy = async (): Promise<void> => {
      for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
        const body = await from.get(key)
        if (body !== null) await to.put(key, body)
      }
    }
    await Promise.all(Array.from({ length: COPIES_AT_ONCE }, copy))
    after = page.next
  }
}
