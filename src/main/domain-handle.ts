/**
 * A domain as main sees it: its calls to the worker, reads on this thread, proposals and commits.
 *
 * Invariants
 *  1. The visible sequence is that of the newest committed batch that the worker has; it never goes
 *     back.
 *  2. A read of the newest state on this thread sees every write that was called before it: none is
 *     under way then, so the visible sequence is the newest. A snapshot's sequence is visible.
 */
import { ByteReader, ByteWriter } from '../codec/bytes.ts'
import { MetastoreError } from '../codec/errors.ts'
import type { Manifest } from '../codec/manifest.ts'
import type { Control } from '../shared/control.ts'
import { getAnswer, REQUEST } from '../shared/messages.ts'
import {
  type ArgumentsOf,
  decodeRead,
  putRead,
  type ReadName,
  type ResultOf,
} from '../shared/reads/index.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { type Call, newCall } from './calls.ts'
import { DomainBatches } from './domain-batches.ts'
import { DomainMemtables, type FrozenMemtable, type NewMemtable } from './domain-memtables.ts'
import { DomainView } from './domain-view.ts'
import { Progress } from './progress.ts'
import { ENTRY_KIND, type ReplicatedLog } from './replication/replicated-log.ts'
import type { LiveSnapshot, SnapshotRegistry } from './snapshot-registry.ts'
import type { CachedBlocks } from './storage/cached-blocks.ts'
import type { TableStore } from './storage/table-store.ts'
import { WriteThrottle } from './storage/write-throttle.ts'
import type { WorkerLink } from './worker-link.ts'
import { admitWrite } from './write-admission.ts'

export interface DomainHandleOptions {
  number: number
  uuid: string
  link: WorkerLink
  control: Control
  memtableBytesMax: number
  readsHere: boolean
  /** What DomainMemtables.allocate() made before the worker began. */
  memtables: readonly NewMemtable[]
  tables: TableStore
  /** Blocks that the worker keeps in shared memory. */
  blocks: CachedBlocks
}

export class DomainHandle {
  readonly number: number
  readonly uuid: string
  readonly link: WorkerLink
  readonly memtables: DomainMemtables
  readonly #view: DomainView
  readonly #tables: TableStore
  readonly #blocks: CachedBlocks
  readonly #readsHere: boolean
  readonly #batches = new DomainBatches()
  readonly #throttle = new WriteThrottle(() => performance.now())
  readonly #acknowledgements = new Acknowledgements(this.#throttle, () => performance.now())
  /** Bytes of the requests of writes that the worker has not answered yet. */
  #askedBytes = 0
  #failure: MetastoreError | undefined
  /** Counts times of leading: an answer to a write of an earlier one is void. 0: not leading. */
  #leadership = 0
  #leaderships = 0
  /** How often the worker has begun anew: an answer of before is void. */
  #lives = 0
  /** While the worker begins anew: reads wait, until what had taken effect before has again. */
  #rebuilding: Promise<void> | undefined
  #isPaused = false
  #endRebuilding: () => void = () => {}
  /** What took effect on this node. */
  readonly progress: Progress = new Progress()
  /** The same, for entries that this node has proposed and waits for as their leader. */
  readonly #commits = new Progress()
  /**
   * Resolves when it is certain that this node still leads; undefined: nobody else can. Rejects
   * when that does not become known.
   */
  confirm: () => Promise<unknown> | undefined = () => undefined
  /** Told when the worker has rows that will never be committed. */
  onLost: () => void = () => {}
  log: ReplicatedLog | undefined
  /** The newest sequence when this node began to lead. */
  sequenceBefore = 0
  /** The newest committed manifest. */
  manifest: Manifest | null = null
  /** Bytes of the row batches that this instance has proposed. */
  proposedBytes = 0
  /** Told of every memtable that is to be flushed. */
  onFrozen: (frozen: FrozenMemtable) => void = () => {}

  constructor(options: DomainHandleOptions) {
    const { number, link, memtableBytesMax, memtables } = options
    this.number = number
    this.uuid = options.uuid
    this.link = link
    this.memtables = new DomainMemtables(number, link, memtableBytesMax, memtables)
    this.#view = new DomainView(number, options.control, this.memtables)
    this.#tables = options.tables
    this.#blocks = options.blocks
    this.#readsHere = options.readsHere
  }

  /** How often the worker has begun anew. */
  get rebuilds(): number {
    return this.#lives
  }

  get snapshots(): SnapshotRegistry {
    return this.#view.snapshots
  }

  get visibleSequence(): number {
    return this.#view.visibleSequence
  }

  /** The last entry of this node whose rows the worker has, committed or not. */
  get insertedIndex(): number {
    return this.#batches.insertedIndex
  }

  /** Whether rows exist, or may be about to, that no committed manifest covers. */
  get hasUnflushed(): boolean {
    return (
      this.visibleSequence > (this.manifest?.lastSequence ?? 0) ||
      this.memtables.unflushedSince !== undefined ||
      this.#acknowledgements.writesUnderWay > 0 ||
      this.#batches.hasUncommitted
    )
  }

  // -------------------------------------------------------------- calls

  /** @throws through the promise: OVERLOADED before anything was sent, or the worker's answer */
  write<T>(encode: (out: ByteWriter) => void, decode: (reader: ByteReader) => T): Promise<T> {
    return this.#send(REQUEST.write, true, encode, decode)
  }

  /**
   * Answers on this thread if that needs no waiting, else on the worker.
   * @param sequence of a live snapshot; absent: the newest state
   * @throws UNAVAILABLE when another node's flush has taken no regard of the snapshot
   */
  async read<N extends ReadName>(
    name: N,
    args: ArgumentsOf<N>,
    sequence?: number,
  ): Promise<ResultOf<N>> {
    for (;;) {
      // Without a rebuild it is sent in this turn: calls take effect in the order they were made.
      while (this.#rebuilding !== undefined) await this.#rebuilding
      this.#view.expectSnapshot(sequence)
      const life = this.#lives
      try {
        return await this.#readOnce(name, args, sequence)
      } catch (error) {
        // When the worker has begun anew meanwhile the answer was void.
        if (life === this.#lives || this.#failure !== undefined) throw error
      }
    }
  }

  /**
   * Reads as of a sequence without a snapshot's promise: a row that has changed since may be the
   * one of then or none; one that has not is there.
   */
  async readUnchanged<N extends ReadName>(
    name: N,
    args: ArgumentsOf<N>,
    sequence: number,
  ): Promise<ResultOf<N>> {
    while (this.#rebuilding !== undefined) await this.#rebuilding
    return await this.#readOnce(name, args, sequence)
  }

  async #readOnce<N extends ReadName>(
    name: N,
    args: ArgumentsOf<N>,
    sequence: number | undefined,
  ): Promise<ResultOf<N>> {
    if (this.#readsHere && this.#canReadHere(sequence)) {
      const answer = this.#view.answer(name, args, this.#blocks, sequence)
      if (answer !== undefined) return answer.result
    }
    // On its way it may wait behind others: what it is to see must stay until it is answered.
    const at = sequence ?? this.#committedOnly()
    const kept = at === undefined ? undefined : this.snapshots.take(at)
    try {
      return await this.#send(
        REQUEST.read,
        false,
        out => putRead(out.varint(at === undefined ? 0 : at + 1), name, args),
        reader => decodeRead(name, reader),
      )
    } finally {
      kept?.release()
    }
  }

  /**
   * A worker answers the newest state, committed or not, and the answer waits for its commit. But
   * what a deposed leader has proposed may never be committed, nor replaced while it is alone.
   * @returns the sequence to read at then
   */
  #committedOnly(): number | undefined {
    const isDeposed = this.#leadership === 0 && this.#batches.hasUncommitted
    return isDeposed ? this.visibleSequence : undefined
  }

  /** A read of another node, as it was encoded there. @returns the answer, encoded */
  async readEncoded(read: Uint8Array): Promise<Uint8Array> {
    while (this.#rebuilding !== undefined) await this.#rebuilding
    return await this.#send(
      REQUEST.read,
      false,
      out => out.varint(0).raw(read),
      reader => reader.raw(reader.remaining).slice(),
    )
  }

  /**
   * Answers on this thread, from memory or the local cache. Sees every write that was acknowledged
   * before, and of those under way none.
   * @throws UNAVAILABLE when that needs the bucket; what the read itself throws
   */
  readSync<N extends ReadName>(name: N, args: ArgumentsOf<N>, sequence?: number): ResultOf<N> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#rebuilding !== undefined) throw this.#notLeading()
    this.#view.expectSnapshot(sequence)
    const answer = this.#view.answer(name, args, this.#blocks.withFiles, sequence)
    if (answer !== undefined) return answer.result
    throw new MetastoreError(
      'UNAVAILABLE',
      `metastore partition ${this.number}: a synchronous read cannot wait for the bucket`,
    )
  }

  /**
   * Keeps what is visible now readable, until it is released; or until another node flushes or
   * compacts, which knows of snapshots of its own only.
   */
  takeSnapshot(): LiveSnapshot {
    return this.#view.takeSnapshot()
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
      call.life = this.#lives
      encode(this.link.begin(kind, this.number, call))
      this.link.send(call)
    })
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** @throws what this node failed with */
  expectAlive(): void {
    if (this.#failure !== undefined) throw this.#failure
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
      call.leadership = this.#leadership
      call.life = this.#lives
      encode(this.link.begin(kind, this.number, call))
      this.link.send(call)
      if (!isWrite) return
      this.#acknowledgements.writesUnderWay++
      this.#askedBytes += call.requestBytes
    })
  }

  #admitWrite(): void {
    if (this.#leadership === 0 || this.#isPaused) {
      throw new MetastoreError(
        'UNAVAILABLE',
        `metastore partition ${this.number} has no leader here`,
      )
    }
    admitWrite({
      domain: this.number,
      isLogFull: this.log?.isFull === true,
      askedBytes: this.#askedBytes,
      acknowledgements: this.#acknowledgements,
      throttle: this.#throttle,
      level0Tables: this.#view.version.level0.length,
    })
  }

  /** Invariant 2; all memtables are mapped. */
  #canReadHere(sequence: number | undefined): boolean {
    return (
      (sequence !== undefined || this.#acknowledgements.writesUnderWay === 0) &&
      this.#failure === undefined &&
      this.#blocks.isWorthTrying
    )
  }

  // -------------------------------------------------------------- answers

  /** Takes out a call that the worker has answered. */
  #take(number: number): Call {
    const call = this.link.take(number)
    if (call.isWrite) this.#askedBytes -= call.requestBytes
    return call
  }

  /** An answer that changed nothing. */
  onAnswer(number: number, reader: ByteReader): void {
    const sequence = reader.varint()
    const call = this.#take(number)
    if (call.life !== this.#lives) {
      this.#acknowledgements.refuse(call, this.#notLeading())
      return
    }
    const outcome = decodeOutcome(call, reader)
    const confirmed = call.isWrite ? this.confirm() : undefined
    if (confirmed === undefined) {
      this.#acknowledgements.answered(sequence, call, outcome, this.visibleSequence)
    } else void this.#answerConfirmed(sequence, call, outcome, confirmed)
  }

  /**
   * A write that changed nothing has no commit that would tell a deposed leader apart: somebody
   * else may have committed by now what would have changed the answer.
   */
  async #answerConfirmed(
    sequence: number,
    call: Call,
    outcome: unknown,
    confirmed: Promise<unknown>,
  ): Promise<void> {
    try {
      await confirmed
    } catch {
      this.#acknowledgements.refuse(call, this.#notLeading())
      return
    }
    const isStill = call.leadership === this.#leadership && call.life === this.#lives
    if (isStill) this.#acknowledgements.answered(sequence, call, outcome, this.visibleSequence)
    else this.#acknowledgements.refuse(call, this.#notLeading())
  }

  /** A batch to replicate, with the answer that its commit releases. */
  onProposal(number: number, reader: ByteReader): void {
    const sequence = reader.varint()
    const call = this.#take(number)
    if (call.leadership !== this.#leadership) {
      this.#acknowledgements.refuse(call, this.#notLeading())
      // Its rows are in the memtable, and nobody will ever commit them.
      if (call.life === this.#lives) this.onLost()
      return
    }
    const answerEnd = reader.varint() + reader.position
    const answer = new ByteReader(reader.bytes, 'answer', reader.position, answerEnd)
    const outcome = decodeOutcome(call, answer)
    const batch = new Uint8Array(
      reader.bytes.buffer,
      reader.bytes.byteOffset + answerEnd,
      reader.end - answerEnd,
    )
    const index = this.#logged.propose(this.number, ENTRY_KIND.rows, batch)
    this.#batches.proposed(index, sequence)
    this.proposedBytes += batch.length
    this.memtables.wrote()
    this.#acknowledgements.proposed(sequence, call, outcome, batch.length)
  }

  /** The answer to manage(). */
  onManaged(number: number, reader: ByteReader): void {
    const call = this.link.take(number)
    call.resolve(call.decode(reader))
  }

  // -------------------------------------------------------------- commits

  /** Entries of this node up to `index` are committed: the worker has their rows already. */
  commitOwn(index: number): void {
    this.#makeVisible(this.#batches.committedUpTo(index) ?? 0)
  }

  /** Gives a committed batch of another node, or of an earlier life, to the worker. */
  apply(sequence: number, index: number, batch: Uint8Array): void {
    this.link.begin(REQUEST.apply, this.number, undefined).raw(batch)
    this.link.send(undefined)
    this.#batches.gave(index, sequence)
    this.memtables.wrote()
  }

  /** A committed freeze of another node: memtables end where its memtables end. */
  freeze(): void {
    void this.manage(
      REQUEST.freeze,
      () => {},
      () => undefined,
    ).catch(() => {
      // The node has failed, and everybody is told.
    })
  }

  /** Resolves when the worker has done all it was given. */
  synced(): Promise<void> {
    return this.manage(
      REQUEST.sync,
      () => {},
      () => undefined,
    )
  }

  /** Resolves when the worker has done all it was given and is ready for writes. */
  recovered(): Promise<void> {
    return this.manage(
      REQUEST.recovered,
      () => {},
      () => undefined,
    )
  }

  /** Reads on this node see everything up to `index`, whose newest batch is `sequence`. */
  tookEffect(index: number, sequence: number): void {
    this.#makeVisible(sequence)
    this.#commits.advance(index)
    this.progress.advance(index)
    if (this.#rebuilding !== undefined && index >= this.progress.index) {
      this.#rebuilding = undefined
      this.#endRebuilding()
    }
  }

  #makeVisible(sequence: number): void {
    this.#view.makeVisible(sequence)
    this.#acknowledgements.committed(this.visibleSequence)
  }

  /**
   * Resolves when the entry at `index`, which this node has proposed while it leads, is committed
   * and has taken effect. Rejects as soon as it leads no more: another entry may get the index.
   */
  committed(index: number): Promise<void> {
    if (this.#leadership === 0) return Promise.reject(this.#notLeading())
    return this.#commits.reached(index)
  }

  /** Nobody waits for a commit any more: it may come, and nothing is to follow it. */
  endCommits(reason: MetastoreError): void {
    this.#commits.fail(reason)
  }

  // -------------------------------------------------------------- leading

  /** Writes are refused, as if nobody led the domain, until it was handed over or not. */
  pauseWrites(): void {
    this.#isPaused = true
  }

  resumeWrites(): void {
    this.#isPaused = false
  }

  get isLeading(): boolean {
    return this.#leadership !== 0
  }

  /**
   * Which time of leading this is; 0 while this node does not lead, or hands the domain over. What
   * was made in another one must not be proposed.
   */
  get leadership(): number {
    return this.#isPaused ? 0 : this.#leadership
  }

  /** @param sequence the newest there is, all of it committed */
  beginLeading(sequence: number): void {
    this.#leadership = ++this.#leaderships
    this.sequenceBefore = sequence
  }

  /** No more writes. What is on its way to the log may still be committed. */
  stopLeading(reason: MetastoreError): void {
    this.#leadership = 0
    this.memtables.ensureSpare()
    this.#commits.refuse(reason)
    this.endPacing()
  }

  /** What waits for its commit is told that nobody knows. */
  abandon(reason: MetastoreError): void {
    this.#acknowledgements.fail(reason)
  }

  /** What this node has proposed and is not committed will not be, as far as it knows. */
  lose(reason: MetastoreError): void {
    this.#acknowledgements.fail(reason)
    this.#batches.loseOwn()
  }

  /** The worker begins anew. Reads wait until everything has taken effect again. */
  reset(): void {
    this.#lives++
    const life = this.memtables.reset()
    this.#batches.reset()
    this.#pace()
    this.#rebuilding ??= new Promise(resolve => {
      this.#endRebuilding = resolve
    })
    void this.manage(
      REQUEST.reset,
      out => out.varint(life),
      () => undefined,
    ).catch(() => {
      // The node has failed, and everybody is told.
    })
  }

  #notLeading(): MetastoreError {
    return new MetastoreError(
      'UNAVAILABLE',
      `metastore partition ${this.number} is not led by this node any more; nothing was written`,
    )
  }

  get #logged(): ReplicatedLog {
    if (this.log === undefined) throw new Error(`domain ${this.number} is not open yet`)
    return this.log
  }

  // -------------------------------------------------------------- memtables and tables

  /** The worker has frozen a memtable and taken the next. */
  frozeMemtable(id: number, lastSequence: number): void {
    // Of before a rebuild.
    if (!this.memtables.has(id)) return
    const isLeading = this.#leadership !== 0
    const known = this.#batches.indexOf(lastSequence)
    const index = isLeading ? this.#proposeFreeze(lastSequence) : known
    if (index === undefined) {
      this.onLost()
      return
    }
    // Committed rows must find room, whatever their number.
    const frozen = this.memtables.froze(id, lastSequence, index, !isLeading)
    // What the worker was given meanwhile is behind the frozen rows.
    if (this.#batches.hasGiven) this.memtables.wrote()
    this.#pace()
    this.onFrozen(frozen)
  }

  /** Everybody's memtables end where the leader's do. */
  #proposeFreeze(lastSequence: number): number {
    const payload = new ByteWriter(8).u64(lastSequence).view()
    const index = this.#logged.propose(this.number, ENTRY_KIND.freeze, payload)
    this.#batches.insertedIndex = index
    return index
  }

  /**
   * Makes a committed manifest the version, on the worker and here, and what it covers visible: of
   * a key that was written again since, its tables may not have what a read below it would see.
   * @param bytes the manifest, encoded
   */
  async install(manifest: Manifest, bytes: Uint8Array): Promise<void> {
    const isOwn = this.#leadership !== 0 && manifest.epoch === this.#logged.term(this.number)
    if (!isOwn) this.#view.snapshotsAreLostBelow(manifest.lastSequence)
    await this.manage(
      REQUEST.install,
      out => out.raw(bytes),
      () => undefined,
    )
    if (this.manifest !== null) this.#tables.removeGone(this.manifest, manifest)
    this.manifest = manifest
    this.#view.version = this.#tables.versionOf(this, manifest, this.#blocks)
    this.memtables.covered(manifest)
    this.#makeVisible(manifest.lastSequence)
    this.#pace()
  }

  /** Writes are slowed by how far flushes and compactions are behind. */
  #pace(): void {
    this.#throttle.update(this.#view.version.level0.length, this.memtables.frozen.length)
    if (!this.#throttle.isSlowing) this.#acknowledgements.releaseHeld()
  }

  // -------------------------------------------------------------- end

  /** Nothing more will be answered: writes under way may or may not count. */
  fail(reason: MetastoreError): void {
    this.#failure ??= reason
    this.#acknowledgements.fail(reason)
    this.#commits.fail(reason)
    this.progress.fail(reason)
    this.#rebuilding = undefined
    this.#endRebuilding()
  }

  /** Acknowledgements that are only held back are given at once. */
  endPacing(): void {
    this.#acknowledgements.releaseHeld()
  }

  /** Whether every call was answered. */
  get isIdle(): boolean {
    const { isEmpty, writesUnderWay } = this.#acknowledgements
    return isEmpty && writesUnderWay === 0 && !this.#batches.hasUncommitted
  }
}

function decodeOutcome(call: Call, reader: ByteReader): unknown {
  return getAnswer(reader, call.decode)
}
