/**
 * A domain as main sees it: which of its batches are committed, which calls wait for that, and its
 * memtables, which main allocates and can read.
 *
 * Invariants
 *  1. An answer is released once the sequence it was computed at is visible, so nobody is told of
 *     rows that may still be lost.
 *  2. The visible sequence is that of the newest committed batch; it never goes back.
 *  3. #memtables maps every memtable that the worker has or can take, newest first.
 */
import { ByteReader, ByteWriter } from '../codec/bytes.ts'
import { MetastoreError } from '../codec/errors.ts'
import type { Manifest } from '../codec/manifest.ts'
import type { Control } from '../shared/control.ts'
import { Memtable } from '../shared/memtable.ts'
import { getAnswer, REQUEST } from '../shared/messages.ts'
import {
  type ArgumentsOf,
  answerRead,
  decodeRead,
  putRead,
  type ReadName,
  type ResultOf,
} from '../shared/reads/index.ts'
import { Snapshot } from '../shared/snapshot.ts'
import { type Call, unanswered } from './calls.ts'
import { Queue } from './queue.ts'
import { ENTRY_KIND, type ReplicatedLog } from './replication/replicated-log.ts'
import type { WorkerLink } from './worker-link.ts'

/** Bytes of batches that may wait for their commit; past that, OVERLOADED. */
const UNCOMMITTED_BYTES_MAX = 16 * 1024 * 1024
/** Frozen memtables that may wait for the bucket; past that, the worker gets no new one. */
const FROZEN_MAX = 4
/** Room above the size that starts a flush, for the batch that reaches it and a large one after. */
const MEMTABLE_HEADROOM_BYTES = 8 * 1024 * 1024
const RETRY_AFTER_MS = 20

interface Proposal {
  index: number
  sequence: number
  sizeBytes: number
}

interface Waiting {
  sequence: number
  call: Call
  outcome: unknown
}

export interface FrozenMemtable {
  id: number
  /** When its first row came, or when it was recovered; milliseconds since the epoch. */
  since: number
  memory: SharedArrayBuffer
  lastSequence: number
  /** No row of it is in a later entry. */
  index: number
}

interface MappedMemtable {
  id: number
  memtable: Memtable
  lastSequence: number
}

export class DomainHandle {
  readonly number: number
  readonly uuid: string
  readonly link: WorkerLink
  readonly #control: Control
  readonly #memtableBytesMax: number
  readonly #readsHere: boolean
  readonly #proposals = new Queue<Proposal>()
  readonly #waiting = new Queue<Waiting>()
  readonly #frozen: FrozenMemtable[] = []
  readonly #scratch = new ByteWriter(4096)
  #memtables: MappedMemtable[] = []
  #nextMemtableId = 1
  /** When the active memtable got its first row; undefined while it has none. */
  #activeSince: number | undefined
  #visible = 0
  #committedIndex = 0
  #uncommittedBytes = 0
  #writesUnderWay = 0
  #commitWaiters: { index: number; resolve: () => void; reject: (error: Error) => void }[] = []
  #failure: MetastoreError | undefined
  /** Set once the log is open; recovery comes before. */
  log: ReplicatedLog | undefined
  /** The newest committed manifest. */
  manifest: Manifest | null = null
  /** Told of every memtable that is to be flushed. */
  onFrozen: (frozen: FrozenMemtable) => void = () => {}

  constructor(options: {
    number: number
    uuid: string
    link: WorkerLink
    control: Control
    memtableBytesMax: number
    readsHere: boolean
    /** What newMemtable() made before the worker began. */
    memtables: { id: number; memory: SharedArrayBuffer }[]
  }) {
    this.number = options.number
    this.uuid = options.uuid
    this.link = options.link
    this.#control = options.control
    this.#memtableBytesMax = options.memtableBytesMax
    this.#readsHere = options.readsHere
    for (const { id, memory } of options.memtables) this.#map(id, memory)
    this.#nextMemtableId = options.memtables.length + 1
  }

  /** The memory of a memtable that starts a flush at `bytesMax`; the system gives pages as used. */
  static newMemtable(bytesMax: number): SharedArrayBuffer {
    return new SharedArrayBuffer(bytesMax + MEMTABLE_HEADROOM_BYTES)
  }

  get visibleSequence(): number {
    return this.#visible
  }

  get committedIndex(): number {
    return this.#committedIndex
  }

  get frozen(): readonly FrozenMemtable[] {
    return this.#frozen
  }

  /** When the oldest row came that no committed manifest covers; undefined when there is none. */
  get unflushedSince(): number | undefined {
    return this.#frozen.at(0)?.since ?? this.#activeSince
  }

  get memtableBytes(): number {
    return this.#memtables.reduce(
      (sum, { memtable }) => sum + (memtable.rowCount === 0 ? 0 : memtable.usedBytes),
      0,
    )
  }

  // -------------------------------------------------------------- calls

  /** @throws through the promise: OVERLOADED before anything was sent, or the worker's answer */
  write<T>(encode: (out: ByteWriter) => void, decode: (reader: ByteReader) => T): Promise<T> {
    return this.#send(REQUEST.write, true, encode, decode)
  }

  /** Answers on this thread if that needs no waiting, else on the worker. */
  async read<N extends ReadName>(name: N, args: ArgumentsOf<N>): Promise<ResultOf<N>> {
    if (this.#readsHere && this.#canReadHere()) return this.#readHere(name, args)
    return this.#send(
      REQUEST.read,
      false,
      out => putRead(out, name, args),
      reader => decodeRead(name, reader),
    )
  }

  /** A request about the domain itself; its answer waits for no commit. */
  manage<T>(
    kind: number,
    encode: (out: ByteWriter) => void,
    decode: (reader: ByteReader) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure
      const call = newCall(resolve as (value: unknown) => void, reject, decode, false)
      encode(this.link.begin(kind, this.number, call))
      this.link.send(call)
    })
  }

  /** @throws what this node failed with */
  expectAlive(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Recovery: hands a committed batch to the worker. */
  apply(sequence: number, batch: Uint8Array): void {
    this.link.begin(REQUEST.apply, this.number, undefined).raw(batch)
    this.link.send(undefined)
    this.#visible = sequence
    this.#activeSince ??= Date.now()
  }

  #send<T>(
    kind: number,
    isWrite: boolean,
    encode: (out: ByteWriter) => void,
    decode: (reader: ByteReader) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure
      this.link.admit()
      if (isWrite) this.#admitWrite()
      const call = newCall(resolve as (value: unknown) => void, reject, decode, isWrite)
      encode(this.link.begin(kind, this.number, call))
      this.link.send(call)
      if (isWrite) this.#writesUnderWay++
    })
  }

  #admitWrite(): void {
    if (this.#uncommittedBytes < UNCOMMITTED_BYTES_MAX) return
    throw new MetastoreError(
      'OVERLOADED',
      `metastore partition ${this.number}: ${this.#uncommittedBytes} bytes wait for their commit`,
      { details: { retryAfterMs: RETRY_AFTER_MS } },
    )
  }

  /** Without writes under way the visible sequence is the newest, and all memtables are mapped. */
  #canReadHere(): boolean {
    return (
      this.#writesUnderWay === 0 &&
      this.#failure === undefined &&
      (this.manifest === null || this.manifest.tables.length === 0)
    )
  }

  #readHere<N extends ReadName>(name: N, args: ArgumentsOf<N>): ResultOf<N> {
    const out = this.#scratch.reset()
    putRead(out, name, args)
    const answerStart = out.length
    const memtables = this.#memtables.map(({ memtable }) => memtable)
    // The request's bytes stay readable while the answer is appended: growing copies them.
    const request = new ByteReader(out.bytes, 'request', 0, answerStart)
    answerRead(new Snapshot(memtables, [], this.#visible), request, out)
    const outcome = getAnswer(
      new ByteReader(out.bytes, 'answer', answerStart, out.length),
      reader => decodeRead(name, reader),
    )
    if (outcome instanceof MetastoreError) throw outcome
    return outcome
  }

  // -------------------------------------------------------------- answers

  /** An answer that changed nothing. */
  onAnswer(number: number, reader: ByteReader): void {
    const sequence = reader.varint()
    const call = this.link.take(number)
    this.#settle(sequence, call, decodeOutcome(call, reader))
  }

  /** A batch to replicate, with the answer that its commit releases. */
  onProposal(number: number, reader: ByteReader): void {
    const sequence = reader.varint()
    const call = this.link.take(number)
    const answerEnd = reader.varint() + reader.position
    const answer = new ByteReader(reader.bytes, 'answer', reader.position, answerEnd)
    const outcome = decodeOutcome(call, answer)
    const batch = new Uint8Array(
      reader.bytes.buffer,
      reader.bytes.byteOffset + answerEnd,
      reader.end - answerEnd,
    )
    const index = this.#logged.propose(this.number, ENTRY_KIND.rows, batch)
    this.#proposals.push({ index, sequence, sizeBytes: batch.length })
    this.#uncommittedBytes += batch.length
    this.#activeSince ??= Date.now()
    this.#waiting.push({ sequence, call, outcome })
  }

  /** The answer to manage(). */
  onManaged(number: number, reader: ByteReader): void {
    const call = this.link.take(number)
    call.resolve(call.decode(reader))
  }

  #settle(sequence: number, call: Call, outcome: unknown): void {
    if (sequence <= this.#visible && this.#waiting.length === 0) this.#release(call, outcome)
    else this.#waiting.push({ sequence, call, outcome })
  }

  #release(call: Call, outcome: unknown): void {
    if (call.isWrite) this.#writesUnderWay--
    if (outcome instanceof MetastoreError) call.reject(outcome)
    else call.resolve(outcome)
  }

  // -------------------------------------------------------------- commits

  onCommit(index: number): void {
    this.#committedIndex = index
    let visible = this.#visible
    for (let next = this.#proposals.peek(); next !== undefined; next = this.#proposals.peek()) {
      if (next.index > index) break
      this.#proposals.shift()
      visible = next.sequence
      this.#uncommittedBytes -= next.sizeBytes
    }
    this.makeVisible(visible)
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      if (next.sequence > visible) break
      this.#waiting.shift()
      this.#release(next.call, next.outcome)
    }
    if (this.#commitWaiters.length > 0) this.#wakeCommitWaiters()
  }

  makeVisible(sequence: number): void {
    this.#visible = sequence
    this.#control.advanceVisible(this.number, sequence)
  }

  /** Resolves when the entry at `index` is committed. */
  committed(index: number): Promise<void> {
    if (index <= this.#committedIndex) return Promise.resolve()
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => this.#commitWaiters.push({ index, resolve, reject }))
  }

  #wakeCommitWaiters(): void {
    const due = this.#commitWaiters.filter(({ index }) => index <= this.#committedIndex)
    this.#commitWaiters = this.#commitWaiters.filter(({ index }) => index > this.#committedIndex)
    for (const { resolve } of due) resolve()
  }

  /** Recovery ends: the log takes over at `index`. */
  begin(log: ReplicatedLog, index: number): void {
    this.log = log
    this.#committedIndex = index
    this.makeVisible(Math.max(this.#visible, this.manifest?.lastSequence ?? 0))
  }

  get #logged(): ReplicatedLog {
    if (this.log === undefined) throw new Error(`domain ${this.number} is not open yet`)
    return this.log
  }

  // -------------------------------------------------------------- memtables

  /**
   * The worker has frozen a memtable and taken the next.
   * @param indexOf in recovery: the log index of a sequence; then the entry is in the log already
   */
  frozeMemtable(id: number, lastSequence: number, indexOf?: (sequence: number) => number): void {
    const mapped = this.#memtables.find(known => known.id === id)
    if (mapped === undefined) throw new Error(`memtable ${id} is not known`)
    mapped.lastSequence = lastSequence
    const index =
      indexOf === undefined
        ? this.#logged.propose(
            this.number,
            ENTRY_KIND.freeze,
            new ByteWriter(8).u64(lastSequence).view(),
          )
        : indexOf(lastSequence)
    const since = this.#activeSince ?? Date.now()
    this.#activeSince = undefined
    const frozen = { id, since, memory: mapped.memtable.memory, lastSequence, index }
    this.#frozen.push(frozen)
    // In recovery the rows are committed whatever their number: they must find room.
    if (this.#frozen.length < FROZEN_MAX || indexOf !== undefined) this.#postMemtable()
    this.onFrozen(frozen)
  }

  /** A committed manifest is installed: what it covers is in tables now. */
  installed(manifest: Manifest): void {
    this.manifest = manifest
    const wasFull = this.#frozen.length >= FROZEN_MAX
    const { lastSequence } = manifest
    const covered = this.#frozen.filter(frozen => frozen.lastSequence <= lastSequence)
    this.#frozen.splice(0, covered.length)
    this.#memtables = this.#memtables.filter(known => known.lastSequence > lastSequence)
    if (wasFull && this.#frozen.length < FROZEN_MAX) this.#postMemtable()
  }

  #postMemtable(): void {
    const memory = DomainHandle.newMemtable(this.#memtableBytesMax)
    const id = this.#nextMemtableId++
    this.#map(id, memory)
    this.link.postMemtable({ domain: this.number, memtableId: id, memory })
  }

  #map(id: number, memory: SharedArrayBuffer): void {
    const lastSequence = Number.POSITIVE_INFINITY
    this.#memtables.unshift({ id, memtable: new Memtable(memory), lastSequence })
  }

  // -------------------------------------------------------------- end

  /** Nothing more will be answered: writes under way may or may not count. */
  fail(reason: MetastoreError): void {
    this.#failure ??= reason
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      next.call.reject(unanswered(next.call.isWrite, reason))
    }
    const waiters = this.#commitWaiters
    this.#commitWaiters = []
    for (const { reject } of waiters) reject(reason)
  }

  /** Whether every call was answered. */
  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#proposals.length === 0
  }
}

function newCall(
  resolve: (value: unknown) => void,
  reject: (error: Error) => void,
  decode: (reader: ByteReader) => unknown,
  isWrite: boolean,
): Call {
  return { resolve, reject, decode, requestBytes: 0, isWrite }
}

function decodeOutcome(call: Call, reader: ByteReader): unknown {
  return getAnswer(reader, call.decode)
}
