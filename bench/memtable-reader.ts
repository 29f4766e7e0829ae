/** The bench's side of the thread that reads a memtable. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Answers } from './answers.ts'
import type { Round } from './measure.ts'
import type { ReadKind } from './memtable-rows.ts'

/** Words of the control memory. isReading: written by the reader; isStopped: by the bench. */
export const READER_WORD = { isReading: 0, isStopped: 1, words: 2 } as const

export interface ReaderData {
  memory: SharedArrayBuffer
  control: Int32Array
  partitions: number
}

export interface ReaderRequest {
  kind: ReadKind
  /** Rows below this number are in the memtable. */
  rowCount: number
  /** How many to read, unless stopped. */
  count: number
}

export interface ReaderAnswer {
  elapsedMs: number
  checked: number
  hash: number
}

export class MemtableReader {
  readonly #worker: Worker
  readonly #control = new Int32Array(new SharedArrayBuffer(READER_WORD.words * 4))

  constructor(memory: SharedArrayBuffer, partitions: number) {
    const workerData: ReaderData = { memory, control: this.#control, partitions }
    this.#worker = new Worker(new URL('./memtable-reader-thread.js', import.meta.url), {
      workerData,
    })
  }

  /** Lets the thread read; what is to happen meanwhile, happens from when it has begun. */
  async read(request: ReaderRequest, meanwhile?: () => void): Promise<Round> {
    const control = this.#control
    control.fill(0)
    const answered = once(this.#worker, 'message')
    this.#worker.postMessage(request)
    if (meanwhile !== undefined) {
      Atomics.wait(control, READER_WORD.isReading, 0)
      meanwhile()
      Atomics.store(control, READER_WORD.isStopped, 1)
    }
    const [{ elapsedMs, checked, hash }] = (await answered) as [ReaderAnswer]
    return { operations: checked, elapsedMs, answers: Answers.from(checked, hash) }
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }
}
