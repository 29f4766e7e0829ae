/**
 * The memtables of one domain as main sees them: it allocates them, posts them to the worker, maps
 * all of them for reads, and knows which are frozen and wait for the bucket.
 *
 * Invariant: every memtable that the worker has or can take is mapped here, newest first, until a
 * committed manifest covers it.
 */
import type { Manifest } from '../codec/manifest.ts'
import { fitsEmptyMemtable, Memtable } from '../shared/memtable.ts'
import { FROZEN_STOP } from './storage/write-throttle.ts'
import type { WorkerLink } from './worker-link.ts'

/** Room above the size that starts a flush, for the batch that reaches it and a large one after. */
const HEADROOM_BYTES = 8 * 1024 * 1024

export interface NewMemtable {
  id: number
  memory: SharedArrayBuffer
}

export interface FrozenMemtable extends NewMemtable {
  /** When its first row came, or when it was recovered; milliseconds since the epoch. */
  since: number
  lastSequence: number
  /** No row of it is in a later entry. */
  index: number
}

interface MappedMemtable {
  id: number
  memtable: Memtable
  lastSequence: number
}

export class DomainMemtables {
  readonly #domain: number
  readonly #link: WorkerLink
  readonly #bytesMax: number
  readonly #frozen: FrozenMemtable[] = []
  #mapped: MappedMemtable[] = []
  /** What reads want of #mapped. */
  #newestFirst: readonly Memtable[] = []
  #nextId: number
  /** How often the worker has begun anew. */
  #life = 0
  /** When the active memtable got its first row; undefined while it has none. */
  #activeSince: number | undefined

  /** @param first what allocate() made before the worker began */
  constructor(domain: number, link: WorkerLink, bytesMax: number, first: readonly NewMemtable[]) {
    this.#domain = domain
    this.#link = link
    this.#bytesMax = bytesMax
    this.#nextId = first.length + 1
    for (const { id, memory } of first) this.#map(id, memory)
  }

  /** The memory of a memtable that starts a flush at `bytesMax`; the system gives pages as used. */
  static allocate(bytesMax: number): SharedArrayBuffer {
    return new SharedArrayBuffer(bytesMax + HEADROOM_BYTES)
  }

  /** Whether the worker has a memtable of this id, or will take it. */
  has(id: number): boolean {
    return this.#mapped.some(known => known.id === id)
  }

  /** Whether rows of these total sizes fit into one memtable. */
  fitsOne(rows: number, sizeBytes: number): boolean {
    return fitsEmptyMemtable(this.#bytesMax + HEADROOM_BYTES, rows, sizeBytes)
  }

  get newestFirst(): readonly Memtable[] {
    return this.#newestFirst
  }

  /** Oldest first. */
  get frozen(): readonly FrozenMemtable[] {
    return this.#frozen
  }

  /** When the oldest row came that no committed manifest covers; undefined when there is none. */
  get unflushedSince(): number | undefined {
    return this.#frozen.at(0)?.since ?? this.#activeSince
  }

  get usedBytes(): number {
    return this.#newestFirst.reduce(
      (sum, memtable) => sum + (memtable.rowCount === 0 ? 0 : memtable.usedBytes),
      0,
    )
  }

  /** Rows went into the active memtable. */
  wrote(): void {
    this.#activeSince ??= Date.now()
  }

  /**
   * The worker has frozen a memtable and taken the next; `index` is the log entry it ends at.
   * @param mustFollow it gets another spare one even if too many wait for the bucket
   */
  froze(id: number, lastSequence: number, index: number, mustFollow: boolean): FrozenMemtable {
    const mapped = this.#mapped.find(known => known.id === id)
    if (mapped === undefined) throw new Error(`memtable ${id} is not known`)
    mapped.lastSequence = lastSequence
    const since = this.#activeSince ?? Date.now()
    this.#activeSince = undefined
    const frozen = { id, since, memory: mapped.memtable.memory, lastSequence, index }
    this.#frozen.push(frozen)
    if (this.#frozen.length < FROZEN_STOP || mustFollow) this.ensureSpare()
    return frozen
  }

  /**
   * The worker begins anew, with memtables that are posted now: reads that have begun keep theirs.
   * @returns the number of its new life
   */
  reset(): number {
    this.#life++
    this.#frozen.length = 0
    this.#mapped = []
    this.#newestFirst = []
    this.#activeSince = undefined
    this.#post()
    this.ensureSpare()
    return this.#life
  }

  /** Sees to it that the worker can rotate: committed rows must find room, whatever waits. */
  ensureSpare(): void {
    const spares = this.#mapped.length - this.#frozen.length - 1
    if (spares < 1) this.#post()
  }

  /** What a manifest covers is in tables now. */
  covered({ lastSequence }: Manifest): void {
    const count = this.#frozen.filter(frozen => frozen.lastSequence <= lastSequence).length
    this.#frozen.splice(0, count)
    this.#mapped = this.#mapped.filter(known => known.lastSequence > lastSequence)
    this.#newestFirst = this.#mapped.map(({ memtable }) => memtable)
    if (this.#frozen.length < FROZEN_STOP) this.ensureSpare()
  }

  #post(): void {
    const memory = DomainMemtables.allocate(this.#bytesMax)
    const id = this.#nextId++
    this.#map(id, memory)
    this.#link.postMemtable({ domain: this.#domain, life: this.#life, memtableId: id, memory })
  }

  #map(id: number, memory: SharedArrayBuffer): void {
    const lastSequence = Number.POSITIVE_INFINITY
    this.#mapped.unshift({ id, memtable: new Memtable(memory), lastSequence })
    this.#newestFirst = this.#mapped.map(({ memtable }) => memtable)
  }
}
