/** All key-value stores, open, with the same rows in them. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { BenchContext } from './bench-context.ts'
import { WAYMARK } from './measure.ts'
import type { Contender, KeyValueStore } from './peers/key-value-store.ts'
import type { Rows } from './rows.ts'
import { openWaymarkLevel } from './waymark-level-store.ts'

const BATCH_ROWS = 1000

interface OpenStore {
  contender: Pick<Contender, 'name' | 'open'>
  directory: string
  store: KeyValueStore
}

export class LoadedStores implements AsyncDisposable {
  readonly #stores: OpenStore[] = []

  /** Opens them in folders of their own, and loads the rows in random order. */
  static async open(context: BenchContext, rows: Rows): Promise<LoadedStores> {
    const stores = new LoadedStores()
    const own = { name: WAYMARK, open: openWaymarkLevel }
    for (const contender of [own, ...context.peers]) {
      const directory = join(context.directory, contender.name.replace('/', '-'))
      await mkdir(directory)
      const store = await contender.open(directory)
      stores.#stores.push({ contender, directory, store })
      await load(store, rows)
    }
    return stores
  }

  entries(): { name: string; store: KeyValueStore }[] {
    return this.#stores.map(({ contender: { name }, store }) => ({ name, store }))
  }

  /** Settles all of them and opens them again. */
  async settle(): Promise<void> {
    for (const one of this.#stores) {
      await one.store.settle()
      await one.store.close()
      one.store = await one.contender.open(one.directory)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { store } of this.#stores) await store.close()
  }
}

async function load(store: KeyValueStore, rows: Rows): Promise<void> {
  const order = rows.order('random')
  for (let from = 0; from < order.length; from += BATCH_ROWS) {
    await store.putBatch(Array.from(order.subarray(from, from + BATCH_ROWS), row => rows.row(row)))
  }
}
