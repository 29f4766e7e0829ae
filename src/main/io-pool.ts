/**
 * Main's side of the I/O pool: piscina threads that encode tables and talk to the bucket. They are
 * started by the first task that needs one.
 */
import { setMaxListeners } from 'node:events'
import { resolve } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { MetastoreError } from '../codec/errors.ts'
import type { IoAnswer, IoRequest, IoResults, IoTask, StoreAccess } from '../shared/io-tasks.ts'
import type { ObjectStore } from '../shared/object-store.ts'
import { isObjectTask, runObjectTask } from '../shared/object-tasks.ts'
import { memoryObjectStore } from './object-stores/memory-registry.ts'
import { serveObjectStore } from './object-stores/serve-object-store.ts'

const TASK_DEADLINE_MS = 30_000

/** Whoever carries out tasks of the pool: what is asked of IoPool while it is open. */
export type IoRunner = Pick<IoPool, 'run'>

export class IoPool {
  readonly #threads: { min: number; max: number }
  #pool: Piscina | undefined
  /** The bucket, where it lives on this thread. */
  readonly #local: ObjectStore | undefined
  readonly #root: string
  readonly #closing = new AbortController()

  constructor(objectStore: string | ObjectStore, threads: { min: number; max: number }) {
    const isFile = typeof objectStore === 'string' && objectStore.startsWith('file:')
    this.#root = isFile ? resolve(objectStore.slice('file:'.length)) : ''
    if (!isFile) {
      this.#local =
        typeof objectStore === 'string'
          ? memoryObjectStore(objectStore.slice('memory:'.length))
          : objectStore
    }
    // Every task that waits or runs listens; Node warns from eleven on.
    setMaxListeners(0, this.#closing.signal)
    this.#threads = threads
  }

  /** @throws CLOSED after close(), else what the task threw */
  async run<T extends IoTask>(task: T): Promise<IoResults[T['type']]> {
    const { signal } = this.#closing
    if (signal.aborted) throw closed()
    try {
      if (this.#local !== undefined && isObjectTask(task)) {
        const options = { deadlineMs: TASK_DEADLINE_MS, signal }
        return (await runObjectTask(task, this.#local, options)) as IoResults[T['type']]
      }
      return await this.#runOnThread(task)
    } catch (error) {
      throw signal.aborted ? closed() : error
    }
  }

  async #runOnThread<T extends IoTask>(task: T): Promise<IoResults[T['type']]> {
    const served = this.#serve()
    const request: IoRequest = { task, store: served.access, deadlineMs: TASK_DEADLINE_MS }
    try {
      const { signal } = this.#closing
      const transferList = served.access.type === 'port' ? [served.access.port] : []
      const answer = (await this.#started().run(request, { signal, transferList })) as IoAnswer
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
    this.#pool ??= new Piscina({
      filename: new URL('../workers/io-worker.js', import.meta.url).href,
      minThreads: this.#threads.min,
      maxThreads: this.#threads.max,
      // Tasks wait for ports and files: the threads' event loops have to run between them.
      atomics: 'disabled',
    })
    return this.#pool
  }

  #serve(): { access: StoreAccess; close: () => void } {
    const store = this.#local
    if (store === undefined) {
      return { access: { type: 'directory', root: this.#root }, close: () => {} }
    }
    // A channel a task: tasks are few and large, and nothing is left open between them.
    const { port1, port2 } = new MessageChannel()
    const server = serveObjectStore(store, port1)
    return { access: { type: 'port', port: port2 }, close: () => server.close() }
  }
}

function closed(): MetastoreError {
  return new MetastoreError('CLOSED', 'the metastore is closed')
}
