/**
 * Rows of a range for an iterator: read ahead by pages, all of one snapshot.
 *
 * Invariants
 *  1. Rows are those of one snapshot, which is taken before the constructor returns.
 *  2. While a page is fetched there is no page: a fetch that fails leaves no rows behind, and the
 *     next read tries again from the row that was due.
 */
import type { TopicPartition } from '../../shared/api.ts'
import type { RecordPage } from '../../shared/reads/record-reads.ts'
import type { RecordSnapshot } from '../record-snapshot.ts'
import { goOnAfter, type RecordScan, type RecordStore } from '../record-store.ts'
import { unlessAborted } from './abort.ts'
import {
  isInRange,
  type LevelRange,
  limitOf,
  lowerBound,
  scanOfRange,
  upperBound,
} from './level-range.ts'
import type { LevelSnapshot } from './level-snapshot.ts'

/** Rows of the first page; every further one has twice as many, up to a scan's greatest page. */
const FIRST_PAGE_ROWS = 16
const PAGE_ROWS_MAX = 1000

export interface LevelRowsOptions extends LevelRange {
  keys?: boolean
  values?: boolean
  snapshot?: LevelSnapshot
  signal?: AbortSignal
}

export class LevelRows<T> {
  readonly #records: RecordStore
  readonly #place: TopicPartition
  readonly #range: RecordScan
  readonly #snapshot: RecordSnapshot
  /** Whether the snapshot ends with the iterator. */
  readonly #isOwnSnapshot: boolean
  readonly #signal: AbortSignal | undefined
  readonly #item: (page: RecordPage) => T
  /** Rows that may still be given. */
  #left: number
  /** What comes after the page. */
  #rest: RecordScan
  #page: RecordPage | undefined
  #isEnd = false
  #pageRows = FIRST_PAGE_ROWS

  /** @param item makes what the iterator gives of a page's present row */
  constructor(
    records: RecordStore,
    place: TopicPartition,
    options: LevelRowsOptions,
    item: (page: RecordPage) => T,
  ) {
    this.#records = records
    this.#place = place
    this.#range = scanOfRange(options, options.values !== false)
    this.#rest = { ...this.#range }
    this.#isOwnSnapshot = options.snapshot == null
    this.#snapshot = options.snapshot?.records ?? records.snapshot(place)
    this.#signal = options.signal ?? undefined
    this.#left = limitOf(options)
    this.#item = item
  }

  /** The next item, at once when it was read ahead; undefined at the end. */
  next(): T | undefined | Promise<T | undefined> {
    if (this.#page?.hasNext === true) return this.#take()
    return this.#fetch(1).then(isThere => (isThere ? this.#take() : undefined))
  }

  /** At most `size` items; none at the end. */
  nextMany(size: number): T[] | Promise<T[]> {
    if (this.#page?.hasNext === true) return this.#takeMany(size)
    return this.#fetch(size).then(isThere => (isThere ? this.#takeMany(size) : []))
  }

  /** To the first row at or past `target`, in the range's direction; outside the range: the end. */
  seek(target: Uint8Array): void {
    this.#page = undefined
    this.#pageRows = FIRST_PAGE_ROWS
    this.#rest = { ...this.#range }
    this.#isEnd = !isInRange(target, this.#range)
    if (this.#range.reverse) this.#rest.upper = upperBound(target, true)
    else this.#rest.lower = lowerBound(target, true)
  }

  close(): void {
    this.#page = undefined
    this.#isEnd = true
    if (this.#isOwnSnapshot) this.#snapshot.release()
  }

  #take(): T | undefined {
    const page = this.#page
    if (page === undefined || !page.next()) return undefined
    this.#left--
    return this.#item(page)
  }

  #takeMany(size: number): T[] {
    const page = this.#page
    const items: T[] = []
    if (page === undefined) return items
    while (items.length < size && page.next()) items.push(this.#item(page))
    this.#left -= items.length
    return items
  }

  /** @returns whether there are rows */
  async #fetch(size: number): Promise<boolean> {
    const before = this.#page
    this.#page = undefined
    if (before !== undefined) {
      if (before.isEnd) this.#isEnd = true
      else goOnAfter(this.#rest, before)
    }
    if (this.#isEnd || this.#left <= 0) return false
    const limit = Math.min(this.#left, Math.max(size, this.#pageRows), PAGE_ROWS_MAX)
    this.#pageRows = Math.min(this.#pageRows * 2, PAGE_ROWS_MAX)
    const options = { snapshot: this.#snapshot }
    const fetching = this.#records.page(this.#place, this.#rest, limit, options)
    const page =
      this.#signal === undefined ? await fetching : await unlessAborted(fetching, this.#signal)
    this.#page = page
    return page.hasNext
  }
}
