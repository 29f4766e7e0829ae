/** abstract-level's three iterators: entries, keys and values, over LevelRows. */
import {
  AbstractIterator,
  AbstractKeyIterator,
  type AbstractLevel,
  AbstractValueIterator,
} from 'abstract-level'
import type { TopicPartition } from '../../shared/api.ts'
import type { RecordPage } from '../../shared/reads/record-reads.ts'
import type { RecordStore } from '../record-store.ts'
import { LevelRows, type LevelRowsOptions } from './level-rows.ts'

type Database<K, V> = AbstractLevel<Buffer, K, V>
type Entry = [Buffer | undefined, Buffer | undefined]

export class LevelIterator<K, V> extends AbstractIterator<Database<K, V>, K, V> {
  readonly #rows: LevelRows<Entry>

  constructor(
    database: Database<K, V>,
    records: RecordStore,
    place: TopicPartition,
    options: LevelRowsOptions,
  ) {
    super(database, options as object)
    const { keys, values } = options
    this.#rows = new LevelRows(records, place, options, page => [
      keys === false ? undefined : pageKey(page),
      values === false ? undefined : pageValue(page),
    ])
  }

  _next(): Entry | undefined | Promise<Entry | undefined> {
    return this.#rows.next()
  }

  _nextv(size: number): Entry[] | Promise<Entry[]> {
    return this.#rows.nextMany(size)
  }

  _seek(target: Buffer): void {
    this.#rows.seek(target)
  }

  async _close(): Promise<void> {
    this.#rows.close()
  }
}

export class LevelKeyIterator<K, V> extends AbstractKeyIterator<Database<K, V>, K> {
  readonly #rows: LevelRows<Buffer>

  constructor(
    database: Database<K, V>,
    records: RecordStore,
    place: TopicPartition,
    options: LevelRowsOptions,
  ) {
    super(database, options as object)
    this.#rows = new LevelRows(records, place, { ...options, values: false }, pageKey)
  }

  _next(): Buffer | undefined | Promise<Buffer | undefined> {
    return this.#rows.next()
  }

  _nextv(size: number): Buffer[] | Promise<Buffer[]> {
    return this.#rows.nextMany(size)
  }

  _seek(target: Buffer): void {
    this.#rows.seek(target)
  }

  async _close(): Promise<void> {
    this.#rows.close()
  }
}

export class LevelValueIterator<K, V> extends AbstractValueIterator<Database<K, V>, K, V> {
  readonly #rows: LevelRows<Buffer>

  constructor(
    database: Database<K, V>,
    records: RecordStore,
    place: TopicPartition,
    options: LevelRowsOptions,
  ) {
    super(database, options as object)
    this.#rows = new LevelRows(records, place, { ...options, values: true }, pageValue)
  }

  _next(): Buffer | undefined | Promise<Buffer | undefined> {
    return this.#rows.next()
  }

  _nextv(size: number): Buffer[] | Promise<Buffer[]> {
    return this.#rows.nextMany(size)
  }

  _seek(target: Buffer): void {
    this.#rows.seek(target)
  }

  async _close(): Promise<void> {
    this.#rows.close()
  }
}

/** A view: a page has memory of its own. */
function pageKey({ bytes, keyStart, keyEnd }: RecordPage): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + keyStart, keyEnd - keyStart)
}

function pageValue({ bytes, valueStart, valueEnd }: RecordPage): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + valueStart, valueEnd - valueStart)
}
