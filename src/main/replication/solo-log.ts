/** Replication in a cluster of one: what is on this disk is committed. */
import type { DiskLog } from '../log/disk-log.ts'
import type { OnCommit, ReplicatedLog } from './replicated-log.ts'

interface Proposal {
  ticket: number
  group: number
  index: number
}

export class SoloLog implements ReplicatedLog {
  readonly #disk: DiskLog
  readonly #onCommit: OnCommit
  readonly #terms = new Map<number, number>()
  readonly #lastIndex = new Map<number, number>()
  /** Proposed and not yet durable, oldest first from #first on. */
  #proposals: Proposal[] = []
  #first = 0

  /** Takes the log over: a new term in every group, as after an election. */
  constructor(disk: DiskLog, groups: number, onCommit: OnCommit) {
    this.#disk = disk
    this.#onCommit = onCommit
    const known = new Map(disk.groups().map(state => [state.group, state]))
    for (let group = 0; group < groups; group++) {
      const state = known.get(group)
      const term = (state?.term ?? 0) + 1
      this.#terms.set(group, term)
      this.#lastIndex.set(group, state?.lastIndex ?? 0)
      disk.setHardState(group, term, 0)
    }
    disk.onDurable = ticket => this.#commit(ticket)
    disk.flush()
  }

  term(group: number): number {
    return this.#terms.get(group) ?? 0
  }

  propose(group: number, kind: number, payload: Uint8Array): number {
    const index = (this.#lastIndex.get(group) ?? 0) + 1
    const ticket = this.#disk.append(group, this.term(group), index, kind, payload)
    this.#lastIndex.set(group, index)
    this.#proposals.push({ ticket, group, index })
    return index
  }

  flush(): void {
    this.#disk.flush()
  }

  cut(group: number, index: number): void {
    const state = this.#disk.groups().find(known => known.group === group)
    if (state === undefined || index <= state.cutIndex) return
    const [entry] = this.#disk.entries(group, index, index + 1, 1)
    this.#disk.cut(group, index, entry.term)
    this.#disk.flush()
  }

  groupBytes(group: number): number {
    return this.#disk.groupBytes(group)
  }

  get sizeBytes(): number {
    return this.#disk.sizeBytes
  }

  pinningGroup(): number | undefined {
    return this.#disk.pinningGroup()
  }

  get isFull(): boolean {
    return this.#disk.isFull
  }

  close(): Promise<void> {
    return this.#disk.close()
  }

  #commit(ticket: number): void {
    const newest = new Map<number, number>()
    const proposals = this.#proposals
    while (this.#first < proposals.length && proposals[this.#first].ticket <= ticket) {
      const { group, index } = proposals[this.#first++]
      newest.set(group, index)
    }
    if (this.#first === proposals.length) {
      this.#proposals = []
      this.#first = 0
    } else if (this.#first > 4096) {
      this.#proposals = proposals.slice(this.#first)
      this.#first = 0
    }
    for (const [group, index] of newest) this.#onCommit(group, index)
  }
}
