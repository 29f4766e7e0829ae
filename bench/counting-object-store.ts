/** A bucket that counts what is asked of it. */
import type {
  CallOptions,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectPage,
  ObjectStore,
  PutAnswer,
  PutOptions,
} from '../src/shared/object-store.ts'

export class CountingObjectStore implements ObjectStore {
  readonly #inner: ObjectStore
  /** Calls since reset(): each is a request of S3. */
  requests = 0
  /** Gets among them, and bytes that they gave. */
  gets = 0
  bytes = 0
  /** Bytes put, by what was put: 'tail', 'table', 'manifest', 'committed'... */
  readonly putBytes: Map<string, number> = new Map()

  constructor(inner: ObjectStore) {
    this.#inner = inner
  }

  reset(): void {
    this.requests = 0
    this.gets = 0
    this.bytes = 0
    this.putBytes.clear()
  }

  async get(key: string, options?: GetOptions): Promise<Uint8Array | null> {
    const body = await this.#inner.get(key, options)
    this.requests++
    this.gets++
    this.bytes += body?.length ?? 0
    return body
  }

  put(key: string, body: Uint8Array, options?: PutOptions): Promise<PutAnswer> {
    // domain/{uuid}/tail/...
    const kind = key.split('/')[2]
    this.requests++
    this.putBytes.set(kind, (this.putBytes.get(kind) ?? 0) + body.length)
    return this.#inner.put(key, body, options)
  }

  head(key: string, options?: CallOptions): Promise<ObjectInfo | null> {
    this.requests++
    return this.#inner.head(key, options)
  }

  list(prefix: string, options?: ListOptions): Promise<ObjectPage> {
    this.requests++
    return this.#inner.list(prefix, options)
  }

  delete(keys: readonly string[], options?: CallOptions): Promise<void> {
    this.requests++
    return this.#inner.delete(keys, options)
  }
}
