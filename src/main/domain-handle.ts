/**
 * A domain as main sees it: its writes on their way from the worker to the log, what commits make
 * of them, and its memtables and tables.
 *
 * Invariant: the visible sequence is that of the newest committed batch that the worker has; it
 * never goes back.
 */
import { ByteReader, ByteWriter } from '../codec/bytes.ts'
import { MetastoreError } from '../codec/errors.ts'
import type { Manifest } from '../codec/manifest.ts'
import type { Control } from '../shared/control.ts'
import { getAnswer, REQUEST } from '../shared/messages.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { type Call, newCall } from './calls.ts'
import { DomainBatches } from './domain-batches.ts'
import { DomainCalls } from './domain-calls.ts'
import { DomainMemtables, type FrozenMemtable, type NewMemtable } from './domain-memtables.ts'
import { DomainReads } from './domain-reads.ts'
import { DomainView } from './domain-view.ts'
import { Progress } from './progress.ts'
import { ENTRY_KIND, type ReplicatedLog } from './replication/replicated-log.ts'
import type { SnapshotRegistry } from './snapshot-registry.ts'
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
  readonly reads: DomainReads
  readonly #calls: DomainCalls
  readonly #view: DomainView
  readonly #tables: TableStore
  readonly #blocks: CachedBlocks
  readonly #batches = new DomainBatches()
  readonly #throttle = new WriteThrottle(() => performance.now())
  readonly #acknowledgements = new Acknowledgements(this.#throttle, () => performance.now())
  /** Bytes of the requests of writes that the worker has not answered yet. */
  #askedBytes = 0
  /** Counts times of leading: an answer to a write of an earlier one is void. 0: not leading. */
  #leadership = 0
  #leaderships = 0
  #isPaused = false
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
    this.#calls = new DomainCalls(number, link)
    this.#view = new DomainView(number, options.control, this.memtables)
    this.#tables = options.tables
    this.#blocks = options.blocks
    this.reads = new DomainReads({
      domain: number,
      calls: this.#calls,
      view: this.#view,
      blocks: options.blocks,
      readsHere: options.readsHere,
      hasWritesUnderWay: () => this.#acknowledgements.writesUnderWay > 0,
      hasDoubtfulRows: () => this.#leadership === 0 && this.#batches.hasUncommitted,
    })
  }

  /** How often the worker has begun anew. */
  get rebuilds(): number {
    return this.#calls.lives
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
    return new Promise((resolve, reject) => {
      this.#calls.admit()
      this.#admitWrite()
      const call = newCall(resolve as (value: unknown) => void, reject, decode, true)
      call.leadership = this.#leadership
      this.#calls.send(REQUEST.write, call, encode)
      this.#acknowledgements.writesUnderWay++
      this.#askedBytes += call.requestBytes
    })
  }

  /** A request about the domain itself; its answer waits for no commit. */
  manage<T>(
    kind: number,
    encode: (out: ByteWriter) => void,
    decode: (reader: ByteReader) => T,
  ): Promise<T> {
    return this.#calls.manage(kind, encode, decode)
  }

  get hasFailed(): boolean {
    return this.#calls.hasFailed
  }

  /** @throws what this node failed with */
  expectAlive(): void {
    this.#calls.expectAlive()
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
    if (!this.#calls.isOfThisLife(call)) {
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
    const isStill = call.leadership === this.#leadership && this.#calls.isOfThisLife(call)
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
      if (this.#calls.isOfThisLife(call)) this.onLost()
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
    if (index >= this.progress.index) this.#calls.endRebuilding()
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
    this.#calls.beginRebuilding()
    const life = this.memtables.reset()
    this.#batches.reset()
    this.#pace()
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
    this.#calls.fail(reason)
    this.#acknowledgements.fail(reason)
    this.#commits.fail(reason)
    this.progress.fail(reason)
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
