/** A bucket that counts what is read from it. */
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
  /** Gets since reset(), and bytes that they gave. */
  requests = 0
  bytes = 0

  constructor(inner: ObjectStore) {
    this.#inner = inner
  }

  reset(): void {
    this.requests = 0
    this.bytes = 0
  }

  async get(key: string, options?: GetOptions): Promise<Uint8Array | null> {
    const body = await this.#inner.get(key, options)
    this.requests++
    this.bytes += body?.length ?? 0
    return body
  }

  put(key: string, body: Uint8Array, options?: PutOptions): Promise<PutAnswer> {
    return this.#inner.put(key, body, options)
  }

  head(key: string, options?: CallOptions): Promise<ObjectInfo | null> {
    return this.#inner.head(key, options)
  }

  list(prefix: string, options?: ListOptions): Promise<ObjectPage> {
    return this.#inner.list(prefix, options)
  }

  delete(keys: readonly string[], options?: CallOptions): Promise<void> {
    return this.#inner.delete(keys, options)
  }
}
