/** A bucket that counts what is asked of it, and may be far away. */
import { setTimeout as sleep } from 'node:timers/promises'
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
  /** Milliseconds that each request takes on top. */
  readonly #distanceMs: number
  /** Calls since reset(): each is a request of S3. */
  requests = 0
  /** Gets among them, and bytes that they gave. */
  gets = 0
  bytes = 0
  /** Bytes put, by what was put: 'tail', 'table', 'manifest', 'committed'... */
  readonly putBytes: Map<string, number> = new Map()

  constructor(inner: ObjectStore, distanceMs = 0) {
    this.#inner = inner
    this.#distanceMs = distanceMs
  }

  reset(): void {
    this.requests = 0
    this.gets = 0
    this.bytes = 0
    this.putBytes.clear()
  }

  async get(key: string, options?: GetOptions): Promise<Uint8Array | null> {
    await this.#travel()
    const body = await this.#inner.get(key, options)
    this.requests++
    this.gets++
    this.bytes += body?.length ?? 0
    return body
  }

  async put(key: string, body: Uint8Array, options?: PutOptions): Promise<PutAnswer> {
    // domain/{uuid}/tail/...
    const kind = key.split('/')[2]
    this.requests++
    this.putBytes.set(kind, (this.putBytes.get(kind) ?? 0) + body.length)
    await this.#travel()
    return await this.#inner.put(key, body, options)
  }

  async head(key: string, options?: CallOptions): Promise<ObjectInfo | null> {
    this.requests++
    await this.#travel()
    return await this.#inner.head(key, options)
  }

  async list(prefix: string, options?: ListOptions): Promise<ObjectPage> {
    this.requests++
    await this.#travel()
    return await this.#inner.list(prefix, options)
  }

  async delete(keys: readonly string[], options?: CallOptions): Promise<void> {
    this.requests++
    await this.#travel()
    await this.#inner.delete(keys, options)
  }

  async #travel(): Promise<void> {
    if (this.#distanceMs > 0) await sleep(this.#distanceMs)
  }
}
