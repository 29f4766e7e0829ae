/**
 * The disk of one node, shared by its groups: what was handed over waits its turn, is written, and
 * is safe when it was synced. A crash keeps some of the records that were written and not synced,
 * in order; the one after them is torn, and recovery cuts it off.
 */
import type { AppendWork } from '../../src/main/raft/ready.ts'
import type { MemoryStorage } from '../raft/memory-storage.ts'
import type { Dice } from './dice.ts'
import type { EventQueue } from './event-queue.ts'
import type { ClusterSettings } from './settings.ts'

/** The smallest thing that is on a disk as a whole or not at all. */
export type DiskRecord = (log: MemoryStorage) => void

export interface DiskOrder {
  readonly group: number
  readonly records: readonly DiskRecord[]
  /** Whether `done` may only be called when the records would survive a crash. */
  readonly mustSync: boolean
  readonly done: () => void
}

interface Written {
  readonly group: number
  readonly record: DiskRecord
}

export class Disk {
  readonly #queue: EventQueue
  readonly #dice: Dice
  readonly #showsHandedOver: boolean
  readonly #lies: boolean
  /** By group: what a crash leaves. */
  readonly #durable: MemoryStorage[]
  /** By group: what the running node sees. */
  #live: MemoryStorage[]
  #waiting: DiskOrder[] = []
  #written: Written[] = []
  #isBusy = false
  #powerCycles = 0
  /** A write and a sync take up to this long each. */
  latencyMs = 2
  /** The next sync fails: nobody knows what of it is on the disk. */
  failsNextSync = false
  /** A sync has failed; the node must stop. */
  onFailed: () => void = () => {}

  constructor(
    queue: EventQueue,
    dice: Dice,
    { showsHandedOver, disksLie }: ClusterSettings,
    logs: readonly MemoryStorage[],
  ) {
    this.#queue = queue
    this.#dice = dice
    this.#showsHandedOver = showsHandedOver
    this.#lies = disksLie
    this.#durable = [...logs]
    this.#live = logs.map(log => log.copy())
  }

  live(group: number): MemoryStorage {
    return this.#live[group]
  }

  durable(group: number): MemoryStorage {
    return this.#durable[group]
  }

  order(order: DiskOrder): void {
    if (this.#showsHandedOver) for (const record of order.records) record(this.#live[order.group])
    this.#waiting.push(order)
    if (!this.#isBusy) this.#begin()
  }

  /** Power is lost. */
  crash(): void {
    this.#powerCycles++
    const survivors = this.#dice.below(this.#written.length + 1)
    for (const { group, record } of this.#written.slice(0, survivors)) record(this.#durable[group])
    this.#written = []
    this.#waiting = []
    this.#isBusy = false
    this.failsNextSync = false
    this.#live = this.#durable.map(log => log.copy())
  }

  /** All that waits goes out in one write, with one sync if any of it needs one. */
  #begin(): void {
    const batch = this.#waiting
    if (batch.length === 0) return
    this.#waiting = []
    this.#isBusy = true
    for (const { group, records } of batch) {
      for (const record of records) this.#written.push({ group, record })
    }
    const isSynced = !this.#lies && batch.some(({ mustSync }) => mustSync)
    const parts = isSynced ? 2 : 1
    const powerCycle = this.#powerCycles
    this.#queue.after(this.#dice.between(0.05, parts * this.latencyMs), () => {
      if (powerCycle !== this.#powerCycles) return
      if (isSynced && this.failsNextSync) this.onFailed()
      else this.#finish(batch, isSynced)
    })
  }

  #finish(batch: readonly DiskOrder[], isSynced: boolean): void {
    const powerCycle = this.#powerCycles
    if (isSynced) this.#sync(this.#written.length - countOf(batch))
    for (const order of batch) {
      // One after the other: what a response promises is compared with what is durable just then.
      if (isSynced) this.#sync(order.records.length)
      if (!this.#showsHandedOver) {
        for (const record of order.records) record(this.#live[order.group])
      }
      order.done()
      if (powerCycle !== this.#powerCycles) return
    }
    this.#isBusy = false
    this.#begin()
  }

  #sync(count: number): void {
    for (const { group, record } of this.#written.splice(0, count)) record(this.#durable[group])
  }
}

function countOf(batch: readonly DiskOrder[]): number {
  return batch.reduce((sum, { records }) => sum + records.length, 0)
}

/**
 * The records of an append. The commit index comes last: recovered without the entries that it
 * counts, it would commit what they were to replace.
 */
export function recordsOf(work: AppendWork, keepsCommit: boolean): DiskRecord[] {
  const { hardState, snapshot, entries } = work
  const records: DiskRecord[] = []
  if (hardState !== undefined) {
    const { term, vote } = hardState
    records.push(log => {
      log.hardState = { term, vote, commit: log.hardState?.commit ?? 0 }
    })
  }
  if (snapshot !== undefined) {
    records.push(log => {
      log.write({ hardState: undefined, snapshot, entries: [] })
      log.newest = snapshot
    })
  }
  for (const entry of entries) {
    records.push(log => log.write({ hardState: undefined, snapshot: undefined, entries: [entry] }))
  }
  if (hardState !== undefined && keepsCommit) {
    records.push(log => {
      log.hardState = hardState
    })
  }
  return records
}
