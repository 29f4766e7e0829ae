/** What is asked of every store that is compared: the peers, and Waymark through waymark/level. */
import type { Row } from '../rows.ts'

export type Value = Uint8Array | undefined

/** A call of the store's API: one that answers at once, or one that promises to. */
export type Call<A extends unknown[], T> = { variant: string } & (
  | { now: (...args: A) => T }
  | { later: (...args: A) => Promise<T> }
)

/** The value of a row, by key. */
export type Read = Call<[key: Buffer], Value>

export interface Scanned {
  rows: number
  /** The value of the last row. */
  last: Value
}

export type Scan = Call<[from: Buffer, limit: number], Scanned>

export interface KeyValueStore {
  /** The value of the first row at or after a key. */
  seeks(): readonly Read[]
  gets(): readonly Read[]
  scans(): readonly Scan[]
  /** All or nothing, no fsync. */
  putBatch(rows: readonly Row[]): Promise<void> | void
  /** Brings all rows into the form in which they stay; what follows is close(). */
  settle(): Promise<void>
  close(): Promise<void>
}

/** A store that there is, and how it is set. */
export interface Contender {
  name: string
  version: string
  /** Not the defaults. */
  settings: string
  open(directory: string): Promise<KeyValueStore>
}

/** Memory for rows that are in no table yet: enough for a million. */
export const WRITE_BUFFER_BYTES: number = 256 * 1024 * 1024
/** Memory for what was read: enough for a million rows. */
export const CACHE_BYTES: number = 256 * 1024 * 1024

/** Of rows as pairs of key and value. */
export function scanned(rows: readonly (readonly [unknown, Uint8Array])[]): Scanned {
  return { rows: rows.length, last: rows.at(-1)?.[1] }
}
