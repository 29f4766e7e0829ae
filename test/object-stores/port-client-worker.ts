/**
 * A worker thread that uses the store behind its port as an I/O thread does: it copies one object
 * out of shared memory, reads it back, and ends without closing the port.
 */
import assert from 'node:assert/strict'
import { type MessagePort, workerData } from 'node:worker_threads'
import { PortObjectStore } from '../../src/workers/io/port-object-store.ts'

const { port, body } = workerData as { port: MessagePort; body: Uint8Array }
const store = new PortObjectStore(port)
assert.equal(await store.put('from/worker', body, { ifNoneMatch: true }), 'created')
assert.deepEqual(await store.get('from/worker'), new Uint8Array(body))
