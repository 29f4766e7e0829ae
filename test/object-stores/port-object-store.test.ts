/**
 * Goal: a store on another thread is as good as one on this thread; aborts, errors and closing
 * cross the port, and an idle port keeps no thread alive.
 * Method: the contract against a memory store in a worker; a worker as the client of a store
 * here; and stores made for one purpose at both ends of a channel within this thread.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { MessageChannel, Worker } from 'node:worker_threads'
import { corruption, MetastoreError } from '../../src/codec/errors.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { serveObjectStore } from '../../src/main/object-stores/serve-object-store.ts'
import type { ObjectStore } from '../../src/shared/object-store.ts'
import { PortObjectStore } from '../../src/workers/io/port-object-store.ts'
import { bytes, objectStoreContract, type TestedStore } from './contract.ts'
import { FaultyObjectStore, scriptedPlan } from './faulty-object-store.ts'

objectStoreContract('memory in another thread, through a port', servedByWorker)

async function servedByWorker(): Promise<TestedStore> {
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(new URL('./memory-server-worker.js', import.meta.url), {
    workerData: { port: port2 },
    transferList: [port2],
  })
  await once(worker, 'online')
  const store = new PortObjectStore(port1)
  async function close(): Promise<void> {
    store.close()
    worker.postMessage('end')
    await once(worker, 'exit')
  }
  return { store, close }
}

/** Both ends within this thread. */
function bridged(inner: ObjectStore) {
  const { port1, port2 } = new MessageChannel()
  return { server: serveObjectStore(inner, port1), client: new PortObjectStore(port2) }
}

/** A store whose every method is `answer`. */
function storeOf(answer: (options?: { signal?: AbortSignal }) => Promise<never>): ObjectStore {
  return {
    put: (_key, _body, options) => answer(options),
    get: (_key, options) => answer(options),
    head: (_key, options) => answer(options),
    list: (_prefix, options) => answer(options),
    delete: (_keys, options) => answer(options),
  }
}

/** A store that never answers, and tells when it was called and when it was aborted. */
function hangingStore() {
  const events = new EventTarget()
  const store = storeOf(options => {
    events.dispatchEvent(new Event('called'))
    options?.signal?.addEventListener('abort', () => events.dispatchEvent(new Event('aborted')))
    return new Promise(() => {})
  })
  return { store, called: once(events, 'called'), aborted: once(events, 'aborted') }
}

describe('the bridge', () => {
  // Idle ports keep nothing alive, and here both ends are on the thread that waits for them.
  let keepAlive: NodeJS.Timeout
  before(() => {
    keepAlive = setInterval(() => {}, 60_000)
  })
  after(() => clearInterval(keepAlive))

  test('a worker reaches a store of the main thread, and its idle port lets it end', async () => {
    const inner = new MemoryObjectStore()
    const { port1, port2 } = new MessageChannel()
    serveObjectStore(inner, port1)
    const body = new Uint8Array(new SharedArrayBuffer(40), 8, 20)
    body.set(bytes(20))
    const worker = new Worker(new URL('./port-client-worker.js', import.meta.url), {
      workerData: { port: port2, body },
      transferList: [port2],
    })
    const [code] = await once(worker, 'exit')
    assert.equal(code, 0)
    assert.deepEqual(await inner.get('from/worker'), bytes(20))
  })

  test('an abort rejects at once with its reason and reaches the store', async () => {
    const { store, called, aborted } = hangingStore()
    const { client } = bridged(store)
    const abort = new AbortController()
    const call = client.get('k', { signal: abort.signal })
    await called
    const reason = new Error('not needed any more')
    abort.abort(reason)
    await assert.rejects(call, error => error === reason)
    await aborted
    client.close()
  })

  test('closing the client rejects what is pending, and later calls, with CLOSED', async () => {
    const { store, called, aborted } = hangingStore()
    const { client } = bridged(store)
    const calls = [client.get('k'), client.put('k', bytes(1)), client.list('')]
    await called
    client.close()
    client.close()
    for (const call of calls) await assert.rejects(call, { code: 'CLOSED' })
    await assert.rejects(client.head('k'), { code: 'CLOSED' })
    await aborted
  })

  test('closing the server aborts its calls and rejects the client\u2019s with CLOSED', async () => {
    const { store, called, aborted } = hangingStore()
    const { client, server } = bridged(store)
    const call = client.get('k')
    await called
    server.close()
    server.close()
    await assert.rejects(call, { code: 'CLOSED' })
    await aborted
  })

  test('a MetastoreError stays one, with code, details and cause', async () => {
    const cause = Object.assign(new TypeError('socket'), { code: 'ECONNRESET' })
    const sent = new MetastoreError('UNAVAILABLE', 'no answer', { details: { tries: 3 }, cause })
    const { client } = bridged(storeOf(() => Promise.reject(sent)))
    await assert.rejects(client.delete(['k']), error => {
      assert.ok(error instanceof MetastoreError)
      assert.equal(error.code, 'UNAVAILABLE')
      assert.equal(error.message, 'no answer')
      assert.equal(error.retryable, true)
      assert.deepEqual(error.details, { tries: 3 })
      const { name, message, code } = error.cause as Error & { code: string }
      assert.deepEqual([name, message, code], ['TypeError', 'socket', 'ECONNRESET'])
      return true
    })
    client.close()
  })

  test('other errors keep name, message and code', async () => {
    const sent = Object.assign(new Error('slow down'), { name: 'SlowDown', code: 'E503' })
    const { client } = bridged(storeOf(() => Promise.reject(sent)))
    const expected = { name: 'SlowDown', message: 'slow down', code: 'E503' }
    await assert.rejects(client.head('k'), expected)
    client.close()
  })

  test('an error whose details cannot be sent arrives all the same', async () => {
    const details = { callback: () => 1 }
    const sent = new MetastoreError('CORRUPTION', 'bad', { details })
    const { client } = bridged(storeOf(() => Promise.reject(sent)))
    await assert.rejects(client.head('k'), { code: 'CORRUPTION', message: 'bad' })
    client.close()
  })

  test('a store that throws at once, or something else than an error, rejects', async () => {
    const thrown: unknown[] = [corruption('at once'), 'a string']
    const { client } = bridged(
      storeOf(() => {
        throw thrown.shift()
      }),
    )
    await assert.rejects(client.head('k'), { code: 'CORRUPTION' })
    await assert.rejects(client.head('k'), { message: 'a string' })
    client.close()
  })

  test('the body of a store is copied, never taken away from it', async () => {
    const cached = bytes(100)
    const inner = new MemoryObjectStore()
    inner.get = async () => cached.subarray(10, 20)
    const { client } = bridged(inner)
    assert.deepEqual(await client.get('k'), bytes(100).slice(10, 20))
    assert.deepEqual(cached, bytes(100))
    client.close()
  })

  test('the caller may reuse its buffer as soon as put has returned', async () => {
    const inner = new MemoryObjectStore()
    const { client } = bridged(inner)
    const body = bytes(50)
    const put = client.put('k', body)
    body.fill(0)
    await put
    assert.deepEqual(await inner.get('k'), bytes(50))
    client.close()
  })

  test('a store that can abort uploads is asked to, one that cannot has none', async () => {
    const inner: ObjectStore = new MemoryObjectStore()
    const { client } = bridged(inner)
    const options = { before: 7, dryRun: true }
    assert.deepEqual(await client.abortUploads('a', options), { uploads: 0 })
    inner.abortUploads = async (prefix, { before, dryRun }) => {
      assert.deepEqual([prefix, before, dryRun], ['a', 7, true])
      return { uploads: 3 }
    }
    assert.deepEqual(await client.abortUploads('a', options), { uploads: 3 })
    client.close()
  })

  test('answers find their calls in any order', async () => {
    const plan = scriptedPlan('delay', null, 'delay', null)
    const faulty = new FaultyObjectStore(new MemoryObjectStore(), plan)
    const { client } = bridged(faulty)
    const puts = [3, 4, 5, 6].map(size => client.put(`k${size}`, bytes(size)))
    await Promise.all(puts)
    const bodies = await Promise.all([3, 4, 5, 6].map(size => client.get(`k${size}`)))
    assert.deepEqual(
      bodies.map(body => body?.length),
      [3, 4, 5, 6],
    )
    client.close()
  })
})
