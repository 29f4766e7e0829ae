/**
 * Where the live entries of one group are: [cutIndex + 1, lastIndex], as columns of numbers in
 * typed arrays (20 bytes an entry), so that a million entries cost no objects.
 *
 *   columns:  | cut, free | live entries ......... | free |
 *             0           head                     head + count
 */
import type { LogConfiguration } from '../../codec/segment-header.ts'
import type { SegmentTable } from './segment.ts'

const CAPACITY_MIN = 64

export interface LogGroup {
  group: number
  term: number
  /** 0: none. */
  vote: number
  /** cutIndex + 1. */
  firstIndex: number
  /** cutIndex when there are no entries. */
  lastIndex: number
  lastTerm: number
  cutIndex: number
  cutTerm: number
  /** The last one that setConfiguration() was given; its bytes must not be changed. */
  configuration: LogConfiguration | undefined
}

export class GroupIndex {
  readonly group: number
  term = 0
  /** 0: none. */
  vote = 0
  cutIndex = 0
  cutTerm = 0
  /** The last one written. */
  configuration: LogConfiguration | undefined = undefined
  /** Bytes of the live entries' records. */
  sizeBytes = 0
  readonly #segments: SegmentTable
  #head = 0
  #count = 0
  /** Index of the first live entry; meaningful when count > 0. */
  #first = 0
  #sequences = new Uint32Array(CAPACITY_MIN)
  #offsets = new Uint32Array(CAPACITY_MIN)
  #sizes = new Uint32Array(CAPACITY_MIN)
  #terms = new Float64Array(CAPACITY_MIN)

  constructor(group: number, segments: SegmentTable) {
    this.group = group
    this.#segments = segments
  }

  get lastIndex(): number {
    return this.#count === 0 ? this.cutIndex : this.#first + this.#count - 1
  }

  get lastTerm(): number {
    return this.#count === 0 ? this.cutTerm : this.#terms[this.#head + this.#count - 1]
  }

  /** What is known of the group now. */
  get state(): LogGroup {
    const { group, term, vote, lastIndex, lastTerm, cutIndex, cutTerm, configuration } = this
    const firstIndex = cutIndex + 1
    return { group, term, vote, firstIndex, lastIndex, lastTerm, cutIndex, cutTerm, configuration }
  }

  /** Sequence of the segment that holds the oldest live entry; undefined when none is live. */
  get firstSequence(): number | undefined {
    return this.#count === 0 ? undefined : this.#sequences[this.#head]
  }

  /** Whether live entries follow the cut without a gap; false only while a log is recovered. */
  get isContiguous(): boolean {
    return this.#count === 0 || this.#first === this.cutIndex + 1
  }

  /** Whether an entry may have this index in a log that is being recovered: see append(). */
  canFollow(index: number): boolean {
    if (index <= this.cutIndex) return false
    return this.#count === 0 || index <= this.lastIndex + 1
  }

  /**
   * Adds the entry and drops all that it replaces. The first entry may leave a gap to the cut
   * only during recovery: the entries between may have been in segments that are gone, and then a
   * cut past them follows.
   */
  append(
    index: number,
    term: number,
    sequence: number,
    offset: number,
    sizeBytes: number,
    ticket: number,
  ): void {
    if (this.#count > 0) this.#truncate(Math.max(0, index - this.#first), ticket)
    if (this.#count === 0) this.#first = index
    const at = this.#head + this.#count
    if (at === this.#sequences.length) this.#makeRoom()
    const slot = this.#head + this.#count++
    this.#sequences[slot] = sequence
    this.#offsets[slot] = offset
    this.#sizes[slot] = sizeBytes
    this.#terms[slot] = term
    this.sizeBytes += sizeBytes
    this.#segments.get(sequence).liveEntries++
  }

  /** Drops the entries up to `index`, and with `dropsSuffix` those after it as well. */
  cut(index: number, term: number, dropsSuffix: boolean, ticket: number): void {
    if (dropsSuffix) this.#truncate(0, ticket)
    while (this.#count > 0 && this.#first <= index) {
      this.#drop(this.#head, ticket)
      this.#head++
      this.#count--
      this.#first++
    }
    if (this.#count === 0) this.#head = 0
    this.cutIndex = index
    this.cutTerm = term
  }

  /** Term of a live entry, or of the cut at its index; undefined elsewhere. */
  termOf(index: number): number | undefined {
    if (index === this.cutIndex) return this.cutTerm
    const slot = this.slotOf(index)
    return slot < 0 ? undefined : this.#terms[slot]
  }

  /** The slot of a live entry, to be used before the next change; -1 when there is none. */
  slotOf(index: number): number {
    const position = index - this.#first
    return position >= 0 && position < this.#count ? this.#head + position : -1
  }

  sequenceAt(slot: number): number {
    return this.#sequences[slot]
  }

  offsetAt(slot: number): number {
    return this.#offsets[slot]
  }

  /** Bytes of the entry's record. */
  sizeAt(slot: number): number {
    return this.#sizes[slot]
  }

  termAt(slot: number): number {
    return this.#terms[slot]
  }

  /** Keeps the first `count` entries. */
  #truncate(count: number, ticket: number): void {
    while (this.#count > count) {
      this.#count--
      this.#drop(this.#head + this.#count, ticket)
    }
  }

  #drop(slot: number, ticket: number): void {
    this.sizeBytes -= this.#sizes[slot]
    this.#segments.entryDropped(this.#sequences[slot], ticket)
  }

  /** Moves the entries to the front when that frees half of the room, and doubles it otherwise. */
  #makeRoom(): void {
    const capacity = this.#sequences.length
    const grown = this.#count * 2 > capacity ? capacity * 2 : capacity
    this.#sequences = moved(this.#sequences, new Uint32Array(grown), this.#head)
    this.#offsets = moved(this.#offsets, new Uint32Array(grown), this.#head)
    this.#sizes = moved(this.#sizes, new Uint32Array(grown), this.#head)
    this.#terms = moved(this.#terms, new Float64Array(grown), this.#head)
    this.#head = 0
  }
}

function moved<Column extends Uint32Array | Float64Array>(
  column: Column,
  into: Column,
  head: number,
): Column {
  into.set(column.subarray(head))
  return into
}
