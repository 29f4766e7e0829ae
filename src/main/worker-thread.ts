/** The thread that a partition worker runs on, as main sees it. */
import { Worker } from 'node:worker_threads'
import { MetastoreError } from '../codec/errors.ts'
import type { PartitionWorkerData } from '../shared/worker-data.ts'

export interface WorkerThread {
  /** It is about to be told to stop: its end is no failure any more. */
  expectEnd(): void
  /** Resolves when it has ended; it is killed when that takes too long. */
  ended(graceMs: number): Promise<void>
}

/** @param onFailure told when the thread ends and expectEnd() was not called */
export type StartWorker = (
  data: PartitionWorkerData,
  onFailure: (error: MetastoreError) => void,
) => WorkerThread

export const startWorkerThread: StartWorker = (data, onFailure) => {
  const name = `partition worker ${data.worker}`
  const thread = new Worker(new URL('../workers/partition-worker.js', import.meta.url), {
    name: `waymark-partition-${data.worker}`,
    workerData: data,
    transferList: [data.port],
  })
  let isStopping = false
  thread.on('error', error => {
    onFailure(
      new MetastoreError('UNAVAILABLE', `${name} failed: ${error.message}`, { cause: error }),
    )
  })
  const exited = new Promise<void>(resolve => {
    thread.once('exit', () => {
      if (!isStopping) onFailure(new MetastoreError('UNAVAILABLE', `${name} has ended`))
      resolve()
    })
  })
  return {
    expectEnd() {
      isStopping = true
    },
    async ended(graceMs) {
      const timer = setTimeout(() => void thread.terminate(), graceMs)
      await exited
      clearTimeout(timer)
    },
  }
}
