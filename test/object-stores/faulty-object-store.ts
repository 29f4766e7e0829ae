/**
 * An object store that fails on purpose. A plan says, call by call, which fault happens; the
 * seeded plan makes a run repeatable.
 *
 *   const store = new FaultyObjectStore(inner, seededPlan(7, { errorAfter: 0.2, delay: 0.1 }))
 *   const store = new FaultyObjectStore(inner, scriptedPlan('errorAfter', null, 'hang'))
 *
 * | fault       | what happens                                                               |
 * | ----------- | -------------------------------------------------------------------------- |
 * | errorBefore | rejects with UNAVAILABLE; the inner store is not called                    |
 * | errorAfter  | the inner call is done, then UNAVAILABLE: the answer was lost              |
 * | throttle    | rejects with UNAVAILABLE, cause SlowDown; the inner store is not called    |
 * | delay       | waits delayMs, then does the call unless it was aborted by then            |
 * | hang        | never done, never answered; ends with the caller's abort                   |
 * | late        | never answered; done after delayMs, whether aborted by then or not         |
 * | truncate    | a get resolves to the first half of its bytes; other calls are not touched |
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { MetastoreError } from '../../src/codec/errors.ts'
import type {
  CallOptions,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectPage,
  ObjectStore,
  PutAnswer,
  PutOptions,
} from '../../src/shared/object-store.ts'

export type Fault =
  | 'errorBefore'
  | 'errorAfter'
  | 'throttle'
  | 'delay'
  | 'hang'
  | 'late'
  | 'truncate'

export interface FaultyCall {
  readonly method: keyof ObjectStore
  /** The key, the prefix, or the keys joined by commas. */
  readonly key: string
  /** Counts from 0 over all methods. */
  readonly index: number
}

export type FaultPlan = (call: FaultyCall) => Fault | null

/** Each fault with its probability; the same seed and calls give the same faults. */
export function seededPlan(seed: number, rates: Partial<Record<Fault, number>>): FaultPlan {
  const random = seededRandom(seed)
  return () => {
    let rest = random()
    for (const [fault, rate] of Object.entries(rates)) {
      rest -= rate
      if (rest < 0) return fault as Fault
    }
    return null
  }
}

/** These faults, one a call; none after the last. */
export function scriptedPlan(...faults: readonly (Fault | null)[]): FaultPlan {
  return ({ index }) => faults[index] ?? null
}

/** In [0, 1), the same sequence for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export class FaultyObjectStore implements ObjectStore {
  /** Replace it to change the weather, for instance with `() => null`. */
  plan: FaultPlan
  /** What was called, in order, and what was done to it. */
  readonly calls: (FaultyCall & { fault: Fault | null })[] = []
  readonly #inner: ObjectStore
  readonly #delayMs: number
  readonly #lateCalls: Promise<unknown>[] = []

  constructor(inner: ObjectStore, plan: FaultPlan, delayMs = 5) {
    this.#inner = inner
    this.plan = plan
    this.#delayMs = delayMs
  }

  /** Resolves when every `late` call so far has been done. */
  async settled(): Promise<void> {
    await Promise.all(this.#lateCalls)
  }

  put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<PutAnswer> {
    return this.#call('put', key, options, rest =>
      this.#inner.put(key, body, { ...options, ...rest }),
    )
  }

  get(key: string, options: GetOptions = {}): Promise<Uint8Array | null> {
    return this.#call('get', key, options, () => this.#inner.get(key, options))
  }

  head(key: string, options: CallOptions = {}): Promise<ObjectInfo | null> {
    return this.#call('head', key, options, () => this.#inner.head(key, options))
  }

  list(prefix: string, options: ListOptions = {}): Promise<ObjectPage> {
    return this.#call('list', prefix, options, () => this.#inner.list(prefix, options))
  }

  delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    return this.#call('delete', keys.join(','), options, rest =>
      this.#inner.delete(keys, { ...options, ...rest }),
    )
  }

  async #call<T>(
    method: keyof ObjectStore,
    key: string,
    { signal }: CallOptions,
    perform: (override?: CallOptions) => Promise<T>,
  ): Promise<T> {
    const call = { method, key, index: this.calls.length }
    const fault = this.plan(call)
    this.calls.push({ ...call, fault })
    switch (fault) {
      case 'errorBefore':
        throw injected(call, 'failed before it was done')
      case 'throttle':
        throw injected(call, 'was throttled', slowDown())
      case 'errorAfter':
        await perform()
        throw injected(call, 'was done, but the answer was lost')
      case 'delay':
        await sleep(this.#delayMs)
        signal?.throwIfAborted()
        return await perform()
      case 'hang':
        return await untilAborted(signal)
      case 'late':
        // A signal of its own: what the network has taken, an abort does not take back.
        this.#lateCalls.push(this.#performLate(perform))
        return await untilAborted(signal)
      case 'truncate':
        return firstHalf(await perform())
      case null:
        return await perform()
    }
  }

  async #performLate<T>(perform: (override: CallOptions) => Promise<T>): Promise<void> {
    await sleep(this.#delayMs)
    // Nobody hears the answer, whatever it is.
    await Promise.allSettled([perform({ signal: new AbortController().signal })])
  }
}

function injected({ method, key }: FaultyCall, what: string, cause?: Error): MetastoreError {
  return new MetastoreError('UNAVAILABLE', `injected: ${method} of '${key}' ${what}`, { cause })
}

function slowDown(): Error {
  const error = new Error('Please reduce your request rate.')
  error.name = 'SlowDown'
  return error
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal?.aborted) reject(signal.reason)
    else signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

function firstHalf<T>(answer: T): T {
  if (!(answer instanceof Uint8Array)) return answer
  return answer.slice(0, answer.length >>> 1) as T
}
