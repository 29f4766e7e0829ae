/**
 * A domain on its worker: memtables, version and state machine, one writer for all of them.
 *
 * Invariants
 *  1. `sequence` is that of the newest batch inserted, committed or not; the next one gets
 *     sequence + 1, and its rows are validated against all before it.
 *  2. A batch is wholly in one memtable: room is made before its first row goes in.
 *  3. Memtables are frozen between batches. A frozen one holds no row above its last sequence, and
 *     stays readable until a committed manifest covers it.
 */
import type { ByteReader, ByteWriter } from '../../codec/bytes.ts'
import { corruption, invalidRequest, MetastoreError } from '../../codec/errors.ts'
import { LOG_PAYLOAD_BYTES_MAX } from '../../codec/log-format.ts'
import type { Manifest, TableDescription } from '../../codec/manifest.ts'
import { RowBatchBuilder, RowBatchReader } from '../../codec/row-batch.ts'
import { formatUuid } from '../../codec/uuid.ts'
import type { Memtable } from '../../shared/memtable.ts'
import { Snapshot } from '../../shared/snapshot.ts'
import { Version } from '../../shared/version.ts'
import {
  addFlushed,
  applyCompaction,
  type CompactionJob,
  pickCompaction,
  pickFullCompaction,
} from './compaction-picker.ts'
import { RequestLedger } from './request-ledger.ts'
import { executeWrite } from './state-machine.ts'
import type { TableRegistry } from './table-registry.ts'

/** What a caller may try again after, when memtables wait for the bucket. */
const RETRY_AFTER_MS = 250

export interface NumberedMemtable {
  id: number
  memtable: Memtable
}

/** What main says of the next manifest. */
export interface ManifestEdit
  extends Pick<Manifest, 'epoch' | 'version' | 'nextTableId' | 'createdAt'> {
  /** Of a flush: up to where the tables replace the log. Absent for a compaction. */
  flushed: Pick<Manifest, 'lastSequence' | 'lastIndex'> | undefined
  /** Of a flush, newest first; or what the job that was picked last came to. */
  tables: TableDescription[]
}

interface FrozenMemtable extends NumberedMemtable {
  lastSequence: number
}

export interface DomainOptions {
  /** Number of the domain. */
  domain: number
  /** Its uuid, 16 bytes. */
  uuid: Uint8Array
  clusterId: string
  memtableBytesMax: number
  tables: TableRegistry
  /** A memtable that main has posted, or undefined when there is none now. */
  takeMemtable: (domain: number) => NumberedMemtable | undefined
  now: () => number
  newId: (into: Uint8Array) => void
  /** Told after the batch that filled a memtable was answered. */
  onFrozen: (frozenId: number, lastSequence: number, activeId: number) => void
}

export class Domain {
  readonly #options: DomainOptions
  readonly #rows = new RowBatchBuilder()
  readonly #batch = new RowBatchReader()
  #ledger = new RequestLedger()
  #version = Version.EMPTY
  #active: NumberedMemtable
  /** Newest first. */
  #frozen: FrozenMemtable[] = []
  /** Newest first: the active one, then the frozen ones. */
  #memtables: Memtable[]
  #manifest: Manifest | null = null
  /** What reset() has taken the place of: its tables are let go with the next manifest. */
  #manifestBefore: Manifest | null = null
  /** What pick() gave last; main has at most one job of a domain under way. */
  #job: CompactionJob | undefined
  #sequence = 0
  /** How often it has begun anew. */
  resets = 0
  /** Main has given this life of it up: what is applied before the next one counts for nothing. */
  isVoid = false

  /** @param active the first memtable, empty */
  constructor(options: DomainOptions, active: NumberedMemtable) {
    this.#options = options
    this.#active = active
    this.#memtables = [active.memtable]
  }

  get sequence(): number {
    return this.#sequence
  }

  /**
   * The newest state, uncommitted batches included, or that at a sequence which main keeps alive.
   * To be released at the end of the request.
   */
  view(sequence: number = this.#sequence): Snapshot {
    return new Snapshot(this.#memtables, this.#version, sequence)
  }

  /**
   * Validates a write, inserts its rows above the visible sequence and appends its answer to `out`.
   * @returns the batch to replicate, borrowed until the next write; undefined when nothing changes
   * @throws MetastoreError when the write is refused; nothing is changed then
   */
  write(reader: ByteReader, out: ByteWriter): Uint8Array | undefined {
    const rows = this.#rows.begin(this.#options.uuid, this.#sequence + 1)
    const { now, newId } = this.#options
    const view = this.view()
    this.#ledger.discard()
    try {
      executeWrite({ view, rows, now: now(), newId }, this.#ledger, reader, out)
    } finally {
      view.release()
    }
    if (rows.count === 0) return undefined
    const batch = rows.finish()
    if (batch.length > LOG_PAYLOAD_BYTES_MAX) throw tooLarge(rows.count, batch.length)
    this.#makeRoom(rows.count, rows.keyBytes, rows.valueBytes)
    this.#insert(this.#batch.reset(batch))
    this.#ledger.accept()
    return batch
  }

  /** To be called after a write was answered: rotates a memtable that has reached its size. */
  rotateIfFull(): void {
    if (this.#active.memtable.usedBytes >= this.#options.memtableBytesMax) this.#rotate()
  }

  /**
   * Inserts a committed batch: recovery and followers.
   * @returns false when there is no memtable to put it into yet
   * @throws CORRUPTION when it is another domain's or does not follow the newest
   */
  apply(bytes: Uint8Array, start: number, end: number): boolean {
    const batch = this.#batch.reset(bytes, start, end)
    const { domain, sequence } = batch.header
    if (sequence <= this.#sequence) return true
    if (Buffer.compare(domain, this.#options.uuid) !== 0) {
      throw corruption(`a batch of domain ${formatUuid(domain)} is in another one's log`)
    }
    if (sequence !== this.#sequence + 1) {
      throw corruption(`batch ${sequence} does not follow ${this.#sequence}`)
    }
    const sizeBytes = end - start
    const { memtable } = this.#active
    const isTight = !memtable.hasRoomFor(batch.header.count, sizeBytes, 0)
    // An empty one is not made roomier by another.
    if (isTight && memtable.rowCount > 0 && !this.#rotate()) return false
    this.#insert(batch)
    this.rotateIfFull()
    return true
  }

  /** After everything was applied. */
  finishRecovery(): void {
    const view = this.view()
    this.#ledger.load(view)
    view.release()
  }

  /**
   * Begins anew: rows that were inserted and will never be committed cannot be taken out of
   * memtables. What was committed is installed and applied again.
   * @param active an empty memtable
   * @param life how often it has begun anew with this
   */
  reset(active: NumberedMemtable, life: number): void {
    this.#active = active
    this.#memtables = [active.memtable]
    this.#frozen = []
    this.#version = Version.EMPTY
    this.#manifestBefore = this.#manifest ?? this.#manifestBefore
    this.#manifest = null
    this.#job = undefined
    this.#ledger = new RequestLedger()
    this.#sequence = 0
    this.resets = life
    this.isVoid = false
  }

  /** Rotates the memtable if it has rows. */
  freeze(): void {
    if (this.#active.memtable.rowCount > 0) this.#rotate()
  }

  /** The next compaction to be done, or one of everything; undefined when there is none. */
  pick(isFull: boolean): CompactionJob | undefined {
    const manifest = this.#manifest
    if (manifest === null) return undefined
    this.#job = isFull ? pickFullCompaction(manifest) : pickCompaction(manifest)
    return this.#job
  }

  /** The manifest that follows the present one. */
  nextManifest({ flushed, tables, ...edit }: ManifestEdit): Manifest {
    const parent = this.#manifest
    const common = {
      ...edit,
      clusterId: this.#options.clusterId,
      domain: formatUuid(this.#options.uuid),
      parent:
        parent === null
          ? null
          : { domain: parent.domain, epoch: parent.epoch, version: parent.version },
    }
    if (flushed !== undefined) {
      return {
        ...common,
        ...flushed,
        compactionCursors: parent?.compactionCursors ?? [],
        tables: addFlushed(parent?.tables ?? [], tables),
      }
    }
    const job = this.#job
    if (parent === null || job === undefined) throw new Error('no compaction was picked')
    return {
      ...common,
      lastSequence: parent.lastSequence,
      lastIndex: parent.lastIndex,
      ...applyCompaction(parent, job, tables),
    }
  }

  /** Makes a committed manifest the version. */
  install(manifest: Manifest): void {
    const { tables } = this.#options
    this.#version = tables.versionOf(manifest)
    const before = this.#manifest ?? this.#manifestBefore
    if (before !== null) tables.removeGone(before, manifest)
    this.#manifest = manifest
    this.#manifestBefore = null
    this.#frozen = this.#frozen.filter(({ lastSequence }) => lastSequence > manifest.lastSequence)
    this.#memtables = [this.#active.memtable, ...this.#frozen.map(({ memtable }) => memtable)]
    // In recovery the manifest comes first and says where the log goes on.
    if (this.#sequence < manifest.lastSequence) this.#sequence = manifest.lastSequence
  }

  /** Invariant 2. @throws OVERLOADED or INVALID_REQUEST */
  #makeRoom(rows: number, keyBytes: number, valueBytes: number): void {
    if (this.#active.memtable.hasRoomFor(rows, keyBytes, valueBytes)) return
    if (this.#active.memtable.rowCount === 0) throw tooLarge(rows, keyBytes + valueBytes)
    if (!this.#rotate()) {
      throw new MetastoreError(
        'OVERLOADED',
        `domain ${this.#options.domain}: ${this.#frozen.length} memtables wait for the bucket`,
        { details: { retryAfterMs: RETRY_AFTER_MS } },
      )
    }
    if (!this.#active.memtable.hasRoomFor(rows, keyBytes, valueBytes)) {
      throw tooLarge(rows, keyBytes + valueBytes)
    }
  }

  #insert(batch: RowBatchReader): void {
    const { memtable } = this.#active
    const { sequence } = batch.header
    while (batch.next()) {
      const inserted = memtable.insert(
        batch.bytes,
        batch.keyStart,
        batch.keyLength,
        sequence,
        batch.isDelete,
        batch.bytes,
        batch.valueStart,
        batch.valueLength,
      )
      // Room was made for the whole batch, so this cannot be; half a batch must not go on.
      if (!inserted) throw new Error(`memtable ${this.#active.id} is full within a batch`)
    }
    this.#sequence = sequence
  }

  /** False when main has no memtable for us: too many wait for the bucket. */
  #rotate(): boolean {
    const next = this.#options.takeMemtable(this.#options.domain)
    if (next === undefined) return false
    const frozen = { ...this.#active, lastSequence: this.#sequence }
    this.#frozen.unshift(frozen)
    this.#active = next
    this.#memtables = [next.memtable, ...this.#memtables]
    this.#options.onFrozen(frozen.id, frozen.lastSequence, next.id)
    return true
  }
}

function tooLarge(rows: number, sizeBytes: number): MetastoreError {
  return invalidRequest(
    `the request makes ${rows} rows of ${sizeBytes} bytes, more than a memtable or the log holds`,
  )
}
