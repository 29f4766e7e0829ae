/**
 * Actors over one bucket: each of their requests is a step, and which actor makes the next one is
 * drawn. Time goes on with the steps.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MemoryObjectStore } from '../../../src/main/object-stores/memory-object-store.ts'
import type { ObjectStore } from '../../../src/shared/object-store.ts'
import { Dice } from '../dice.ts'

const STEP_MS_MAX = 5

type PutAnswer = ReturnType<ObjectStore['put']>

/** A bucket that knows its keys at once. */
class KnownStore extends MemoryObjectStore {
  readonly keys: Set<string> = new Set()

  override put(...[key, body, options]: Parameters<ObjectStore['put']>): PutAnswer {
    this.keys.add(key)
    return super.put(key, body, options)
  }

  override delete(...[keys, options]: Parameters<ObjectStore['delete']>): Promise<void> {
    for (const key of keys) this.keys.delete(key)
    return super.delete(keys, options)
  }
}

export class World {
  now = 1_000_000
  readonly dice: Dice
  /** The bucket, at once. */
  readonly store: KnownStore = new KnownStore(() => this.now)
  /** The bucket, a step a request. */
  readonly bucket: ObjectStore
  steps = 0
  readonly #parked: (() => void)[] = []
  #running = 0
  #failure: unknown

  constructor(seed: number) {
    this.dice = new Dice(seed)
    const { store } = this
    const stepped =
      <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        await this.turn()
        return call.apply(store, args)
      }
    this.bucket = {
      put: stepped(store.put),
      get: stepped(store.get),
      head: stepped(store.head),
      list: stepped(store.list),
      delete: stepped(store.delete),
    }
  }

  get hasActors(): boolean {
    return this.#running > 0
  }

  spawn(act: () => Promise<void>): void {
    this.#running++
    act()
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => {
        this.#running--
      })
  }

  /** Resolves when the actor is drawn. */
  turn(): Promise<void> {
    return new Promise(resolve => this.#parked.push(resolve))
  }

  /** One step of one actor. @throws what an actor has failed with */
  async step(): Promise<void> {
    await this.#settle()
    if (this.#parked.length === 0 && this.#running > 0) throw new Error('all wait for another')
    if (this.#parked.length > 0) {
      this.steps++
      this.now += this.dice.whole(0, STEP_MS_MAX)
      const [drawn] = this.#parked.splice(this.dice.below(this.#parked.length), 1)
      drawn()
      await this.#settle()
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  /** A UUID that the seed decides. */
  uuid(): string {
    const digits = Array.from({ length: 32 }, () => this.dice.below(16).toString(16)).join('')
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  }

  /** Until every actor waits: for its turn, or for another actor. */
  async #settle(): Promise<void> {
    await nextTurn()
  }
}
