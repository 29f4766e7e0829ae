/** A worker thread that serves a memory store on the port it is given. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { serveObjectStore } from '../../src/main/object-stores/serve-object-store.ts'

const { port } = workerData as { port: MessagePort }
serveObjectStore(new MemoryObjectStore(), port)
// The served port is unref'd, so the thread lives until the test says that it is done.
parentPort?.once('message', () => {})
