/** A log in memory that is never written to disk: what the core costs without one. */
import type { ConfState } from '../src/main/raft/configuration.ts'
import type { Entry, Snapshot } from '../src/main/raft/entry.ts'
import { entryBytes, limited } from '../src/main/raft/entry.ts'
import type { InitialState, LogStorage } from '../src/main/raft/log-storage.ts'
import type { AppendWork } from '../src/main/raft/ready.ts'

/** Entries kept behind what is applied; a follower is never further back here. */
const KEPT_ENTRIES = 10_000

export class RaftMemoryLog implements LogStorage {
  readonly #configuration: ConfState
  #entries: Entry[] = []
  #cutIndex = 0
  #cutTerm = 0

  constructor(configuration: ConfState) {
    this.#configuration = configuration
  }

  initialState(): InitialState {
    return { hardState: undefined, configuration: this.#configuration }
  }

  firstIndex(): number {
    return this.#cutIndex + 1
  }

  lastIndex(): number {
    return this.#cutIndex + this.#entries.length
  }

  term(index: number): number | undefined {
    if (index === this.#cutIndex) return this.#cutTerm
    return this.#entries[index - this.#cutIndex - 1]?.term
  }

  entries(from: number, to: number, bytesMax: number): readonly Entry[] {
    const first = this.firstIndex()
    return limited(this.#entries, from - first, to - first, bytesMax, entryBytes)
  }

  snapshot(): Snapshot | undefined {
    return undefined
  }

  append({ entries }: AppendWork): void {
    if (entries.length === 0) return
    this.#entries.length = entries[0].index - this.firstIndex()
    for (const entry of entries) this.#entries.push(entry)
    if (this.#entries.length < 2 * KEPT_ENTRIES) return
    const count = this.#entries.length - KEPT_ENTRIES
    this.#cutTerm = this.#entries[count - 1].term
    this.#entries = this.#entries.slice(count)
    this.#cutIndex += count
  }
}
