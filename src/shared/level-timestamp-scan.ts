/**
 * The rows of a whole level, in key order, that may reach a timestamp: its tables are disjoint and
 * in order, and each is opened only once the scan has found no more in those before.
 */
import { compareBytes } from '../codec/bytes.ts'
import { hasPrefix } from '../codec/keys.ts'
import type { TableHandle } from './tables/table-handle.ts'
import type { TimestampScan } from './tables/timestamp-scan.ts'
import { findTable } from './version.ts'

export class LevelTimestampScan {
  readonly #level: readonly TableHandle[]
  readonly #prefix: Uint8Array
  readonly #from: Uint8Array
  readonly #timestamp: number
  #next: number
  #scan: TimestampScan | undefined

  /** Stands on the first such row at or after `from`; tables without the prefix are left out. */
  constructor(
    level: readonly TableHandle[],
    prefix: Uint8Array,
    from: Uint8Array,
    timestamp: number,
  ) {
    this.#level = level
    this.#prefix = prefix
    this.#from = from
    this.#timestamp = timestamp
    this.#next = findTable(level, from)
    this.#forward()
  }

  get valid(): boolean {
    return this.#scan?.valid === true
  }

  /** Borrowed until it moves. */
  key(): Uint8Array {
    return this.#standing.key
  }

  value(): Uint8Array {
    return this.#standing.value()
  }

  isDelete(): boolean {
    return this.#standing.isDelete
  }

  next(): void {
    this.#standing.next()
    this.#forward()
  }

  release(): void {
    this.#scan?.release()
  }

  get #standing(): TimestampScan {
    if (this.#scan === undefined) throw new Error('the scan stands nowhere')
    return this.#scan
  }

  /** At a table's end: to the first row of the next one that has any. */
  #forward(): void {
    while (this.#scan?.valid !== true && this.#next < this.#level.length) {
      const table = this.#level[this.#next++]
      const { smallestKey } = table.description
      if (compareBytes(smallestKey, this.#prefix) > 0 && !hasPrefix(smallestKey, this.#prefix)) {
        this.#next = this.#level.length
      } else if (table.mayHoldPrefix(this.#prefix)) {
        this.#scan?.release()
        this.#scan = table.timestampScan(this.#from, this.#timestamp)
      }
    }
  }
}
