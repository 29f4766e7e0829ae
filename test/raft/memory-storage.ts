/** A log in memory, with the snapshot that it begins after: storage for tests of the core. */
import { EMPTY_CONF_STATE } from '../../src/main/raft/configuration.ts'
import {
  type Entry,
  type EntryBytes,
  entryBytes,
  type HardState,
  limited,
  type Snapshot,
} from '../../src/main/raft/entry.ts'
import { impliedCommit } from '../../src/main/raft/implied-commit.ts'
import type { InitialState, LogStorage } from '../../src/main/raft/log-storage.ts'
import type { AppendWork } from '../../src/main/raft/ready.ts'

const EMPTY_SNAPSHOT: Snapshot = {
  index: 0,
  term: 0,
  configuration: EMPTY_CONF_STATE,
  data: new Uint8Array(0),
}

/** What reaches the disk of an append. */
type Written = Pick<AppendWork, 'hardState' | 'snapshot' | 'entries'>

export class MemoryStorage implements LogStorage {
  hardState: HardState | undefined
  /** The log begins after it. */
  #start: Snapshot
  #entries: Entry[] = []
  /** What snapshot() gives: the newest state that was applied. */
  newest: Snapshot
  /** Whether snapshot() gives it. */
  hasSnapshot = true
  readonly #bytesOf: EntryBytes
  /** What survives a crash. */
  #synced: { hardState: HardState | undefined; start: Snapshot; entries: Entry[] }

  constructor(start: Snapshot = EMPTY_SNAPSHOT, bytesOf: EntryBytes = entryBytes) {
    this.#start = start
    this.newest = start
    this.#bytesOf = bytesOf
    this.#synced = { hardState: undefined, start, entries: [] }
  }

  /** The same log, which goes its own way from here on. */
  copy(): MemoryStorage {
    const copy = new MemoryStorage(this.#start, this.#bytesOf)
    copy.newest = this.newest
    copy.hardState = this.hardState
    copy.#entries = this.#entries
    return copy
  }

  initialState(): InitialState {
    const commit = Math.max(this.hardState?.commit ?? 0, impliedCommit(this.#entries))
    const hardState = this.hardState && { ...this.hardState, commit }
    return { hardState, configuration: this.newest.configuration }
  }

  firstIndex(): number {
    return this.#start.index + 1
  }

  lastIndex(): number {
    return this.#start.index + this.#entries.length
  }

  term(index: number): number | undefined {
    if (index === this.#start.index) return this.#start.term
    return index < this.#start.index ? undefined : this.#entries.at(index - this.firstIndex())?.term
  }

  entries(from: number, to: number, bytesMax: number): readonly Entry[] | undefined {
    const first = this.firstIndex()
    if (from < first) return undefined
    return limited(this.#entries, from - first, to - first, bytesMax, this.#bytesOf)
  }

  snapshot(): Snapshot | undefined {
    return this.hasSnapshot ? this.newest : undefined
  }

  /** Everything that was not cut off. */
  all(): readonly Entry[] {
    return this.#entries
  }

  /** What the append side does. */
  append(work: Written & Pick<AppendWork, 'mustSync'>): void {
    this.write(work)
    const [hardState, start, entries] = [this.hardState, this.#start, this.#entries]
    if (work.mustSync) this.#synced = { hardState, start, entries }
  }

  /** What was written and need not have been synced is lost. */
  crash(): void {
    this.hardState = this.#synced.hardState
    this.#start = this.#synced.start
    this.#entries = this.#synced.entries
  }

  /** A part of what the append side does. */
  write({ hardState, snapshot, entries }: Written): void {
    this.hardState = hardState ?? this.hardState
    if (snapshot !== undefined) {
      this.#start = snapshot
      this.#entries = []
    }
    if (entries.length === 0) return
    const keep = entries[0].index - this.firstIndex()
    if (keep < 0 || keep > this.#entries.length) {
      throw new Error(`entry ${entries[0].index} does not follow ${this.lastIndex()}`)
    }
    this.#entries = [...this.#entries.slice(0, keep), ...entries]
  }

  /** Cuts off the entries up to `index`. */
  compact(index: number): void {
    const term = this.term(index)
    if (term === undefined) throw new Error(`no entry ${index}`)
    this.#entries = this.#entries.slice(index + 1 - this.firstIndex())
    this.#start = { ...this.#start, index, term }
  }
}
