/**
 * A bucket in this thread's heap: `memory:name` and tests. It lives as long as the process and is
 * as strict about keys and metadata as the stores that keep data.
 */
import type {
  CallOptions,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectPage,
  ObjectStore,
  PutAnswer,
  PutOptions,
} from '../../shared/object-store.ts'
import {
  checkKey,
  checkMetadata,
  checkPrefix,
  exactCopy,
  pageLimit,
  rangeWithin,
} from '../../shared/object-store-protocol.ts'

interface StoredObject {
  body: Uint8Array
  modifiedAt: number
  metadata: Readonly<Record<string, string>>
  version: string
}

/** Bodies are copied in and out. Belongs to one thread; others reach it through a port. */
export class MemoryObjectStore implements ObjectStore {
  readonly #objects = new Map<string, StoredObject>()
  readonly #now: () => number
  #puts = 0
  /** The keys in ascending order; null when one came or went since they were sorted. */
  #sortedKeys: readonly string[] | null = null

  /** `now` is the store's clock in milliseconds since the epoch. */
  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  async put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<PutAnswer> {
    const { metadata = {}, ifNoneMatch = false, ifMatch, signal } = options
    checkKey(key)
    checkMetadata(key, metadata)
    signal?.throwIfAborted()
    const known = this.#objects.get(key)
    if (known !== undefined && ifNoneMatch) return 'exists'
    if (ifMatch !== undefined && known?.version !== ifMatch) return 'changed'
    this.#objects.set(key, {
      body: exactCopy(body),
      modifiedAt: this.#now(),
      metadata: { ...metadata },
      version: String(++this.#puts),
    })
    if (known === undefined) this.#sortedKeys = null
    return 'created'
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array | null> {
    checkKey(key)
    rangeWithin(0, options)
    options.signal?.throwIfAborted()
    const object = this.#objects.get(key)
    if (object === undefined) return null
    const { start, end } = rangeWithin(object.body.length, options)
    return object.body.slice(start, end)
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo | null> {
    checkKey(key)
    options.signal?.throwIfAborted()
    const object = this.#objects.get(key)
    if (object === undefined) return null
    const { body, modifiedAt, metadata, version } = object
    return { sizeBytes: body.length, modifiedAt, metadata: { ...metadata }, version }
  }

  async list(prefix: string, options: ListOptions = {}): Promise<ObjectPage> {
    checkPrefix(prefix)
    const limit = pageLimit(options)
    options.signal?.throwIfAborted()
    const { after = '' } = options
    const keys = this.#keysInOrder()
    const objects: ObjectPage['objects'] = []
    let at = firstIndexFrom(keys, after > prefix ? after : prefix)
    for (; at < keys.length && keys[at].startsWith(prefix); at++) {
      if (keys[at] === after) continue
      if (objects.length === limit) return { objects, next: objects[limit - 1].key }
      const object = this.#objects.get(keys[at])
      if (object === undefined) continue
      const { body, modifiedAt } = object
      objects.push({ key: keys[at], sizeBytes: body.length, modifiedAt })
    }
    return { objects, next: null }
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) checkKey(key)
    options.signal?.throwIfAborted()
    for (const key of keys) {
      if (this.#objects.delete(key)) this.#sortedKeys = null
    }
  }

  #keysInOrder(): readonly string[] {
    // Keys are ASCII, so the order of UTF-16 units, which sort() uses, is that of bytes.
    this.#sortedKeys ??= [...this.#objects.keys()].sort()
    return this.#sortedKeys
  }
}

/** Index of the first key that is not less than `bound`. */
function firstIndexFrom(keys: readonly string[], bound: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keys[middle] < bound) low = middle + 1
    else high = middle
  }
  return low
}
