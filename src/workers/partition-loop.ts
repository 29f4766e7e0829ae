/**
 * What a partition worker does with its rings, a round at a time; who calls it, and when, is the
 * thread's (partition-worker.ts) or a simulation's. Nothing here may wait for a promise: a request
 * that needs what only main can bring is parked (parked-requests.ts).
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { ByteReader, ByteWriter } from '../codec/bytes.ts'
import { corruption, MetastoreError } from '../codec/errors.ts'
import { decodeManifest, encodeManifest, putTable } from '../codec/manifest.ts'
import { uuidBytes } from '../codec/uuid.ts'
import { Control } from '../shared/control.ts'
import { Memtable } from '../shared/memtable.ts'
import {
  beginRecord,
  getError,
  type PortMessage,
  putErrorAnswer,
  REQUEST,
  RESPONSE,
} from '../shared/messages.ts'
import { answerRead } from '../shared/reads/index.ts'
import { RingConsumer, RingProducer } from '../shared/ring.ts'
import type { Snapshot } from '../shared/snapshot.ts'
import { BlockCache } from '../shared/tables/block-cache.ts'
import { Carried } from '../shared/tables/carried.ts'
import { TableFiles } from '../shared/tables/table-files.ts'
import { ColdRead } from '../shared/tables/table-handle.ts'
import type { PartitionWorkerData } from '../shared/worker-data.ts'
import { Domain, type NumberedMemtable } from './domain/domain.ts'
import { putJob, readEdit } from './domain/edit-messages.ts'
import { TableRegistry } from './domain/table-registry.ts'
import { type Fetch, type ParkedRequest, ParkedRequests } from './parked-requests.ts'

/** Records of one round: then the responses so far are published, and main works beside us. */
const RECORDS_A_ROUND = 16
const NOT_LEADING = 'this node does not lead the metastore partition any more'

export interface PartitionLoopOptions {
  readonly data: PartitionWorkerData
  /** Fills in a random UUID. */
  readonly newId: (into: Uint8Array) => void
  /**
   * Lets main work for a moment, in the middle of a request: a ring is full, or a memtable has to
   * come. What was done so far is published, and main's doorbell was rung.
   * @param seen the worker's doorbell before that
   */
  readonly waitForMain: (seen: number) => void
}

interface SpareMemtable extends NumberedMemtable {
  /** Of the domain in which it may be taken. */
  life: number
}

export class PartitionLoop {
  readonly #waitForMain: (seen: number) => void
  readonly #port: MessagePort
  readonly #requests: RingConsumer
  readonly #responses: RingProducer
  readonly #control: Control
  readonly #doorbell
  readonly #mainDoorbell
  readonly #domains = new Map<number, Domain>()
  readonly #spares = new Map<number, SpareMemtable[]>()
  readonly #files: TableFiles
  readonly #tables: TableRegistry
  readonly #parked: ParkedRequests
  /** Of each domain whose write is parked: the requests that came after it, in order. */
  readonly #heldBack = new Map<number, ParkedRequest[]>()
  /** What fetches have brought, until the record comes that says so. */
  readonly #fetched = new Map<number, SharedArrayBuffer>()
  readonly #out = new ByteWriter(65_536)
  readonly #answer = new ByteWriter(4096)
  /** Whether main has said stop. */
  isStopping = false

  constructor({ data, newId, waitForMain }: PartitionLoopOptions) {
    this.#waitForMain = waitForMain
    this.#port = data.port
    this.#requests = new RingConsumer(data.requests)
    this.#responses = new RingProducer(data.responses)
    this.#control = new Control(data.control, data.workers)
    this.#doorbell = this.#control.workerDoorbell(data.worker)
    this.#mainDoorbell = this.#control.mainDoorbell()
    this.#files = new TableFiles(data.cacheDirectory, new BlockCache(data.blockCache))
    this.#tables = new TableRegistry(this.#files)
    this.#parked = new ParkedRequests((fetch, domain) => this.#sendFetch(fetch, domain))
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
        newId,
        onFrozen: (frozenId: number, lastSequence: number, activeId: number) => {
          beginRecord(this.#out, RESPONSE.frozen, domain, 0)
          this.#out.varint(frozenId).varint(lastSequence).varint(activeId)
          this.#respond()
        },
      }
      this.#domains.set(domain, new Domain(options, active))
    }
  }

  /** Whether no request waits; may be late. */
  get isIdle(): boolean {
    return this.#requests.isEmpty
  }

  /** A round: some of the requests that wait. @returns whether there were any */
  work(): boolean {
    const consumed = this.#requests.drain(this.#onRecord, RECORDS_A_ROUND)
    if (consumed > 0) this.#publish()
    return consumed > 0
  }

  close(): void {
    this.#files.close()
    this.#port.close()
  }

  readonly #onRecord = (bytes: Uint8Array, start: number, end: number): void => {
    this.#handle(new ByteReader(bytes, 'request', start, end))
  }

  // -------------------------------------------------------------- requests

  #handle(reader: ByteReader): void {
    const kind = reader.u8()
    const number = reader.varint()
    const call = reader.varint()
    switch (kind) {
      case REQUEST.stop:
        this.isStopping = true
        return
      case REQUEST.fetched:
        this.#onFetched(reader)
        return
      case REQUEST.forget:
        this.#forget(reader)
        return
    }
    const heldBack = this.#heldBack.get(number)
    if (heldBack !== undefined && (kind === REQUEST.read || kind === REQUEST.write)) {
      heldBack.push(this.#copyOf(kind, number, call, reader))
    } else {
      this.#run(kind, number, call, reader, undefined)
    }
  }

  /**
   * Runs a request, or parks it when it misses a part of a table.
   * @param parked the request, if it was copied before
   * @returns whether it was answered
   */
  #run(
    kind: number,
    number: number,
    call: number,
    reader: ByteReader,
    parked: ParkedRequest | undefined,
  ): boolean {
    const domain = this.#domains.get(number)
    if (domain === undefined) throw new Error(`domain ${number} is not on this worker`)
    const start = reader.position
    this.#files.beginRequest(parked?.carried)
    let view = parked?.view
    try {
      if (kind === REQUEST.read) {
        const after = reader.varint()
        view ??= after === 0 ? domain.view() : domain.view(after - 1)
        this.#read(view, number, call, reader)
      } else if (kind === REQUEST.write) this.#write(domain, number, call, reader)
      else this.#manage(domain, number, kind, call, reader)
    } catch (error) {
      if (error instanceof ColdRead) {
        reader.position = start
        const request = parked ?? this.#copyOf(kind, number, call, reader)
        request.view = view
        if (kind === REQUEST.write) this.#holdBack(number)
        this.#parked.park(request, error)
        return false
      }
      this.#fail(number, call, error)
    } finally {
      view?.release()
    }
    return true
  }

  #read(view: Snapshot, number: number, call: number, reader: ByteReader): void {
    const out = beginRecord(this.#out, RESPONSE.answer, number, call).varint(view.sequence)
    answerRead(view, reader, out)
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
        this.#apply(domain, number, reader)
        return
      case REQUEST.freeze:
        domain.freeze()
        break
      case REQUEST.recovered:
        domain.finishRecovery()
        break
      case REQUEST.sync:
        break
      case REQUEST.reset:
        this.#reset(domain, number, reader.varint())
        break
      case REQUEST.install:
        this.#takePosted()
        domain.install(decodeManifest(reader.raw(reader.remaining).slice(), 'manifest entry'))
        break
      case REQUEST.manifest: {
        const manifest = encodeManifest(domain.nextManifest(readEdit(reader)))
        beginRecord(this.#out, RESPONSE.manifest, number, call).raw(manifest)
        this.#respond()
        return
      }
      case REQUEST.pick:
        beginRecord(this.#out, RESPONSE.picked, number, call)
        putJob(this.#out, domain.pick(reader.u8() === 1))
        this.#respond()
        return
      default:
        throw corruption(`unknown request ${kind}`)
    }
    beginRecord(this.#out, RESPONSE.done, number, call).varint(domain.sequence)
    this.#respond()
  }

  /** Waits for a memtable if there is none, unless main has begun another life of the domain. */
  #apply(domain: Domain, number: number, reader: ByteReader): void {
    while (!domain.isVoid && !domain.apply(reader.bytes, reader.position, reader.end)) {
      const newest = this.#spares.get(number)?.at(-1)
      if (newest !== undefined && newest.life > domain.resets) domain.isVoid = true
      else this.#pause()
    }
  }

  /** What is not a refusal but a defect or a damaged file: main decides what becomes of it. */
  #fail(number: number, call: number, error: unknown): void {
    const known =
      error instanceof MetastoreError
        ? error
        : new MetastoreError('CORRUPTION', `the worker failed: ${describe(error)}`)
    if (error instanceof MetastoreError && call !== 0) this.#refuse(number, call, error)
    else {
      putErrorAnswer(beginRecord(this.#out, RESPONSE.failed, number, call), known)
      this.#respond()
    }
  }

  #refuse(number: number, call: number, error: MetastoreError): void {
    beginRecord(this.#out, RESPONSE.answer, number, call)
    putErrorAnswer(this.#out.varint(this.#domains.get(number)?.sequence ?? 0), error)
    this.#respond()
  }

  // -------------------------------------------------------------- parked requests

  #holdBack(number: number): void {
    if (!this.#heldBack.has(number)) this.#heldBack.set(number, [])
  }

  #onFetched(reader: ByteReader): void {
    const id = reader.varint()
    if (reader.u8() === 0) {
      reader.u8()
      const error = getError(reader)
      for (const request of this.#parked.failed(id)) {
        this.#refuse(request.domain, request.call, error)
        this.#goOn(request)
      }
      return
    }
    this.#takePosted()
    const memory = this.#fetched.get(id)
    if (memory === undefined) throw new Error(`fetch ${id} has brought nothing`)
    this.#fetched.delete(id)
    for (const request of this.#parked.arrived(id, memory)) {
      if (this.#runAgain(request)) this.#goOn(request)
    }
  }

  #runAgain(request: ParkedRequest): boolean {
    const { kind, domain, call, bytes, resets } = request
    if (kind === REQUEST.write && resets !== this.#domains.get(domain)?.resets) {
      // Who led the domain when it came does so no more: nothing was written.
      this.#refuse(domain, call, new MetastoreError('UNAVAILABLE', NOT_LEADING))
      return true
    }
    return this.#run(kind, domain, call, new ByteReader(bytes, 'request'), request)
  }

  /** After a write that was parked: what came behind it, up to the next write that is. */
  #goOn({ kind, domain }: ParkedRequest): void {
    const heldBack = this.#heldBack.get(domain)
    if (kind !== REQUEST.write || heldBack === undefined) return
    for (let next = heldBack.shift(); next !== undefined; next = heldBack.shift()) {
      if (!this.#runAgain(next) && next.kind === REQUEST.write) return
    }
    this.#heldBack.delete(domain)
  }

  /** A copy of a request that has to wait. */
  #copyOf(kind: number, domain: number, call: number, reader: ByteReader): ParkedRequest {
    const bytes = reader.bytes.slice(reader.position, reader.end)
    const resets = this.#domains.get(domain)?.resets ?? 0
    return {
      ...{ kind, domain, resets, call, bytes },
      ...{ view: undefined, carried: new Carried(), misses: 0 },
    }
  }

  #reset(domain: Domain, number: number, life: number): void {
    const active = this.#takeMemtable(number, life)
    if (active === undefined) throw new Error('no memtable for a reset')
    domain.reset(active, life)
  }

  #sendFetch({ id, table, offset, length, isDamaged }: Fetch, domain: number): void {
    beginRecord(this.#out, RESPONSE.fetch, domain, 0)
      .varint(id)
      .u8(isDamaged ? 1 : 0)
      .varint(offset)
      .varint(length)
    putTable(this.#out, table.description)
    this.#respond()
  }

  #forget(reader: ByteReader): void {
    const isMemory = reader.u8() === 1
    const table = reader.text()
    if (isMemory) this.#tables.forgetMemory(table)
    else this.#files.closeFile(table)
  }

  // -------------------------------------------------------------- flow

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
    this.#waitForMain(seen)
  }

  /** Those of an earlier life are void, and those of the next must not have rows of this one. */
  #takeMemtable(
    domain: number,
    life: number = this.#domains.get(domain)?.resets ?? 0,
  ): NumberedMemtable | undefined {
    this.#takePosted()
    const spares = this.#spares.get(domain) ?? []
    while (spares.length > 0 && spares[0].life < life) spares.shift()
    return spares.at(0)?.life === life ? spares.shift() : undefined
  }

  #takePosted(): void {
    for (;;) {
      const posted = receiveMessageOnPort(this.#port)
      if (posted === undefined) return
      const message = posted.message as PortMessage
      if ('table' in message) this.#tables.posted(message.table, message.memory)
      else if ('fetch' in message) this.#fetched.set(message.fetch, message.memory)
      else {
        const { life, memtableId: id, memory } = message
        const spare = { life, id, memtable: new Memtable(memory) }
        const spares = this.#spares.get(message.domain)
        if (spares === undefined) this.#spares.set(message.domain, [spare])
        else spares.push(spare)
      }
    }
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
