/**
 * Lets a node's partition worker stand still between two of its rounds, as a thread does that gets
 * no processor, or waits for a disk. It is the real one, in a thread of its own (gated-worker.ts).
 */
import { syncBuiltinESMExports } from 'node:module'
import threads, { type WorkerOptions } from 'node:worker_threads'

const GATE_OPEN = 0
export const GATE_CLOSED = 1
const { Worker: UsualWorker } = threads

export interface GatedWorkerData {
  readonly gate: Int32Array
}

export class WorkerGate implements Disposable {
  readonly #gate = new Int32Array(new SharedArrayBuffer(4))

  /** Of the partition workers that are started until `open` resolves. */
  static async around(open: () => Promise<unknown>): Promise<WorkerGate> {
    const gate = new WorkerGate()
    threads.Worker = gate.#gatedWorker()
    syncBuiltinESMExports()
    try {
      await open()
    } finally {
      threads.Worker = UsualWorker
      syncBuiltinESMExports()
    }
    return gate
  }

  #gatedWorker(): typeof threads.Worker {
    const data: GatedWorkerData = { gate: this.#gate }
    return class extends UsualWorker {
      constructor(script: string | URL, options: WorkerOptions = {}) {
        if (String(script).endsWith('/partition-worker.js')) {
          const workerData = { ...options.workerData, ...data }
          super(new URL('gated-worker.js', import.meta.url), { ...options, workerData })
        } else super(script, options)
      }
    }
  }

  /** The worker does nothing any more once it has done its round. */
  close(): void {
    Atomics.store(this.#gate, 0, GATE_CLOSED)
  }

  open(): void {
    Atomics.store(this.#gate, 0, GATE_OPEN)
    Atomics.notify(this.#gate, 0)
  }

  /** Before its node is closed, which waits for the worker. */
  [Symbol.dispose](): void {
    this.open()
  }
}
