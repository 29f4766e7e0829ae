/**
 * `waymark/level`: an abstract-level database over the rows of one metastore partition, for generic
 * key-value use. Keys and values are bytes underneath; encodings are abstract-level's.
 *
 * Reads are of one snapshot each: iterators and clear() take theirs when they begin, getMany() and
 * hasMany() when called, and snapshot() gives one to keep.
 */
import { join } from 'node:path'
import {
  type AbstractDatabaseOptions,
  AbstractLevel,
  type AbstractOpenOptions,
} from 'abstract-level'
import {
  LevelIterator,
  LevelKeyIterator,
  LevelValueIterator,
} from './main/level/level-iterators.ts'
import { type LevelRange, limitOf, scanOfRange } from './main/level/level-range.ts'
import type { LevelRowsOptions } from './main/level/level-rows.ts'
import { LevelSnapshot } from './main/level/level-snapshot.ts'
import { Metastore } from './main/metastore.ts'
import type { MetastoreOptions } from './main/options.ts'
import type { RecordSnapshot } from './main/record-snapshot.ts'
import { goOnAfter, type RecordReadOptions, type RecordStore } from './main/record-store.ts'
import { DataDir } from './main/recovery/data-dir.ts'
import type { TopicPartition } from './shared/api.ts'

/** The rows live beside a partition that no topic has. */
const PLACE: TopicPartition = { topicId: '00000000-0000-0000-0000-000000000000', partition: 0 }
const KIND = 'level'
/** Rows that clear() deletes at once. */
const CLEARED_ROWS = 1000

/** What abstract-level is told of us; what is left out is not supported. */
const MANIFEST = {
  encodings: { buffer: true },
  has: true,
  getSync: true,
  seek: true,
  implicitSnapshots: true,
  explicitSnapshots: true,
  createIfMissing: true,
  errorIfExists: true,
  signals: { iterators: true },
  additionalMethods: { flush: true, compact: true },
}

/** Options of the metastore underneath; its dataDir is `{location}/data`. */
export type WaymarkLevelOptions<K, V> = AbstractDatabaseOptions<K, V> &
  Partial<Omit<MetastoreOptions, 'dataDir' | 'partitions' | 'workers'>>

/** Those of the options that are the metastore's; others are for abstract-level and its hooks. */
const METASTORE_OPTIONS = [
  'objectStore',
  's3',
  'durability',
  'clusterId',
  'logger',
  'ioThreads',
  'flushIntervalMs',
  'tailIntervalMs',
  'memtableBytesMax',
  'logBytesMax',
  'cacheBytesMax',
  'blockCacheBytesMax',
  'tableMemoryBytesMax',
  'compression',
  'garbageDelayMs',
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

interface LevelReadOptions {
  snapshot?: LevelSnapshot
}

type Operation = { type: 'put'; key: Buffer; value: Buffer } | { type: 'del'; key: Buffer }

export class WaymarkLevel<K = string, V = string> extends AbstractLevel<Buffer, K, V> {
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
    super(MANIFEST, levelOptions(options))
    if (typeof location !== 'string' || location === '') {
      throw new TypeError("The first argument 'location' must be a non-empty string")
    }
    this.location = location
    this.#options = metastoreOptions(options)
  }

  // ---------------------------------------------------------------- more than abstract-level has

  /** Writes what is in memory to tables in the bucket; what was put before is then safe there. */
  async flush(): Promise<void> {
    await this.#opened.flush()
  }

  /** Flushes and merges all tables; for after large deletes. */
  async compact(): Promise<void> {
    await this.#opened.compact()
  }

  get #opened(): Metastore {
    if (this.#metastore === undefined) throw notOpen()
    return this.#metastore
  }

  get #rows(): RecordStore {
    if (this.#records === undefined) throw notOpen()
    return this.#records
  }

  // ---------------------------------------------------------------- what abstract-level asks for

  async _open({ createIfMissing, errorIfExists }: AbstractOpenOptions): Promise<void> {
    const dataDir = join(this.location, 'data')
    if (createIfMissing === false || errorIfExists === true) {
      const exists = await DataDir.isCreated(dataDir)
      if (!exists && createIfMissing === false) {
        throw new Error(`Database ${this.location} does not exist (createIfMissing is false)`)
      }
      if (exists && errorIfExists === true) {
        throw new Error(`Database ${this.location} exists (errorIfExists is true)`)
      }
    }
    const metastore = await Metastore.open({
      objectStore: `file:${join(this.location, 'bucket')}`,
      ...this.#options,
      dataDir,
      partitions: 1,
    })
    this.#metastore = metastore
    this.#records = metastore.records(KIND)
  }

  async _close(): Promise<void> {
    await this.#metastore?.close()
    this.#metastore = undefined
    this.#records = undefined
  }

  async _get(key: Buffer, options: LevelReadOptions): Promise<Buffer | undefined> {
    return bufferOf(await this.#rows.get(PLACE, key, recordOptions(options)))
  }

  _getSync(key: Buffer, options: LevelReadOptions): Buffer | undefined {
    return bufferOf(this.#rows.getSync(PLACE, key, recordOptions(options)))
  }

  async _getMany(keys: Buffer[], options: LevelReadOptions): Promise<(Buffer | undefined)[]> {
    const values = await this.#atSnapshot(options, o => this.#rows.getMany(PLACE, keys, o))
    return values.map(bufferOf)
  }

  async _has(key: Buffer, options: LevelReadOptions): Promise<boolean> {
    const [isThere] = await this.#rows.hasMany(PLACE, [key], recordOptions(options))
    return isThere
  }

  async _hasMany(keys: Buffer[], options: LevelReadOptions): Promise<boolean[]> {
    return await this.#atSnapshot(options, o => this.#rows.hasMany(PLACE, keys, o))
  }

  async _put(key: Buffer, value: Buffer): Promise<void> {
    await this.#rows.put(PLACE, key, value)
  }

  async _del(key: Buffer): Promise<void> {
    await this.#rows.delete(PLACE, key)
  }

  async _batch(operations: Operation[]): Promise<void> {
    const batch = operations.map(operation =>
      operation.type === 'put' ? operation : { type: 'delete' as const, key: operation.key },
    )
    await this.#rows.batch(PLACE, batch)
  }

  /** Deletes what the snapshot has in the range, in batches. */
  async _clear(range: LevelRange & LevelReadOptions): Promise<void> {
    await this.#atSnapshot(range, async o => {
      const scan = scanOfRange(range, false)
      for (let left = limitOf(range); left > 0; ) {
        const page = await this.#rows.page(PLACE, scan, Math.min(left, CLEARED_ROWS), o)
        const deletes: { type: 'delete'; key: Uint8Array }[] = []
        while (page.next()) deletes.push({ type: 'delete', key: page.key() })
        if (deletes.length > 0) await this.#rows.batch(PLACE, deletes)
        if (page.isEnd) return
        left -= deletes.length
        goOnAfter(scan, page)
      }
    })
  }

  _iterator(options: LevelRowsOptions): LevelIterator<K, V> {
    return new LevelIterator<K, V>(this, this.#rows, PLACE, options)
  }

  _keys(options: LevelRowsOptions): LevelKeyIterator<K, V> {
    return new LevelKeyIterator<K, V>(this, this.#rows, PLACE, options)
  }

  _values(options: LevelRowsOptions): LevelValueIterator<K, V> {
    return new LevelValueIterator<K, V>(this, this.#rows, PLACE, options)
  }

  _snapshot(options: object): LevelSnapshot {
    return new LevelSnapshot(options, this.#rows.snapshot(PLACE))
  }

  /** Runs reads that belong together at the snapshot given, else at one of their own. */
  async #atSnapshot<T>(
    { snapshot }: LevelReadOptions,
    reads: (options: { snapshot: RecordSnapshot }) => Promise<T>,
  ): Promise<T> {
    if (snapshot != null) return await reads({ snapshot: snapshot.records })
    const own = this.#rows.snapshot(PLACE)
    try {
      return await reads({ snapshot: own })
    } finally {
      own.release()
    }
  }
}

function recordOptions({ snapshot }: LevelReadOptions): RecordReadOptions | undefined {
  return snapshot == null ? undefined : { snapshot: snapshot.records }
}

function bufferOf(bytes: Uint8Array | undefined): Buffer | undefined {
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** As abstract-level says it. */
function notOpen(): Error {
  return Object.assign(new Error('Database is not open'), { code: 'LEVEL_DATABASE_NOT_OPEN' })
}
