/**
 * The log of one group as the core sees it: what is in storage, then what is not yet durable.
 *
 * Invariants: applied <= applying <= committed <= lastIndex; entries up to committed never change.
 */
import { CONFIG_KIND, type Entry, type LogMark, type Snapshot, totalBytes } from './entry.ts'
import type { LogStorage } from './log-storage.ts'
import type { RaftOptions } from './options.ts'
import { UnstableLog } from './unstable-log.ts'

export class RaftLog {
  readonly #storage: LogStorage
  readonly #options: RaftOptions
  readonly unstable: UnstableLog
  committed: number
  applied: number
  /** The last entry handed out to be applied. */
  #applying: number
  #applyingBytes = 0
  /** Nothing more is handed out until something is applied. */
  #isApplyingPaused = false

  constructor(storage: LogStorage, options: RaftOptions) {
    this.#storage = storage
    this.#options = options
    this.unstable = new UnstableLog(storage.lastIndex() + 1)
    this.committed = storage.firstIndex() - 1
    this.applied = this.committed
    this.#applying = this.committed
  }

  get firstIndex(): number {
    const snapshot = this.unstable.snapshot
    return snapshot === undefined ? this.#storage.firstIndex() : snapshot.index + 1
  }

  get lastIndex(): number {
    return this.unstable.lastIndex ?? this.#storage.lastIndex()
  }

  get lastMark(): LogMark {
    const index = this.lastIndex
    return { term: this.term(index) ?? 0, index }
  }

  /** Undefined for entries that were cut off or are not there. */
  term(index: number): number | undefined {
    const unstable = this.unstable.term(index)
    if (unstable !== undefined) return unstable
    if (index + 1 < this.firstIndex || index > this.lastIndex) return undefined
    return this.#storage.term(index)
  }

  has({ term, index }: LogMark): boolean {
    return this.term(index) === term
  }

  get committedMark(): LogMark {
    return { term: this.term(this.committed) ?? 0, index: this.committed }
  }

  /** The entries from `from` on, at most `bytesMax` of them; undefined when they were cut off. */
  entriesFrom(from: number, bytesMax: number): readonly Entry[] | undefined {
    if (from > this.lastIndex) return []
    return this.#slice(from, this.lastIndex + 1, bytesMax)
  }

  /** Appends what a leader adds to its own log. */
  append(entries: readonly Entry[]): void {
    if (entries.length === 0) return
    if (entries[0].index <= this.committed) {
      throw new Error(`entry ${entries[0].index} is committed and cannot be replaced`)
    }
    this.unstable.append(entries)
  }

  /**
   * AppendEntries, receiver's rules 2 to 5 (figure 2): entries that are there already stay, so that
   * a late message cannot shorten the log.
   * @returns the last index that is known to agree with the leader's, or undefined: no match
   */
  appendAfter(
    before: LogMark,
    entries: readonly Entry[],
    leaderCommit: number,
  ): number | undefined {
    if (!this.has(before)) return undefined
    const last = before.index + entries.length
    const conflict = entries.findIndex(entry => !this.has(entry))
    if (conflict >= 0) this.append(entries.slice(conflict))
    this.commitTo(Math.min(leaderCommit, last))
    return last
  }

  /**
   * The newest entry up to `index` whose term is at most `term`: where a log that has `term` at
   * `index` may agree with this one (paper, end of 5.3). The term is 0 when not known.
   */
  lastWithTermAtMost(index: number, term: number): LogMark {
    for (let at = index; at > 0; at--) {
      const own = this.term(at)
      if (own === undefined) return { index: at, term: 0 }
      if (own <= term) return { index: at, term: own }
    }
    return { index: 0, term: 0 }
  }

  commitTo(index: number): void {
    if (index <= this.committed) return
    if (index > this.lastIndex) {
      throw new Error(`entry ${index} is committed, but the log ends at ${this.lastIndex}`)
    }
    this.committed = index
  }

  /** Only an entry of the leader's own term commits by counting (paper, 5.4.2). */
  commitOwnTerm(index: number, term: number): boolean {
    if (index <= this.committed || this.term(index) !== term) return false
    this.commitTo(index)
    return true
  }

  /** Whether a change of the configuration is among the entries up to `last` and not applied. */
  hasUnappliedChange(last: number): boolean {
    for (let from = this.applied + 1; from <= last; ) {
      const entries = this.#slice(from, last + 1, this.#options.applyingBytesMax)
      if (entries === undefined || entries.length === 0) return false
      if (entries.some(({ kind }) => kind === CONFIG_KIND)) return true
      from += entries.length
    }
    return false
  }

  hasNextCommitted(): boolean {
    if (this.#isApplyingPaused || this.unstable.snapshot !== undefined) return false
    return this.#applying < this.#applicable()
  }

  nextCommitted(): readonly Entry[] {
    if (!this.hasNextCommitted()) return []
    const room = this.#options.applyingBytesMax - this.#applyingBytes
    return this.#slice(this.#applying + 1, this.#applicable() + 1, room) ?? []
  }

  /** The entries, which nextCommitted() gave, are being applied. */
  handOutCommitted(entries: readonly Entry[]): void {
    this.#applying = entries[entries.length - 1].index
    this.#applyingBytes += totalBytes(entries, this.#options.entryBytes)
    // Also when the limit cut the entries short: small rests would make many small turns.
    this.#isApplyingPaused =
      this.#applyingBytes >= this.#options.applyingBytesMax || this.#applying < this.#applicable()
  }

  appliedTo(index: number, bytes: number): void {
    if (index > this.committed || index < this.applied) {
      throw new Error(`applied ${index}, not within ${this.applied} and ${this.committed}`)
    }
    this.applied = index
    this.#applying = Math.max(this.#applying, index)
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes)
    this.#isApplyingPaused = this.#applyingBytes >= this.#options.applyingBytesMax
  }

  bytesOf(entries: readonly Entry[]): number {
    return totalBytes(entries, this.#options.entryBytes)
  }

  snapshot(): Snapshot | undefined {
    return this.unstable.snapshot ?? this.#storage.snapshot()
  }

  /** The snapshot is the log from now on. */
  restore(snapshot: Snapshot): void {
    this.committed = snapshot.index
    this.unstable.restore(snapshot)
  }

  #applicable(): number {
    if (this.#options.applyBeforeAppend) return this.committed
    return Math.min(this.committed, this.unstable.offset - 1)
  }

  #slice(from: number, to: number, bytesMax: number): readonly Entry[] | undefined {
    const { offset } = this.unstable
    const bytesOf = this.#options.entryBytes
    if (from < this.firstIndex) return undefined
    if (from >= offset) return this.unstable.slice(from, to, bytesMax, bytesOf)
    const cut = Math.min(to, offset)
    const stored = this.#storage.entries(from, cut, bytesMax)
    if (stored === undefined || to <= offset || stored.length < cut - from) return stored
    const room = bytesMax - totalBytes(stored, bytesOf)
    if (room <= 0) return stored
    const rest = this.unstable.slice(offset, to, room, bytesOf)
    if (rest.length === 1 && bytesOf(rest[0]) > room) return stored
    return [...stored, ...rest]
  }
}
