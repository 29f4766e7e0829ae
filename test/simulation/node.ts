/**
 * A node: its groups, the disk that they share, a clock of its own speed. It works in small steps,
 * may be stopped before any of them, and then goes on from what its disk has.
 */
import type { Message } from '../../src/main/raft/message.ts'
import type { Dice } from './dice.ts'
import { type Disk, recordsOf } from './disk.ts'
import type { EventQueue } from './event-queue.ts'
import type { Invariants } from './invariants.ts'
import type { Command } from './machine.ts'
import { type ReadAnswer, Replica } from './replica.ts'
import type { ClusterSettings } from './settings.ts'
import type { Trace } from './trace.ts'

/** Thrown where the node loses power. */
const POWER_LOSS: unique symbol = Symbol('power loss')
/** A turn follows what woke the node within this time; much may come together in it. */
const TURN_DELAY_MS = 0.5
/** Applying a few entries takes up to this long. */
export const APPLY_DELAY_MS = 3
/** An answer to a read of an earlier life must not be taken for one of this. */
const CONTEXTS_A_LIFE = 1_000_000

export interface NodeOptions {
  readonly id: number
  readonly settings: ClusterSettings
  readonly queue: EventQueue
  readonly dice: Dice
  readonly disk: Disk
  /** By group. */
  readonly invariants: readonly Invariants[]
  readonly send: (group: number, message: Message) => void
  readonly onApplied: (command: Command) => void
  readonly trace: Trace
}

export class SimNode {
  readonly id: number
  readonly disk: Disk
  readonly #options: NodeOptions
  readonly #clockRate: number
  #replicas: Replica[] = []
  /** Counts starts: what was planned before the last one is void. */
  #life = 0
  #isUp = false
  #isPaused = false
  #missed: (() => void)[] = []
  #stepsToPowerLoss = Number.POSITIVE_INFINITY
  #nextTickMs = 0
  #isTurnPlanned = false
  #isApplyPlanned = false
  applyDelayMs: number = APPLY_DELAY_MS

  constructor(options: NodeOptions) {
    this.#options = options
    this.id = options.id
    this.disk = options.disk
    this.disk.onFailed = () => this.#run(() => this.stop('its disk failed'))
    const { dice, settings } = options
    const { driftMax, isInLockstep } = settings
    const rate = dice.pick([1, 1 + driftMax, dice.between(1, 1 + driftMax)])
    this.#clockRate = isInLockstep ? 1 : rate
  }

  get isUp(): boolean {
    return this.#isUp
  }

  replica(group: number): Replica {
    return this.#replicas[group]
  }

  /** Monotonic milliseconds, by this node. */
  get #clockMs(): number {
    return this.#options.queue.nowMs * this.#clockRate
  }

  // -------------------------------------------------------------- life

  start(): void {
    if (this.#isUp) return
    const { settings, dice, invariants, onApplied, trace } = this.#options
    this.#isUp = true
    this.#isTurnPlanned = false
    this.#isApplyPlanned = false
    this.#replicas = invariants.map((of, number) => {
      const log = this.disk.live(number)
      const firstContext = this.#life * CONTEXTS_A_LIFE
      const shared = { settings, dice, invariants: of, onApplied, firstContext }
      return new Replica({ ...shared, node: this.id, number, log })
    })
    trace(() => `node ${this.id} starts: ${this.#replicas.map(stateOf).join(', ')}`)
    const { tickMs, isInLockstep } = settings
    this.#nextTickMs = this.#clockMs + (isInLockstep ? tickMs : dice.between(0, tickMs))
    this.#planTick()
    this.#wake()
  }

  /** Power is lost at once. */
  stop(why: string): void {
    if (!this.#isUp) return
    this.#options.trace(() => `node ${this.id} stops: ${why}`)
    this.#isUp = false
    this.#isPaused = false
    this.#missed = []
    this.#life++
    this.#stepsToPowerLoss = Number.POSITIVE_INFINITY
    this.disk.crash()
    this.#replicas = []
  }

  /** Power is lost after so many steps. */
  stopAfter(steps: number): void {
    this.#stepsToPowerLoss = steps
  }

  /** As SIGSTOP: nothing runs, what arrives waits; the disk goes on by itself. */
  pause(): void {
    this.#isPaused = this.#isUp
  }

  goOn(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    const missed = this.#missed
    this.#missed = []
    for (const work of missed) this.#run(work)
  }

  /** Work of this node: it waits while the node is paused, and may end with it. */
  #run(work: () => void): void {
    if (!this.#isUp) return
    if (this.#isPaused) {
      const life = this.#life
      this.#missed.push(() => {
        if (life === this.#life) work()
      })
      return
    }
    try {
      work()
    } catch (error) {
      if (error !== POWER_LOSS) throw error
      this.stop('power loss')
      return
    }
    if (this.#isUp) this.#observe()
  }

  #later(delayMs: number, work: () => void): void {
    const life = this.#life
    this.#options.queue.after(delayMs, () => {
      if (life === this.#life) this.#run(work)
    })
  }

  /** Between any two of them the node may lose power. */
  #step(): void {
    if (--this.#stepsToPowerLoss <= 0) throw POWER_LOSS
  }

  #observe(): void {
    for (const { number, core } of this.#replicas) {
      this.#options.invariants[number].observe(this.id, core)
    }
  }

  // -------------------------------------------------------------- what comes in

  receive(group: number, message: Message): void {
    this.#run(() => {
      this.#step()
      this.replica(group).core.step(message)
      this.#wake()
    })
  }

  /** @param answer what came of it: applied, or refused for good */
  write(group: number, command: Command, answer: (isApplied: boolean) => void): void {
    if (!this.#isUp) answer(false)
    this.#run(() => {
      this.#step()
      if (!this.replica(group).write(command, () => answer(true))) answer(false)
      this.#wake()
    })
  }

  read(group: number, key: string, answer: ReadAnswer): void {
    this.#run(() => {
      this.#step()
      this.replica(group).read(key, this.#clockMs, answer)
      this.#wake()
    })
  }

  /** Something that an operator asks of the group's core. */
  ask(group: number, what: (replica: Replica) => void): void {
    this.#run(() => {
      this.#step()
      what(this.replica(group))
      this.#wake()
    })
  }

  #planTick(): void {
    const { dice, settings } = this.#options
    const dueMs = Math.max(0, this.#nextTickMs - this.#clockMs) / this.#clockRate
    const lateMs = !settings.isInLockstep && dice.chance(20) ? dice.between(0, settings.tickMs) : 0
    this.#later(dueMs + lateMs, () => {
      this.#nextTickMs = this.#clockMs + settings.tickMs
      for (const { core } of this.#replicas) {
        this.#step()
        core.tick(this.#clockMs)
      }
      this.#wake()
      this.#planTick()
    })
  }

  // -------------------------------------------------------------- turns

  #wake(): void {
    if (this.#isTurnPlanned) return
    this.#isTurnPlanned = true
    this.#later(this.#options.dice.between(0, TURN_DELAY_MS), () => {
      this.#isTurnPlanned = false
      for (const replica of this.#replicas) if (replica.core.hasReady()) this.#turn(replica)
    })
  }

  #turn(replica: Replica): void {
    const { number, core } = replica
    const ready = core.ready()
    const { trace } = this.#options
    if (ready.softState !== undefined) trace(() => `node ${this.id}: ${stateOf(replica)}`)
    for (const message of ready.messages) this.#send(number, message)
    for (const { context, index } of ready.reads) replica.readReleased(context, index)
    for (const context of ready.readsDropped) replica.readDropped(context)
    if (ready.append !== undefined) this.#append(replica, ready.append)
    if (ready.apply !== undefined) {
      replica.handedOut(ready.apply)
      this.#planApply()
    }
  }

  #send(group: number, message: Message): void {
    this.#step()
    this.#options.invariants[group].sent(this.id, message)
    this.#options.send(group, message)
  }

  #append(
    replica: Replica,
    work: NonNullable<ReturnType<Replica['core']['ready']>['append']>,
  ): void {
    this.#step()
    const { settings, invariants } = this.#options
    const { number } = replica
    invariants[number].handedOver(this.id, work)
    const respond = (): void => {
      if (work.snapshot !== undefined) replica.install(this.disk.live(number))
      for (const response of work.responses) {
        if (response.to === this.id) {
          invariants[number].sent(this.id, response)
          this.#step()
          replica.core.step(response)
        } else this.#send(number, response)
      }
      this.#wake()
    }
    const records = recordsOf(work, settings.keepsCommit)
    const life = this.#life
    const done = (): void => {
      if (life === this.#life) this.#run(respond)
    }
    this.disk.order({ group: number, records, mustSync: work.mustSync, done })
  }

  #planApply(): void {
    if (this.#isApplyPlanned) return
    this.#isApplyPlanned = true
    this.#later(this.#options.dice.between(0, this.applyDelayMs), () => {
      this.#isApplyPlanned = false
      for (const replica of this.#replicas) this.#applySome(replica)
      this.#wake()
      if (this.#replicas.some(({ hasToApply }) => hasToApply)) this.#planApply()
    })
  }

  #applySome(replica: Replica): void {
    const { dice, settings } = this.#options
    for (let left = dice.whole(1, 8); left > 0 && replica.hasToApply; left--) {
      this.#step()
      replica.applyNext()
    }
    const { machine } = replica
    const isDue = machine.index >= replica.checkpointIndex + settings.checkpointEntries
    if (isDue) this.#checkpoint(replica)
  }

  /** The state becomes durable, and then the log before it, or a part of it, is let go. */
  #checkpoint(replica: Replica): void {
    this.#step()
    const { number, machine } = replica
    const snapshot = machine.snapshot()
    replica.checkpointIndex = snapshot.index
    const { disk } = this
    const cutIndex = snapshot.index - this.#options.dice.below(5)
    disk.order({
      group: number,
      mustSync: true,
      records: [
        log => {
          if (snapshot.index > log.newest.index) log.newest = snapshot
        },
        log => {
          const isThere = cutIndex >= log.firstIndex() && cutIndex <= log.lastIndex()
          if (isThere) log.compact(cutIndex)
        },
      ],
      done: () => {},
    })
  }
}

function stateOf({ number, core }: Replica): string {
  const { role, term, lead, commit } = core
  return `group ${number} ${role} term ${term} lead ${lead} commit ${commit}`
}
