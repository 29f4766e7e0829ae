/**
 * The main thread's end of the bridge: answers the calls that I/O threads send through a
 * MessagePort with a store that lives here (a memory store, or the caller's own object). The other
 * end is PortObjectStore.
 */
import type { MessagePort, Transferable } from 'node:worker_threads'
import type { ObjectStore } from '../../shared/object-store.ts'
import {
  encodeError,
  exactCopy,
  type ObjectStoreCall,
  type ObjectStoreRequest,
  type ObjectStoreResponse,
  type ObjectStoreValue,
} from '../../shared/object-store-protocol.ts'

/**
 * Serves `store` until `close()` or until the other end closes. Closing, which may be repeated,
 * aborts the calls in flight; the other end rejects them with CLOSED. The port is unref'd: whether
 * the process lives on is for the thread that waits for an answer to say.
 */
export function serveObjectStore(store: ObjectStore, port: MessagePort): { close(): void } {
  const calls = new Map<number, AbortController>()

  async function answer(call: ObjectStoreCall): Promise<void> {
    const abort = new AbortController()
    calls.set(call.id, abort)
    try {
      const value = await perform(store, call, abort.signal)
      if (value instanceof Uint8Array) sendBody(port, call.id, value)
      else send(port, { type: 'done', id: call.id, value })
    } catch (error) {
      send(port, { type: 'failed', id: call.id, error: encodeError(error) })
    } finally {
      calls.delete(call.id)
    }
  }

  port.on('message', (request: ObjectStoreRequest) => {
    if (request.type === 'abort') calls.get(request.id)?.abort()
    else void answer(request)
  })
  port.on('close', () => {
    for (const abort of calls.values()) abort.abort()
  })
  // After the listeners: adding one for messages refs the port.
  port.unref()
  return { close: () => port.close() }
}

async function perform(
  store: ObjectStore,
  call: ObjectStoreCall,
  signal: AbortSignal,
): Promise<ObjectStoreValue> {
  switch (call.type) {
    case 'put':
      return await store.put(call.key, call.body, { ...call.conditions, signal })
    case 'get':
      return await store.get(call.key, { ...call.range, signal })
    case 'head':
      return await store.head(call.key, { signal })
    case 'list':
      return await store.list(call.prefix, { ...call.page, signal })
    case 'delete':
      await store.delete(call.keys, { signal })
      return undefined
    case 'abortUploads': {
      const { prefix, before, dryRun } = call
      return (await store.abortUploads?.(prefix, { before, dryRun, signal })) ?? { uploads: 0 }
    }
  }
}

/** The body is copied before it is transferred: the store may have handed out a view of its own. */
function sendBody(port: MessagePort, id: number, body: Uint8Array): void {
  const copy = exactCopy(body)
  send(port, { type: 'done', id, value: copy }, [copy.buffer])
}

function send(
  port: MessagePort,
  response: ObjectStoreResponse,
  transfer: readonly Transferable[] = [],
): void {
  port.postMessage(response, transfer)
}
