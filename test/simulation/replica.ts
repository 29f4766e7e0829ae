/** One group at one node: its core, its state machine, and who waits for what. */
import { CONFIG_KIND } from '../../src/main/raft/entry.ts'
import { RaftGroup } from '../../src/main/raft/raft-group.ts'
import type { ApplyWork } from '../../src/main/raft/ready.ts'
import type { MemoryStorage } from '../raft/memory-storage.ts'
import type { Dice } from './dice.ts'
import type { Invariants } from './invariants.ts'
import { type Command, encodeCommand, Machine } from './machine.ts'
import type { ClusterSettings } from './settings.ts'

export type ReadAnswer = (value: string) => void

interface AskedRead {
  readonly key: string
  readonly answer: ReadAnswer
  /** What was committed, anywhere, when it was asked. */
  readonly committedBefore: number
}

interface WaitingRead extends AskedRead {
  readonly index: number
}

export interface ReplicaOptions {
  readonly node: number
  readonly number: number
  readonly settings: ClusterSettings
  readonly log: MemoryStorage
  readonly dice: Dice
  readonly invariants: Invariants
  readonly onApplied: (command: Command) => void
  /** Greater than any that an earlier life of this node has used. */
  readonly firstContext: number
}

export class Replica {
  readonly number: number
  readonly core: RaftGroup
  readonly machine: Machine = new Machine()
  readonly #node: number
  readonly #onApplied: (command: Command) => void
  readonly #invariants: Invariants
  readonly #applying: { work: ApplyWork; done: number }[] = []
  readonly #writes = new Map<number, () => void>()
  readonly #asked = new Map<number, AskedRead>()
  #waiting: WaitingRead[] = []
  #context: number
  #handedOutIndex: number
  /** A snapshot is being installed that has what was handed out to be applied. */
  #isOvertaken = false
  /** Index of the newest checkpoint that was ordered. */
  checkpointIndex: number

  /** As after a start: with what the disk has. */
  constructor(options: ReplicaOptions) {
    const { node, number, settings, log, dice, invariants } = options
    this.#context = options.firstContext
    this.#node = node
    this.number = number
    this.#invariants = invariants
    this.#onApplied = options.onApplied
    this.machine.restore(log.newest)
    const { index: applied } = log.newest
    this.checkpointIndex = applied
    this.#handedOutIndex = applied
    const random = (below: number): number => dice.below(below)
    this.core = new RaftGroup({ ...settings.raft, id: node, random, applied }, log)
    invariants.started(node, this.core)
    invariants.machineAt(node, this.machine)
  }

  /** @returns false: refused, it will never happen */
  write(command: Command, answer: () => void): boolean {
    const isTaken = this.core.propose([{ kind: 1, payload: encodeCommand(command) }])
    if (isTaken) this.#writes.set(command.id, answer)
    return isTaken
  }

  read(key: string, nowMs: number, answer: ReadAnswer): void {
    const context = ++this.#context
    const { committedIndex: committedBefore } = this.#invariants
    const isTaken = this.core.readIndex(context, nowMs)
    if (isTaken) this.#asked.set(context, { key, answer, committedBefore })
  }

  readReleased(context: number, index: number): void {
    const asked = this.#asked.get(context)
    // An answer from another node may come twice.
    if (asked === undefined) return
    this.#asked.delete(context)
    this.#invariants.readReleased(this.#node, index, asked.committedBefore)
    this.#waiting.push({ ...asked, index })
    this.#answerReads()
  }

  /** Whoever asked asks again. */
  readDropped(context: number): void {
    this.#asked.delete(context)
  }

  handedOut(work: ApplyWork): void {
    const [first] = work.entries
    const isNew = first.index > this.#handedOutIndex
    if (!isNew) throw new Error(`entry ${first.index} comes to be applied once more`)
    this.#handedOutIndex = first.index + work.entries.length - 1
    this.#applying.push({ work, done: 0 })
  }

  get hasToApply(): boolean {
    return this.#applying.length > 0
  }

  /** The next entry; work that is done is reported to the core. */
  applyNext(): void {
    const first = this.#applying[0]
    const { entries, response } = first.work
    if (first.done < entries.length && this.#applyEntry(first.work, first.done)) first.done++
    else first.done = entries.length
    if (first.done < entries.length) return
    this.#applying.shift()
    this.core.step(response)
    this.#answerReads()
  }

  /** @returns false when a snapshot has overtaken this work: the rest of it is in the snapshot */
  #applyEntry({ entries }: ApplyWork, at: number): boolean {
    const entry = entries[at]
    const { machine } = this
    if (this.#isOvertaken) return false
    if (entry.index <= machine.index) return true
    if (entry.index !== machine.index + 1) {
      throw new Error(`entry ${entry.index} is to be applied after ${machine.index}`)
    }
    if (entry.kind === CONFIG_KIND) {
      const configuration = this.core.applyChange(entry)
      if (configuration === undefined) {
        this.#isOvertaken = true
        return false
      }
      machine.configuration = configuration
    }
    const command = machine.apply(entry)
    this.#invariants.applied(this.#node, entry, machine)
    if (command !== undefined) {
      this.#onApplied(command)
      this.#writes.get(command.id)?.()
      this.#writes.delete(command.id)
    }
    return true
  }

  /** A snapshot has replaced the log. */
  install(log: MemoryStorage): void {
    if (log.newest.index <= this.machine.index) return
    this.machine.restore(log.newest)
    this.checkpointIndex = log.newest.index
    this.#isOvertaken = false
    this.#invariants.machineAt(this.#node, this.machine)
    this.#answerReads()
  }

  #answerReads(): void {
    const { index } = this.machine
    const due = this.#waiting.filter(read => read.index <= index)
    this.#waiting = this.#waiting.filter(read => read.index > index)
    for (const { key, answer } of due) answer(this.machine.get(key))
  }
}
