import type { RowCursor } from './row-cursor.ts'

/** A sorted run of rows in a file (tables/table-handle.ts). */
export interface SortedTable {
  /** Whether rows with this prefix may be in it; false is certain. */
  mayHoldPrefix(prefix: Uint8Array): boolean
  /** The newest version of `key` at or below `sequence`: its value, null for a delete. */
  get(key: Uint8Array, sequence: number): Uint8Array | null | undefined
  /** A cursor to be given back: its buffers serve the next one. */
  borrowCursor(sequence: number): RowCursor
  giveBack(cursor: RowCursor): void
}
