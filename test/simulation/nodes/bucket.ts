/**
 * One bucket for all nodes, and each node's way to it: calls take time on the way there and back,
 * and fail by a plan. What has left a node is done even if the node stops meanwhile.
 */
import { MemoryObjectStore } from '../../../src/main/object-stores/memory-object-store.ts'
import type {
  CallOptions,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectPage,
  ObjectStore,
  PutAnswer,
  PutOptions,
} from '../../../src/shared/object-store.ts'
import { type FaultPlan, FaultyObjectStore } from '../../object-stores/faulty-object-store.ts'
import type { Dice } from '../dice.ts'
import type { EventQueue } from '../event-queue.ts'
import { BucketGuard } from './bucket-guard.ts'
import type { Host } from './host.ts'
import { Tails } from './tails.ts'

/** A store that watches what is in it. */
export class Bucket extends MemoryObjectStore {
  readonly guard: BucketGuard = new BucketGuard()
  readonly tails: Tails = new Tails()
  readonly #onDefect: (error: unknown) => void

  constructor(now: () => number, onDefect: (error: unknown) => void) {
    super(now)
    this.#onDefect = onDefect
  }

  override async put(key: string, body: Uint8Array, options?: PutOptions): Promise<PutAnswer> {
    const outcome = await super.put(key, body, options)
    if (outcome !== 'created') return outcome
    this.#watch(() => {
      this.guard.wasPut(key, body)
      this.tails.created(key, body)
    })
    return outcome
  }

  override async delete(keys: readonly string[], options?: CallOptions): Promise<void> {
    await super.delete(keys, options)
    for (const key of keys) this.#watch(() => this.guard.wasDeleted(key))
  }

  #watch(look: () => void): void {
    try {
      look()
    } catch (error) {
      this.#onDefect(error)
    }
  }
}

export interface BucketWeather {
  /** Of each way. */
  latencyMs: number
  /** Percent of calls that fail before they are done, and of those whose answer is lost. */
  failedPercent: number
  lostPercent: number
  /** Percent of calls that are never answered, and of gets that come cut short. */
  hungPercent: number
  cutPercent: number
}

export const FAIR_BUCKET: Readonly<BucketWeather> = {
  latencyMs: 10,
  failedPercent: 0,
  lostPercent: 0,
  hungPercent: 0,
  cutPercent: 0,
}

export class BucketAccess implements ObjectStore {
  readonly #queue: EventQueue
  readonly #dice: Dice
  readonly #host: Host
  readonly #store: FaultyObjectStore
  weather: BucketWeather = { ...FAIR_BUCKET }

  constructor(queue: EventQueue, dice: Dice, host: Host, bucket: Bucket) {
    this.#queue = queue
    this.#dice = dice
    this.#host = host
    this.#store = new FaultyObjectStore(bucket, this.#plan)
  }

  readonly #plan: FaultPlan = () => {
    const { failedPercent, lostPercent, hungPercent, cutPercent } = this.weather
    const drawn = this.#dice.between(0, 100)
    let limit = failedPercent
    if (drawn < limit) return this.#dice.chance(50) ? 'errorBefore' : 'throttle'
    limit += lostPercent
    if (drawn < limit) return 'errorAfter'
    limit += hungPercent
    if (drawn < limit) return 'hang'
    return drawn < limit + cutPercent ? 'truncate' : null
  }

  put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<PutAnswer> {
    const { signal: _, ...rest } = options
    return this.#call(options, () => this.#store.put(key, body, rest))
  }

  get(key: string, options: GetOptions = {}): Promise<Uint8Array | null> {
    const { signal: _, ...rest } = options
    return this.#call(options, () => this.#store.get(key, rest))
  }

  head(key: string, options: CallOptions = {}): Promise<ObjectInfo | null> {
    return this.#call(options, () => this.#store.head(key))
  }

  list(prefix: string, options: ListOptions = {}): Promise<ObjectPage> {
    const { signal: _, ...rest } = options
    return this.#call(options, () => this.#store.list(prefix, rest))
  }

  delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    return this.#call(options, () => this.#store.delete(keys))
  }

  /** An abort ends the waiting; what is on its way is done all the same. */
  #call<T>({ signal }: CallOptions, perform: () => Promise<T>): Promise<T> {
    const host = this.#host
    return new Promise((resolve, reject) => {
      if (signal?.aborted) throw signal.reason
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      if (!host.takesEffect()) return
      const { life } = host
      const answer = (settle: () => void): void =>
        this.#queue.after(this.#delayMs(), () => {
          if (life === host.life) host.run(settle)
        })
      this.#queue.after(this.#delayMs(), () => {
        perform().then(
          value => answer(() => resolve(value)),
          (error: unknown) => answer(() => reject(error)),
        )
      })
    })
  }

  #delayMs(): number {
    return this.#dice.between(0.5, this.weather.latencyMs)
  }
}
