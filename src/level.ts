/**
 * `waymark/level`: an abstract-level database over the rows of one metastore partition, for generic
 * key-value use. Keys and values are bytes underneath; encodings are abstract-level's. Iterators
 * read ahead by pages, each as of when it is fetched: they are no snapshots.
 */
import { join } from 'node:path'
import { type AbstractDatabaseOptions, AbstractIterator, AbstractLevel } from 'abstract-level'
import { Metastore } from './main/metastore.ts'
import type { MetastoreOptions } from './main/options.ts'
import type { RecordStore } from './main/record-store.ts'
import type { TopicPartition } from './shared/api.ts'

/** The rows live beside a partition that no topic has. */
const PLACE: TopicPartition = { topicId: '00000000-0000-0000-0000-000000000000', partition: 0 }
const KIND = 'level'
const FETCHED_ROWS_MIN = 100
const FETCHED_ROWS_MAX = 1000

/** Options of the metastore underneath; its dataDir is `{location}/data`. */
export type WaymarkLevelOptions<K, V> = AbstractDatabaseOptions<K, V> &
  Partial<Omit<MetastoreOptions, 'dataDir' | 'partitions' | 'workers'>>

/** Those of the options that are the metastore's; others are for abstract-level and its hooks. */
const METASTORE_OPTIONS = [
  'objectStore',
  'durability',
  'clusterId',
  'logger',
  'ioThreads',
  'flushIntervalMs',
  'memtableBytesMax',
  'blockCacheBytesMax',
  'compression',
  'readPath',
] as const satisfies (keyof MetastoreOptions)[]

function metastoreOptions(options: Partial<MetastoreOptions>): Partial<MetastoreOptions> {
  const own = METASTORE_OPTIONS.filter(name => options[name] !== undefined)
  return Object.fromEntries(own.map(name => [name, options[name]]))
}

function levelOptions<K, V>(options: WaymarkLevelOptions<K, V>): AbstractDatabaseOptions<K, V> {
  const isOwn = (name: string): boolean => METASTORE_OPTIONS.some(own => own === name)
  return Object.fromEntries(Object.entries(options).filter(([name]) => !isOwn(name)))
}

interface Range {
  gt?: Uint8Array
  gte?: Uint8Array
  lt?: Uint8Array
  lte?: Uint8Array
  reverse: boolean
  limit: number
}

type Operation =
  | { type: 'put'; key: Uint8Array; value: Uint8Array }
  | { type: 'del'; key: Uint8Array }

interface Row {
  key: Uint8Array
  value: Uint8Array
}

export class WaymarkLevel<K = string, V = string> extends AbstractLevel<Uint8Array, K, V> {
  /** Directory of the database. */
  readonly location: string
  readonly #options: Partial<MetastoreOptions>
  #metastore: Metastore | undefined
  #records: RecordStore | undefined

  /**
   * Opens by itself, at the latest with the first operation. Without `objectStore` its bucket is
   * the directory `{location}/bucket`.
   */
  constructor(location: string, options: WaymarkLevelOptions<K, V> = {}) {
    super(
      { encodings: { view: true }, seek: true, implicitSnapshots: false },
      levelOptions(options),
    )
    if (typeof location !== 'string' || location === '') {
      throw new TypeError("The first argument 'location' must be a non-empty string")
    }
    this.location = location
    this.#options = metastoreOptions(options)
  }

  async _open(): Promise<void> {
    this.#metastore = await Metastore.open({
      objectStore: `file:${join(this.location, 'bucket')}`,
      ...this.#options,
      dataDir: join(this.location, 'data'),
      partitions: 1,
    })
    this.#records = this.#metastore.records(KIND)
  }

  async _close(): Promise<void> {
    await this.#metastore?.close()
  }

  /** Rows of a range, a page at a time. For the iterator. */
  get rows(): RecordStore {
    if (this.#records === undefined) throw new Error('the database is not open')
    return this.#records
  }

  async _get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.rows.get(PLACE, key)
  }

  async _getMany(keys: Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.all(keys.map(key => this.rows.get(PLACE, key)))
  }

  async _put(key: Uint8Array, value: Uint8Array): Promise<void> {
    await this.rows.put(PLACE, key, value)
  }

  async _del(key: Uint8Array): Promise<void> {
    await this.rows.delete(PLACE, key)
  }

  async _batch(operations: Operation[]): Promise<void> {
    const batch = operations.map(operation =>
      operation.type === 'put' ? operation : { type: 'delete' as const, key: operation.key },
    )
    await this.rows.batch(PLACE, batch)
  }

  async _clear(range: Range): Promise<void> {
    const { gte, lt } = boundsOf(range)
    const limit = range.limit >= 0 ? range.limit : Number.MAX_SAFE_INTEGER
    if (limit === 0) return
    let keys: Uint8Array[] = []
    const clearPage = async (): Promise<void> => {
      const page = keys
      keys = []
      await this.rows.batch(
        PLACE,
        page.map(key => ({ type: 'delete', key })),
      )
    }
    for await (const { key } of this.rows.scan(PLACE, scanRange(gte, lt, range.reverse, limit))) {
      keys.push(key)
      if (keys.length === FETCHED_ROWS_MAX) await clearPage()
    }
    if (keys.length > 0) await clearPage()
  }

  _iterator(options: Range): WaymarkIterator<K, V> {
    return new WaymarkIterator<K, V>(this, options)
  }
}

class WaymarkIterator<K, V> extends AbstractIterator<WaymarkLevel<K, V>, K, V> {
  readonly #database: WaymarkLevel<K, V>
  readonly #reverse: boolean
  readonly #first: Uint8Array | undefined
  readonly #end: Uint8Array | undefined
  /** What is left: [#gte, #lt). */
  #gte: Uint8Array | undefined
  #lt: Uint8Array | undefined
  #fetched: Row[] = []
  #isAtEnd = false

  constructor(database: WaymarkLevel<K, V>, options: Range) {
    super(database, options as never)
    this.#database = database
    this.#reverse = options.reverse
    const { gte, lt } = boundsOf(options)
    this.#first = gte
    this.#end = lt
    this.#gte = gte
    this.#lt = lt
  }

  async _next(): Promise<[Uint8Array, Uint8Array] | undefined> {
    if (this.#fetched.length === 0) await this.#fetch(FETCHED_ROWS_MIN)
    const row = this.#fetched.shift()
    return row === undefined ? undefined : [row.key, row.value]
  }

  async _nextv(size: number): Promise<[Uint8Array, Uint8Array][]> {
    if (this.#fetched.length === 0) await this.#fetch(size)
    return this.#fetched.splice(0, size).map(({ key, value }) => [key, value])
  }

  _seek(target: Uint8Array): void {
    this.#fetched = []
    this.#isAtEnd = false
    this.#gte = this.#first
    this.#lt = this.#end
    const isBelow = this.#first !== undefined && compare(target, this.#first) < 0
    const isPast = this.#end !== undefined && compare(target, this.#end) >= 0
    // Past the range on the side that it begins at, there is nothing to go to.
    if (this.#reverse ? isBelow : isPast) this.#isAtEnd = true
    else if (this.#reverse && !isPast) this.#lt = successor(target)
    else if (!this.#reverse && !isBelow) this.#gte = target
  }

  async #fetch(wanted: number): Promise<void> {
    if (this.#isAtEnd) return
    const limit = Math.min(Math.max(wanted, FETCHED_ROWS_MIN), FETCHED_ROWS_MAX)
    const rows: Row[] = []
    const range = scanRange(this.#gte, this.#lt, this.#reverse, limit)
    for await (const row of this.#database.rows.scan(PLACE, range)) rows.push(row)
    const last = rows.at(-1)
    if (last === undefined || rows.length < limit) this.#isAtEnd = true
    else if (this.#reverse) this.#lt = last.key
    else this.#gte = successor(last.key)
    this.#fetched = rows
  }
}

function boundsOf(range: Range): { gte: Uint8Array | undefined; lt: Uint8Array | undefined } {
  return {
    // Of two bounds on one side the inclusive one counts, as abstract-level wants it.
    gte: range.gte ?? (range.gt === undefined ? undefined : successor(range.gt)),
    lt: range.lte === undefined ? range.lt : successor(range.lte),
  }
}

function scanRange(
  gte: Uint8Array | undefined,
  lt: Uint8Array | undefined,
  reverse: boolean,
  limit: number,
): { gte?: Uint8Array; lt?: Uint8Array; reverse: boolean; limit: number } {
  return {
    ...(gte === undefined ? {} : { gte }),
    ...(lt === undefined ? {} : { lt }),
    reverse,
    limit,
  }
}

/** The least key after `key`. */
function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}

function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b)
}
