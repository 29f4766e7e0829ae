/**
 * Main's end of one partition worker: its rings and the calls under way. Requests of a turn are
 * published together, by one store and one ring of the worker's doorbell.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { ByteWriter } from '../codec/bytes.ts'
import { MetastoreError } from '../codec/errors.ts'
import type { Control } from '../shared/control.ts'
import type { Doorbell } from '../shared/doorbell.ts'
import {
  beginRecord,
  type FetchedMessage,
  type MemtableMessage,
  type PortMessage,
  REQUEST,
  type TableMessage,
} from '../shared/messages.ts'
import { createRing, type RecordHandler, RingConsumer, RingProducer } from '../shared/ring.ts'
import type { PartitionWorkerData } from '../shared/worker-data.ts'
import { type Call, Calls } from './calls.ts'
import { type StartWorker, startWorkerThread, type WorkerThread } from './worker-thread.ts'

const RING_BYTES = 4 * 1024 * 1024
/** Bytes of requests that may be under way on one worker; past that, OVERLOADED. */
const REQUEST_BYTES_MAX = 64 * 1024 * 1024
const RETRY_AFTER_MS = 50

export type WorkerSettings = Pick<
  PartitionWorkerData,
  'clusterId' | 'domains' | 'memtableBytesMax' | 'cacheDirectory' | 'blockCache'
>

export class WorkerLink {
  readonly calls: Calls = new Calls()
  readonly #thread: WorkerThread
  readonly #port: MessagePort
  readonly #requests: RingProducer
  readonly #responses: RingConsumer
  readonly #doorbell: Doorbell
  /** Encodes one request at a time; borrowed by begin() until send(). */
  readonly #out = new ByteWriter(65_536)
  /** Records that found the ring full, in order. */
  #waiting: Uint8Array[] = []
  /** Told when #waiting is empty. */
  #onDrained: (() => void)[] = []
  #isPublishPending = false
  #requestBytes = 0

  /**
   * @param memtables each domain's first ones
   * @param onFailure the thread ended without being told to
   * @param start who carries out what the rings say; default a thread
   */
  constructor(
    worker: number,
    workers: number,
    control: Control,
    settings: WorkerSettings,
    memtables: readonly MemtableMessage[],
    onFailure: (error: MetastoreError) => void,
    start: StartWorker = startWorkerThread,
  ) {
    const requests = createRing(RING_BYTES)
    const responses = createRing(RING_BYTES)
    const { port1, port2 } = new MessageChannel()
    port1.unref()
    this.#port = port1
    for (const memtable of memtables) this.postMemtable(memtable)
    this.#requests = new RingProducer(requests)
    this.#responses = new RingConsumer(responses)
    this.#doorbell = control.workerDoorbell(worker)
    const workerData: PartitionWorkerData = {
      ...settings,
      worker,
      workers,
      requests,
      responses,
      control: control.memory,
      port: port2,
    }
    this.#thread = start(workerData, onFailure)
  }

  /** @throws OVERLOADED when too much is under way; nothing was sent then */
  admit(): void {
    if (this.#requestBytes < REQUEST_BYTES_MAX) return
    throw new MetastoreError(
      'OVERLOADED',
      `${this.#requestBytes} bytes of requests wait for their worker`,
      { details: { retryAfterMs: RETRY_AFTER_MS } },
    )
  }

  /** Whether requests wait for the ring: whoever sends in bulk should let the worker catch up. */
  get isBacklogged(): boolean {
    return this.#waiting.length > 0
  }

  /** Resolves when none does. */
  drained(): Promise<void> {
    if (!this.isBacklogged) return Promise.resolve()
    return new Promise(resolve => this.#onDrained.push(resolve))
  }

  /** Begins a request; fill it and send() it before anything else. */
  begin(kind: number, domain: number, call: Call | undefined): ByteWriter {
    return beginRecord(this.#out, kind, domain, call === undefined ? 0 : this.calls.add(call))
  }

  /** Sends what begin() began. */
  send(call: Call | undefined): void {
    const record = this.#out.view()
    if (call !== undefined) {
      call.requestBytes = record.length
      this.#requestBytes += record.length
    }
    if (this.#waiting.length > 0 || !this.#requests.push(record)) {
      this.#waiting.push(record.slice())
    }
    if (this.#isPublishPending) return
    this.#isPublishPending = true
    // After all that this turn's microtasks still send.
    queueMicrotask(() => this.#publish())
  }

  /** Hands responses to `handler`. @returns how many there were */
  drain(handler: RecordHandler): number {
    const count = this.#responses.drain(handler)
    if (this.#waiting.length > 0) this.#publish()
    return count
  }

  /** Takes out an answered call. */
  take(number: number): Call {
    const call = this.calls.take(number)
    this.#requestBytes -= call.requestBytes
    return call
  }

  postMemtable(message: MemtableMessage): void {
    this.#post(message)
  }

  postTable(message: TableMessage): void {
    this.#post(message)
  }

  postFetched(message: FetchedMessage): void {
    this.#post(message)
  }

  #post(message: PortMessage): void {
    this.#port.postMessage(message)
  }

  /** Ends the thread after what was sent; kills it when it does not end. */
  async stop(graceMs: number): Promise<void> {
    this.#thread.expectEnd()
    this.begin(REQUEST.stop, 0, undefined)
    this.send(undefined)
    this.#publish()
    await this.#thread.ended(graceMs)
    this.#port.close()
  }

  #publish(): void {
    this.#isPublishPending = false
    let sent = 0
    while (sent < this.#waiting.length && this.#requests.push(this.#waiting[sent])) sent++
    if (sent > 0) this.#waiting = this.#waiting.slice(sent)
    if (this.#waiting.length === 0) for (const tell of this.#onDrained.splice(0)) tell()
    this.#requests.publish()
    this.#doorbell.ring()
  }
}
