/**
 * The first row, in key order, that reaches a timestamp, over several sources. Each source gives
 * candidates in key order, old versions among them; the least candidate of all is checked by a
 * point read through the view, and is the answer if the row as it is now reaches the timestamp. A
 * row that does is a candidate of the source that has its newest version, so none is missed.
 */
import { compareBytes } from '../codec/bytes.ts'
import { hasPrefix } from '../codec/keys.ts'
import { LevelTimestampScan } from './level-timestamp-scan.ts'
import type { Memtable } from './memtable.ts'
import { MemtableCursor } from './memtable-cursor.ts'
import type { FoundRow, ReadView } from './read-view.ts'
import type { TableHandle } from './tables/table-handle.ts'

/** The timestamp of a row that is no delete; undefined when it has none. */
export type TimestampOf = (key: Uint8Array, value: Uint8Array) => number | undefined

interface Candidates {
  readonly valid: boolean
  /** Borrowed until it moves. */
  key(): Uint8Array
  value(): Uint8Array
  isDelete(): boolean
  next(): void
  release(): void
}

export class TimestampSearch {
  readonly #view: Pick<ReadView, 'get'> & { readonly sequence: number }
  readonly #prefix: Uint8Array
  readonly #timestamp: number
  readonly #timestampOf: TimestampOf
  readonly #sources: Candidates[] = []

  constructor(
    view: Pick<ReadView, 'get'> & { readonly sequence: number },
    prefix: Uint8Array,
    timestamp: number,
    timestampOf: TimestampOf,
  ) {
    this.#view = view
    this.#prefix = prefix
    this.#timestamp = timestamp
    this.#timestampOf = timestampOf
  }

  addMemtable(memtable: Memtable, from: Uint8Array): void {
    const cursor = new MemtableCursor(memtable, this.#view.sequence)
    cursor.seek(from)
    this.#sources.push(Object.assign(cursor, { release: () => {} }))
  }

  /** @param level disjoint tables, by key: a level, or one table of level 0 */
  addLevel(level: readonly TableHandle[], from: Uint8Array): void {
    this.#sources.push(new LevelTimestampScan(level, this.#prefix, from, this.#timestamp))
  }

  first(): FoundRow | undefined {
    for (const source of [...this.#sources]) this.#settle(source)
    for (;;) {
      const candidate = this.#least()
      if (candidate === undefined) return undefined
      const key = candidate.key().slice()
      const value = this.#view.get(key)
      if (value !== undefined && this.#reaches(key, value)) return { key, value: value.slice() }
      for (const source of [...this.#sources]) {
        if (!source.valid || compareBytes(source.key(), key) !== 0) continue
        source.next()
        this.#settle(source)
      }
    }
  }

  /** Onward to a row that reaches the timestamp, in whatever version; nowhere past the prefix. */
  #settle(source: Candidates): void {
    while (source.valid) {
      const key = source.key()
      if (!hasPrefix(key, this.#prefix)) {
        source.release()
        this.#sources.splice(this.#sources.indexOf(source), 1)
        return
      }
      if (!source.isDelete() && this.#reaches(key, source.value())) return
      source.next()
    }
  }

  #least(): Candidates | undefined {
    let least: Candidates | undefined
    for (const source of this.#sources) {
      if (!source.valid) continue
      if (least === undefined || compareBytes(source.key(), least.key()) < 0) least = source
    }
    return least
  }

  #reaches(key: Uint8Array, value: Uint8Array): boolean {
    const timestamp = this.#timestampOf(key, value)
    return timestamp !== undefined && timestamp >= this.#timestamp
  }
}
