/**
 * A cluster that does everything at once: what a ready has is written and applied, messages arrive
 * in order, until nothing is left. `cut` members get and send nothing.
 */
import { EMPTY_CONF_STATE } from '../../src/main/raft/configuration.ts'
import { CONFIG_KIND, type Snapshot } from '../../src/main/raft/entry.ts'
import type { Message } from '../../src/main/raft/message.ts'
import type { RaftSettings } from '../../src/main/raft/options.ts'
import { RaftGroup } from '../../src/main/raft/raft-group.ts'
import type { Read } from '../../src/main/raft/reads.ts'
import { MemoryStorage } from './memory-storage.ts'

export const ELECTION_TICKS = 5

export class SmallCluster {
  readonly groups: RaftGroup[] = []
  readonly storages: MemoryStorage[] = []
  readonly reads: Read[][] = []
  readonly dropped: number[][] = []
  /** Everything that was sent, in order. */
  readonly sent: Message[] = []
  readonly cut: Set<number> = new Set()
  readonly #settings: Partial<RaftSettings>

  constructor(size: number, settings: Partial<RaftSettings> = {}) {
    this.#settings = settings
    const voters = Array.from({ length: size }, (_, i) => i + 1)
    const configuration = { ...EMPTY_CONF_STATE, voters }
    const start: Snapshot = { index: 1, term: 1, configuration, data: new Uint8Array(0) }
    for (const id of voters) {
      this.storages.push(new MemoryStorage(start))
      this.reads.push([])
      this.dropped.push([])
      this.groups.push(this.#start(id))
    }
  }

  #start(id: number): RaftGroup {
    const storage = this.storages[id - 1]
    const applied = storage.newest.index
    const basic = { id, electionTicks: ELECTION_TICKS, random: () => 0, applied }
    return new RaftGroup({ ...basic, ...this.#settings }, storage)
  }

  group(id: number): RaftGroup {
    return this.groups[id - 1]
  }

  /** A member with an empty log, which nobody knows yet. @returns its id */
  join(): number {
    this.storages.push(new MemoryStorage())
    this.reads.push([])
    this.dropped.push([])
    const id = this.storages.length
    this.groups.push(this.#start(id))
    return id
  }

  restart(id: number): void {
    this.groups[id - 1] = this.#start(id)
  }

  /** A member campaigns, and everything that follows is done. */
  elect(id: number): void {
    this.group(id).campaign()
    this.settle()
  }

  /** One ready of the member, done; @returns what it sends. */
  turn(id: number): Message[] {
    const group = this.group(id)
    const storage = this.storages[id - 1]
    const { messages, append, apply, reads, readsDropped } = group.ready()
    this.reads[id - 1].push(...reads)
    this.dropped[id - 1].push(...readsDropped)
    const out = [...messages]
    if (append !== undefined) {
      storage.append(append)
      if (append.snapshot !== undefined) storage.newest = append.snapshot
      for (const response of append.responses) {
        if (response.to === id) group.step(response)
        else out.push(response)
      }
    }
    if (apply !== undefined) {
      for (const entry of apply.entries) {
        const isChange = entry.kind === CONFIG_KIND
        const { configuration: before, data } = storage.newest
        const configuration = (isChange ? group.applyChange(entry) : undefined) ?? before
        storage.newest = { index: entry.index, term: entry.term, configuration, data }
      }
      group.step(apply.response)
    }
    this.sent.push(...out)
    return out
  }

  deliver(messages: readonly Message[]): void {
    for (const message of messages) {
      if (!this.cut.has(message.from) && !this.cut.has(message.to)) {
        this.groups.at(message.to - 1)?.step(message)
      }
    }
  }

  settle(): void {
    for (let again = true; again; ) {
      again = false
      this.groups.forEach((group, i) => {
        if (!group.hasReady()) return
        again = true
        this.deliver(this.turn(i + 1))
      })
    }
  }

  tick(id: number, count: number, nowMs = 0): void {
    for (let i = 0; i < count; i++) this.group(id).tick(nowMs)
  }
}
