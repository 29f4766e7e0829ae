/** A bucket that can be told to be slow, and to fail before or after it did what was asked. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ObjectStore } from '../../src/index.ts'

export interface BucketWeather {
  /** Milliseconds before each call, up to. */
  readonly delayMsMax: number
  /** Of calls; of those one half has been carried out all the same. */
  readonly failPercent: number
}

export const FAIR_BUCKET: BucketWeather = { delayMsMax: 0, failPercent: 0 }

export class FaultyObjectStore implements ObjectStore {
  readonly #store: ObjectStore
  weather: BucketWeather = FAIR_BUCKET

  constructor(store: ObjectStore) {
    this.#store = store
  }

  put(...args: Parameters<ObjectStore['put']>): ReturnType<ObjectStore['put']> {
    return this.#call(() => this.#store.put(...args))
  }

  get(...args: Parameters<ObjectStore['get']>): ReturnType<ObjectStore['get']> {
    return this.#call(() => this.#store.get(...args))
  }

  head(...args: Parameters<ObjectStore['head']>): ReturnType<ObjectStore['head']> {
    return this.#call(() => this.#store.head(...args))
  }

  list(...args: Parameters<ObjectStore['list']>): ReturnType<ObjectStore['list']> {
    return this.#call(() => this.#store.list(...args))
  }

  delete(...args: Parameters<ObjectStore['delete']>): ReturnType<ObjectStore['delete']> {
    return this.#call(() => this.#store.delete(...args))
  }

  async #call<T>(work: () => Promise<T>): Promise<T> {
    const { delayMsMax, failPercent } = this.weather
    if (delayMsMax > 0) await sleep(Math.random() * delayMsMax)
    const luck = Math.random() * 100
    if (luck < failPercent / 2) throw new Error('the bucket was told to fail')
    const result = await work()
    if (luck < failPercent) throw new Error('the bucket was told to fail, after it had done it')
    return result
  }
}
