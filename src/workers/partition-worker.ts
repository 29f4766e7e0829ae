/**
 * A partition worker: a synchronous loop that drains the request ring, works, publishes the
 * responses and sleeps on its doorbell. It never returns to its event loop until it is told to
 * stop, so nothing here may wait for a promise.
 */
import { randomFillSync } from 'node:crypto'
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { ByteReader, ByteWriter } from '../codec/bytes.ts'
import { corruption, MetastoreError } from '../codec/errors.ts'
import { decodeManifest, encodeManifest, getTable } from '../codec/manifest.ts'
import { stampVersion4, UUID_BYTES, uuidBytes } from '../codec/uuid.ts'
import { Control } from '../shared/control.ts'
import { Memtable } from '../shared/memtable.ts'
import {
  beginRecord,
  type MemtableMessage,
  putErrorAnswer,
  REQUEST,
  RESPONSE,
} from '../shared/messages.ts'
import { answerRead } from '../shared/reads/index.ts'
import { RingConsumer, RingProducer } from '../shared/ring.ts'
import type { PartitionWorkerData } from '../shared/worker-data.ts'
import { Domain, type NumberedMemtable } from './domain/domain.ts'
import { TableCache } from './domain/table-cache.ts'

/** Records of one round: then the responses so far are published, and main works beside us. */
const RECORDS_A_ROUND = 16
/** Looks at an empty ring before sleeping: some 20 µs; waking up costs twice that and more. */
const SPINS = 2000
/** How long to sleep when a ring is full or a memtable has to come: both end by themselves. */
const PAUSE_MS = 1

class PartitionWorker {
  readonly #port: MessagePort
  readonly #requests: RingConsumer
  readonly #responses: RingProducer
  readonly #control: Control
  readonly #doorbell
  readonly #mainDoorbell
  readonly #domains = new Map<number, Domain>()
  readonly #spares = new Map<number, NumberedMemtable[]>()
  readonly #tables: TableCache
  readonly #out = new ByteWriter(65_536)
  readonly #answer = new ByteWriter(4096)
  #isStopping = false

  constructor(data: PartitionWorkerData) {
    this.#port = data.port
    this.#requests = new RingConsumer(data.requests)
    this.#responses = new RingProducer(data.responses)
    this.#control = new Control(data.control, data.workers)
    this.#doorbell = this.#control.workerDoorbell(data.worker)
    this.#mainDoorbell = this.#control.mainDoorbell()
    this.#tables = new TableCache(data.cacheDirectory, data.blockCacheBytesMax)
    const ids = randomIds()
    for (const { domain, uuid } of data.domains) {
      const active = this.#takeMemtable(domain)
      if (active === undefined) throw new Error(`domain ${domain} has no memtable`)
      const options = {
        domain,
        uuid: uuidBytes(uuid),
        clusterId: data.clusterId,
        memtableBytesMax: data.memtableBytesMax,
        tables: this.#tables,
        takeMemtable: (of: number) => this.#takeMemtable(of),
        now: Date.now,
        newId: ids,
        onFrozen: (frozenId: number, lastSequence: number, activeId: number) => {
          beginRecord(this.#out, RESPONSE.frozen, domain, 0)
          this.#out.varint(frozenId).varint(lastSequence).varint(activeId)
          this.#respond()
        },
      }
      this.#domains.set(domain, new Domain(options, active))
    }
  }

  /** Until main says stop. */
  run(): void {
    const handle = (bytes: Uint8Array, start: number, end: number): void => {
      this.#handle(new ByteReader(bytes, 'request', start, end))
    }
    while (!this.#isStopping) {
      const seen = this.#doorbell.count()
      const consumed = this.#requests.drain(handle, RECORDS_A_ROUND)
      if (consumed > 0) this.#publish()
      else if (!this.#isSoonBusy()) this.#doorbell.wait(seen)
    }
    for (const domain of this.#domains.values()) domain.close()
    this.#port.close()
  }

  #isSoonBusy(): boolean {
    for (let spins = 0; spins < SPINS; spins++) if (!this.#requests.isEmpty) return true
    return false
  }

  #handle(reader: ByteReader): void {
    const kind = reader.u8()
    const number = reader.varint()
    const call = reader.varint()
    if (kind === REQUEST.stop) {
      this.#isStopping = true
      return
    }
    const domain = this.#domains.get(number)
    if (domain === undefined) throw new Error(`domain ${number} is not on this worker`)
    try {
      if (kind === REQUEST.read) this.#read(domain, number, call, reader)
      else if (kind === REQUEST.write) this.#write(domain, number, call, reader)
      else this.#manage(domain, number, kind, call, reader)
    } catch (error) {
      this.#fail(number, call, error)
    }
  }

  #read(domain: Domain, number: number, call: number, reader: ByteReader): void {
    const out = beginRecord(this.#out, RESPONSE.answer, number, call).varint(domain.sequence)
    const view = domain.view()
    try {
      answerRead(view, reader, out)
    } finally {
      view.release()
    }
    this.#respond()
  }

  #write(domain: Domain, number: number, call: number, reader: ByteReader): void {
    const answer = this.#answer.reset().u8(0)
    let batch: Uint8Array | undefined
    try {
      batch = domain.write(reader, answer)
    } catch (error) {
      if (!(error instanceof MetastoreError)) throw error
      putErrorAnswer(answer.reset(), error)
    }
    if (batch === undefined) {
      beginRecord(this.#out, RESPONSE.answer, number, call).varint(domain.sequence)
      this.#out.raw(answer.view())
      this.#respond()
      return
    }
    beginRecord(this.#out, RESPONSE.proposal, number, call).varint(domain.sequence)
    this.#out.blob(answer.view()).raw(batch)
    this.#respond()
    domain.rotateIfFull()
  }

  #manage(domain: Domain, number: number, kind: number, call: number, reader: ByteReader): void {
    switch (kind) {
      case REQUEST.apply:
        while (!domain.apply(reader.bytes, reader.position, reader.end)) this.#pause()
        return
      case REQUEST.freeze:
        domain.freeze()
        break
      case REQUEST.recovered:
        domain.finishRecovery()
        break
      case REQUEST.install:
        domain.install(decodeManifest(reader.raw(reader.remaining).slice(), 'manifest entry'))
        break
      case REQUEST.manifest:
        beginRecord(this.#out, RESPONSE.manifest, number, call).raw(nextManifest(domain, reader))
        this.#respond()
        return
      default:
        throw corruption(`unknown request ${kind}`)
    }
    beginRecord(this.#out, RESPONSE.done, number, call).varint(domain.sequence)
    this.#respond()
  }

  /** What is not a refusal but a defect or a damaged file: main decides what becomes of it. */
  #fail(number: number, call: number, error: unknown): void {
    const known =
      error instanceof MetastoreError
        ? error
        : new MetastoreError('CORRUPTION', `the worker failed: ${describe(error)}`)
    const isOneCallOnly = error instanceof MetastoreError && call !== 0
    const kind = isOneCallOnly ? RESPONSE.answer : RESPONSE.failed
    beginRecord(this.#out, kind, number, call)
    if (isOneCallOnly) this.#out.varint(this.#domains.get(number)?.sequence ?? 0)
    putErrorAnswer(this.#out, known)
    this.#respond()
  }

  /** Pushes the record in #out; waits for main when the ring is full. */
  #respond(): void {
    const record = this.#out.view()
    while (!this.#responses.push(record)) this.#pause()
  }

  #publish(): void {
    this.#responses.publish()
    this.#mainDoorbell.ring()
  }

  /** Lets main catch up. Main never waits for a worker, so this ends. */
  #pause(): void {
    const seen = this.#doorbell.count()
    this.#publish()
    this.#doorbell.wait(seen, PAUSE_MS)
  }

  #takeMemtable(domain: number): NumberedMemtable | undefined {
    for (;;) {
      const posted = receiveMessageOnPort(this.#port)
      if (posted === undefined) break
      const message = posted.message as MemtableMessage
      const spare = { id: message.memtableId, memtable: new Memtable(message.memory) }
      const spares = this.#spares.get(message.domain)
      if (spares === undefined) this.#spares.set(message.domain, [spare])
      else spares.push(spare)
    }
    return this.#spares.get(domain)?.shift()
  }
}

function nextManifest(domain: Domain, reader: ByteReader): Uint8Array {
  const edit = {
    epoch: reader.varint(),
    version: reader.varint(),
    lastSequence: reader.varint(),
    lastIndex: reader.varint(),
    nextTableId: reader.varint(),
    createdAt: reader.varint(),
  }
  const count = reader.varint()
  const tables = Array.from({ length: count }, () => getTable(reader))
  return encodeManifest(domain.nextManifest(edit, tables))
}

/** Random UUIDs from a pool: one system call for many. */
function randomIds(): (into: Uint8Array) => void {
  const pool = new Uint8Array(UUID_BYTES * 256)
  let at = pool.length
  return into => {
    if (at === pool.length) {
      randomFillSync(pool)
      at = 0
    }
    for (let i = 0; i < UUID_BYTES; i++) into[i] = pool[at + i]
    at += UUID_BYTES
    stampVersion4(into)
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

new PartitionWorker(workerData as PartitionWorkerData).run()
