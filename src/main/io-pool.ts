/**
 * Main's side of the I/O pool: piscina threads that encode tables and talk to the bucket. They are
 * started by the first tasks that need one. A thread has many tasks at a time where most of them
 * wait for a network; only of those that make tables there are no more than threads.
 */
import { setMaxListeners } from 'node:events'
import { MessageChannel } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { MetastoreError } from '../codec/errors.ts'
import type { IoAnswer, IoRequest, IoResults, IoTask, StoreAccess } from '../shared/io-tasks.ts'
import type { ObjectStore } from '../shared/object-store.ts'
import { isObjectTask, runObjectTask } from '../shared/object-tasks.ts'
import { memoryObjectStore } from './object-stores/memory-registry.ts'
import { serveObjectStore } from './object-stores/serve-object-store.ts'
import type { StoreLocation } from './object-stores/store-location.ts'
import { Slots } from './slots.ts'

const TASK_DEADLINE_MS = 30_000
/**
 * Of a thread at a time. With 30 ms from a request to its answer, a thread that waits for one gets
 * 33 a second. A directory answers at once, and its calls go through the four threads of libuv that
 * the log's syncs need as well: there it is one.
 */
const TASKS_A_THREAD = 16
const TASKS_A_THREAD_OF_DIRECTORIES = 1
/** How long a thread beyond the least waits for a task: to load the SDK of S3 anew takes time. */
const IDLE_MS = 10_000

/** Whoever carries out tasks of the pool: what is asked of IoPool while it is open. */
export type IoRunner = Pick<IoPool, 'run'>

type PoolOptions = NonNullable<ConstructorParameters<typeof Piscina>[0]>

/** A bucket that lives on this thread is reached by a port, one a task. */
type Bucket = { isHere: true; store: ObjectStore } | { isHere: false; access: StoreAccess }

export class IoPool {
  readonly #threads: { min: number; max: number }
  readonly #tasksAThread: number
  #pool: Piscina | undefined
  readonly #bucket: Bucket
  /** For tasks that make tables: they take a processor, and memory for their tables. */
  readonly #tableSlots: Slots
  readonly #closing = new AbortController()

  constructor(location: StoreLocation, threads: { min: number; max: number }) {
    this.#bucket = bucketAt(location)
    // Every task on small objects listens; Node warns from eleven on.
    setMaxListeners(0, this.#closing.signal)
    this.#threads = threads
    this.#tasksAThread = tasksAThread(location)
    this.#tableSlots = new Slots(threads.max)
  }

  /** @throws CLOSED after close(), else what the task threw */
  async run<T extends IoTask>(task: T): Promise<IoResults[T['type']]> {
    const { signal } = this.#closing
    if (signal.aborted) throw closed()
    try {
      if (this.#bucket.isHere && isObjectTask(task)) {
        const options = { deadlineMs: TASK_DEADLINE_MS, signal }
        return (await runObjectTask(task, this.#bucket.store, options)) as IoResults[T['type']]
      }
      if (!makesTables(task)) return await this.#runOnThread(task)
      return await this.#tableSlots.run(() => this.#runOnThread(task))
    } catch (error) {
      throw signal.aborted ? closed() : error
    }
  }

  async #runOnThread<T extends IoTask>(task: T): Promise<IoResults[T['type']]> {
    // It may have waited for a slot.
    if (this.#closing.signal.aborted) throw closed()
    const served = this.#serve()
    const request: IoRequest = { task, store: served.access, deadlineMs: TASK_DEADLINE_MS }
    try {
      const transferList = served.access.type === 'port' ? [served.access.port] : []
      const answer = (await this.#started().run(request, { transferList })) as IoAnswer
      if ('value' in answer) return answer.value as IoResults[T['type']]
      const { code, message, details } = answer.error
      throw new MetastoreError(code, message, details === undefined ? {} : { details })
    } finally {
      served.close()
    }
  }

  /** Tasks under way fail; their threads are gone when this resolves. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#pool?.destroy()
  }

  #started(): Piscina {
    if (this.#pool !== undefined) return this.#pool
    const { min, max } = this.#threads
    this.#pool = new Piscina({
      filename: new URL('../workers/io-thread.cjs', import.meta.url).href,
      minThreads: min,
      maxThreads: max,
      idleTimeout: IDLE_MS,
      concurrentTasksPerWorker: this.#tasksAThread,
      loadBalancer: spreadOver(max, this.#tasksAThread),
      stricterFIFO: true,
      // Tasks wait for ports and files: the threads' event loops have to run between them.
      atomics: 'disabled',
    })
    this.#pool.on('error', error => {
      // Of two answers that came together, the first may have been what close() waited for.
      if (!this.#closing.signal.aborted) throw error
    })
    return this.#pool
  }

  #serve(): { access: StoreAccess; close: () => void } {
    if (!this.#bucket.isHere) return { access: this.#bucket.access, close: () => {} }
    // A channel a task: tasks are few and large, and nothing is left open between them.
    const { port1, port2 } = new MessageChannel()
    const server = serveObjectStore(this.#bucket.store, port1)
    return { access: { type: 'port', port: port2 }, close: () => server.close() }
  }
}

function makesTables({ type }: IoTask): boolean {
  return type === 'buildTables' || type === 'compactTables'
}

function tasksAThread({ type }: StoreLocation): number {
  return type === 'directory' ? TASKS_A_THREAD_OF_DIRECTORIES : TASKS_A_THREAD
}

/** Tasks that are carried out at the same time, at most. */
export function tasksAtOnce(location: StoreLocation, threadsMax: number): number {
  return threadsMax * tasksAThread(location)
}

/** To an idle thread, a new one while there may be more, or the one that has the least to do. */
function spreadOver(
  threadsMax: number,
  tasksMax: number,
): NonNullable<PoolOptions['loadBalancer']> {
  return (_, workers) => {
    let least = workers.at(0) ?? null
    for (const worker of workers) {
      // Of equal ones the last: threads that are still starting come first.
      if (least === null || worker.currentUsage <= least.currentUsage) least = worker
    }
    if (least === null || least.currentUsage === 0) return least
    const isFull = least.currentUsage >= tasksMax
    // With null the pool starts a thread if it can, and keeps the task until one is ready.
    return isFull || workers.length < threadsMax ? null : least
  }
}

function bucketAt(location: StoreLocation): Bucket {
  switch (location.type) {
    case 'memory':
      return { isHere: true, store: memoryObjectStore(location.name) }
    case 'object':
      return { isHere: true, store: location.store }
    default:
      return { isHere: false, access: location }
  }
}

function closed(): MetastoreError {
  return new MetastoreError('CLOSED', 'the metastore is closed')
}
