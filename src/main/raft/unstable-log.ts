/**
 * The end of the log that the append side has not yet reported durable: entries, or a snapshot that
 * is being installed and the entries behind it.
 *
 *   offset          handedOut         offset + length
 *      │ being written   │ not yet handed out │
 *
 * Invariants:
 * 1. entries[i].index = offset + i; a snapshot's index is below offset.
 * 2. offset <= handedOut <= offset + length.
 * 3. Written is only what is durable under its index and the newest term it has here: a report of
 *    an entry that was replaced meanwhile changes nothing.
 */
import { type Entry, type EntryBytes, type LogMark, limited, type Snapshot } from './entry.ts'

export class UnstableLog {
  snapshot: Snapshot | undefined
  entries: Entry[] = []
  offset: number
  #handedOut: number
  #snapshotHandedOut = false

  constructor(offset: number) {
    this.offset = offset
    this.#handedOut = offset
  }

  /** The last index it knows: of an entry or the snapshot. */
  get lastIndex(): number | undefined {
    if (this.entries.length > 0) return this.offset + this.entries.length - 1
    return this.snapshot?.index
  }

  term(index: number): number | undefined {
    if (index < this.offset) {
      return this.snapshot?.index === index ? this.snapshot.term : undefined
    }
    return this.entries.at(index - this.offset)?.term
  }

  /** The entries in [from, to), which it has: as many as weigh at most `bytesMax`, at least one. */
  slice(from: number, to: number, bytesMax: number, bytesOf: EntryBytes): readonly Entry[] {
    return limited(this.entries, from - this.offset, to - this.offset, bytesMax, bytesOf)
  }

  hasNext(): boolean {
    return this.#handedOut < this.offset + this.entries.length
  }

  next(): readonly Entry[] {
    return this.entries.slice(this.#handedOut - this.offset)
  }

  nextSnapshot(): Snapshot | undefined {
    return this.#snapshotHandedOut ? undefined : this.snapshot
  }

  /** Everything that next() and nextSnapshot() gave is being written. */
  handOut(): void {
    this.#handedOut = this.offset + this.entries.length
    if (this.snapshot !== undefined) this.#snapshotHandedOut = true
  }

  /** Adds entries at the end, or in place of what the log had from there on. */
  append(entries: readonly Entry[]): void {
    const from = entries[0].index
    const end = this.offset + this.entries.length
    if (from === end) {
      for (const entry of entries) this.entries.push(entry)
    } else if (from <= this.offset) {
      this.entries = [...entries]
      this.offset = from
      this.#handedOut = from
    } else {
      this.entries = [...this.entries.slice(0, from - this.offset), ...entries]
      this.#handedOut = Math.min(this.#handedOut, from)
    }
  }

  /** The snapshot takes the place of all there was. */
  restore(snapshot: Snapshot): void {
    this.snapshot = snapshot
    this.#snapshotHandedOut = false
    this.entries = []
    this.offset = snapshot.index + 1
    this.#handedOut = this.offset
  }

  /** The log is durable up to the mark. */
  written({ index, term }: LogMark): void {
    if (index < this.offset || this.term(index) !== term) return
    this.entries = this.entries.slice(index + 1 - this.offset)
    this.offset = index + 1
    this.#handedOut = Math.max(this.#handedOut, this.offset)
  }

  snapshotWritten(index: number): void {
    if (this.snapshot?.index !== index) return
    this.snapshot = undefined
    this.#snapshotHandedOut = false
  }
}
