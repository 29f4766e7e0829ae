/**
 * A simulated computer: what runs on it waits while it is paused, and is gone when it stops. It may
 * stop at any effect that others would see: a message, a write, a sync.
 */
import type { EventQueue } from '../event-queue.ts'
import type { Trace } from '../trace.ts'
import type { TimerOwner, VirtualTime } from './virtual-time.ts'

export type StopKind = 'power' | 'process'

export interface HostOptions {
  readonly id: number
  readonly queue: EventQueue
  readonly time: VirtualTime
  readonly trace: Trace
  readonly skewMs: number
}

export class Host implements TimerOwner {
  readonly id: number
  readonly skewMs: number
  readonly #options: HostOptions
  /** Counts stops: what was planned before is void. */
  life = 0
  isUp = false
  isPaused = false
  /** Nothing that it does has an effect any more; it stops at the end of the event. */
  isDying = false
  #effectsLeft = Number.POSITIVE_INFINITY
  #dyingOf: StopKind = 'power'
  #missed: (() => void)[] = []
  /** Told at once when it dies, so that its disk is what it is then. */
  onDying: (kind: StopKind) => void = () => {}

  constructor(options: HostOptions) {
    this.#options = options
    this.id = options.id
    this.skewMs = options.skewMs
  }

  start(): void {
    this.isUp = true
  }

  /** Everything that runs on it is gone. */
  stop(): void {
    this.life++
    this.isUp = false
    this.isPaused = false
    this.isDying = false
    this.#effectsLeft = Number.POSITIVE_INFINITY
    this.#missed = []
  }

  /** It stops at the end of this event; what it does until then has no effect. */
  die(kind: StopKind, why: string): void {
    if (!this.isUp || this.isDying) return
    this.#options.trace(() => `node ${this.id} dies (${kind}): ${why}`)
    this.isDying = true
    this.onDying(kind)
  }

  dieAfter(effects: number, kind: StopKind): void {
    this.#effectsLeft = effects
    this.#dyingOf = kind
  }

  /** To be asked before anything that others would see. @returns whether it happens */
  takesEffect(): boolean {
    if (!this.isUp || this.isDying) return false
    if (--this.#effectsLeft > 0) return true
    this.die(this.#dyingOf, 'at an effect')
    return false
  }

  /** As SIGSTOP: nothing runs, what arrives waits. */
  pause(): void {
    this.isPaused = this.isUp
  }

  goOn(): void {
    if (!this.isPaused) return
    this.isPaused = false
    const missed = this.#missed
    this.#missed = []
    for (const work of missed) this.later(0, work)
  }

  later(delayMs: number, work: () => void): void {
    const { life } = this
    this.#options.queue.after(delayMs, () => {
      if (life === this.life) this.run(work)
    })
  }

  /** Runs work of this host, the only one of the event. */
  run(work: () => void): void {
    if (!this.isUp || this.isDying) return
    if (this.isPaused) {
      this.#missed.push(work)
      return
    }
    const { time } = this.#options
    if (time.owner !== undefined && time.owner !== this) {
      throw new Error('an event concerns one host only')
    }
    time.owner = this
    work()
  }
}
