/**
 * An object store that lives on another thread, seen from an I/O thread: each call is a message
 * through a port whose other end serveObjectStore answers.
 */
import type { MessagePort } from 'node:worker_threads'
import { MetastoreError } from '../../codec/errors.ts'
import type {
  AbortedUploads,
  AbortUploadsOptions,
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
  decodeError,
  exactCopy,
  type ObjectStoreCall,
  type ObjectStoreRequest,
  type ObjectStoreResponse,
} from '../../shared/object-store-protocol.ts'

interface PendingCall {
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** Distributes over the union, which Omit alone does not. */
type WithoutId<Call> = Call extends ObjectStoreCall ? Omit<Call, 'id'> : never

/**
 * Bodies cross by one copy and a transfer, so a caller's buffer, shared or not, is free again as
 * soon as `put` has returned its promise. An aborted call rejects at once and tells the other
 * side. The port keeps the thread alive only while calls are pending.
 *
 * Rejects with the store's own errors (name, message and code kept), and with CLOSED when either
 * end was closed.
 */
export class PortObjectStore implements ObjectStore {
  readonly #port: MessagePort
  readonly #pending = new Map<number, PendingCall>()
  #callCount = 0
  #closed = false

  /** Takes over the port. */
  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', (response: ObjectStoreResponse) => this.#settle(response))
    port.on('close', () => this.close())
    // After the listeners: adding one for messages refs the port.
    port.unref()
  }

  put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<PutAnswer> {
    const { signal, ...conditions } = options
    const copy = exactCopy(body)
    const call = { type: 'put', key, body: copy, conditions } as const
    return this.#call(call, signal, copy.buffer)
  }

  get(key: string, options: GetOptions = {}): Promise<Uint8Array | null> {
    const { signal, ...range } = options
    return this.#call({ type: 'get', key, range }, signal)
  }

  head(key: string, options: CallOptions = {}): Promise<ObjectInfo | null> {
    return this.#call({ type: 'head', key }, options.signal)
  }

  list(prefix: string, options: ListOptions = {}): Promise<ObjectPage> {
    const { signal, ...page } = options
    return this.#call({ type: 'list', prefix, page }, signal)
  }

  delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    return this.#call({ type: 'delete', keys }, options.signal)
  }

  abortUploads(prefix: string, options: AbortUploadsOptions): Promise<AbortedUploads> {
    const { before, dryRun = false, signal } = options
    return this.#call({ type: 'abortUploads', prefix, before, dryRun }, signal)
  }

  /** Rejects what is pending with CLOSED and lets go of the port. May be repeated. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#port.close()
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(closedError())
  }

  /** The response is trusted to be of the call's type: both ends are of one build. */
  async #call<T>(
    call: WithoutId<ObjectStoreCall>,
    signal: AbortSignal | undefined,
    body?: ArrayBuffer,
  ): Promise<T> {
    signal?.throwIfAborted()
    if (this.#closed) throw closedError()
    const id = ++this.#callCount
    const stop = () => this.#abort(id, signal?.reason)
    try {
      return await new Promise<T>((resolve, reject) => {
        this.#send({ ...call, id }, body)
        this.#add(id, { resolve: resolve as (value: unknown) => void, reject })
        signal?.addEventListener('abort', stop)
      })
    } finally {
      signal?.removeEventListener('abort', stop)
    }
  }

  #abort(id: number, reason: unknown): void {
    const pending = this.#take(id)
    if (pending === undefined) return
    this.#send({ type: 'abort', id })
    pending.reject(reason)
  }

  #settle(response: ObjectStoreResponse): void {
    const pending = this.#take(response.id)
    if (response.type === 'done') pending?.resolve(response.value)
    else pending?.reject(decodeError(response.error))
  }

  #add(id: number, pending: PendingCall): void {
    if (this.#pending.size === 0) this.#port.ref()
    this.#pending.set(id, pending)
  }

  /** The call, no longer pending; undefined when it was aborted before. */
  #take(id: number): PendingCall | undefined {
    const pending = this.#pending.get(id)
    if (this.#pending.delete(id) && this.#pending.size === 0) this.#port.unref()
    return pending
  }

  #send(request: ObjectStoreRequest, body?: ArrayBuffer): void {
    this.#port.postMessage(request, body === undefined ? [] : [body])
  }
}

function closedError(): MetastoreError {
  return new MetastoreError('CLOSED', 'the object store on the other side of the port is closed')
}
