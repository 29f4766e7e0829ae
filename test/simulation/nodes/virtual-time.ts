/**
 * Virtual time for real code: while it is installed, timers, clocks and chance of this process are
 * those of a simulation. Whose timer it is follows from whose event runs: one event concerns one
 * host, and all microtasks of an event are run before the next.
 *
 * Production code so needs no clock or timers as arguments; only sockets, threads and files are
 * given to it.
 */
import { syncBuiltinESMExports } from 'node:module'
import timersPromises from 'node:timers/promises'
import type { Dice } from '../dice.ts'
import type { EventQueue } from '../event-queue.ts'

/** The simulated computers, as far as timers are concerned. */
export interface TimerOwner {
  /** Milliseconds that its clock is ahead. */
  readonly skewMs: number
  /** Runs it then, unless the owner has stopped until then. */
  later(delayMs: number, work: () => void): void
}

interface SignalOption {
  readonly signal?: AbortSignal | undefined
}

/** What virtual time begins at: in 2025. */
const EPOCH_MS = 1_750_000_000_000
/** Events in a row, before the event loop of the process has its turn. */
const EVENTS_A_ROUND = 64
/** A turn of an event loop. */
const TURN_MS = 0.01

const realImmediate = setImmediate
const REAL = {
  setTimeout: globalThis.setTimeout,
  setInterval: globalThis.setInterval,
  setImmediate: globalThis.setImmediate,
  clearTimeout: globalThis.clearTimeout,
  clearInterval: globalThis.clearInterval,
  clearImmediate: globalThis.clearImmediate,
}
const REAL_PROMISES = {
  setTimeout: timersPromises.setTimeout,
  setImmediate: timersPromises.setImmediate,
}
const realDateNow = Date.now
const realRandom = Math.random

class VirtualTimer {
  isCancelled = false
  ref(): this {
    return this
  }
  unref(): this {
    return this
  }
}

export class VirtualTime {
  readonly #queue: EventQueue
  readonly #dice: Dice
  /** Whose event runs. */
  owner: TimerOwner | undefined

  constructor(queue: EventQueue, dice: Dice) {
    this.#queue = queue
    this.#dice = dice
  }

  install(): void {
    Object.assign(globalThis, {
      setTimeout: (work: (...of: unknown[]) => void, delayMs = 0, ...args: unknown[]) =>
        this.#timer(delayMs, () => work(...args)),
      setInterval: (work: () => void, delayMs: number) => this.#interval(delayMs, work),
      setImmediate: (work: () => void) => this.#timer(TURN_MS, work),
      clearTimeout: cancel,
      clearInterval: cancel,
      clearImmediate: cancel,
    })
    Object.assign(timersPromises, {
      setTimeout: (delayMs: number, value: unknown, options: SignalOption = {}) =>
        this.#promised(delayMs, value, options),
      setImmediate: (value: unknown, options: SignalOption = {}) =>
        this.#promised(TURN_MS, value, options),
    })
    syncBuiltinESMExports()
    Object.defineProperty(performance, 'now', {
      configurable: true,
      value: () => this.#queue.nowMs,
    })
    Date.now = () => Math.floor(EPOCH_MS + this.#queue.nowMs + (this.owner?.skewMs ?? 0))
    Math.random = () => this.#dice.between(0, 1)
  }

  uninstall(): void {
    Object.assign(globalThis, REAL)
    Object.assign(timersPromises, REAL_PROMISES)
    syncBuiltinESMExports()
    Reflect.deleteProperty(performance, 'now')
    Date.now = realDateNow
    Math.random = realRandom
  }

  /**
   * Everything that happens until then, each event with its microtasks.
   * @param afterEach called when those have run
   */
  runUntil(endMs: number, afterEach: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false
      const end = (settle: () => void): void => {
        isOver = true
        this.owner = undefined
        settle()
      }
      const step = (): void => {
        if (isOver) return
        try {
          afterEach()
          this.owner = undefined
          const run = this.#queue.takeNext(endMs)
          if (run === undefined) end(resolve)
          else run()
        } catch (error) {
          end(() => reject(error))
        }
      }
      const round = (): void => {
        if (isOver) return
        for (let i = 0; i < EVENTS_A_ROUND; i++) realImmediate(step)
        realImmediate(round)
      }
      round()
    })
  }

  #later(delayMs: number, work: () => void): void {
    const delay = Math.max(TURN_MS, delayMs)
    if (this.owner === undefined) this.#queue.after(delay, work)
    else this.owner.later(delay, work)
  }

  #timer(delayMs: number, work: () => void): VirtualTimer {
    const timer = new VirtualTimer()
    this.#later(delayMs, () => {
      if (!timer.isCancelled) work()
    })
    return timer
  }

  #interval(delayMs: number, work: () => void): VirtualTimer {
    const timer = new VirtualTimer()
    const again = (): void =>
      this.#later(delayMs, () => {
        if (timer.isCancelled) return
        again()
        work()
      })
    again()
    return timer
  }

  #promised(delayMs: number, value: unknown, { signal }: SignalOption): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const aborted = (): void => {
        cancel(timer)
        reject(new DOMException('The operation was aborted', 'AbortError'))
      }
      const timer = this.#timer(delayMs, () => {
        signal?.removeEventListener('abort', aborted)
        resolve(value)
      })
      if (signal?.aborted) aborted()
      else signal?.addEventListener('abort', aborted, { once: true })
    })
  }
}

function cancel(timer: unknown): void {
  if (timer instanceof VirtualTimer) timer.isCancelled = true
}
