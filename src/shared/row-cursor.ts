/**
 * One ordered source of rows: a memtable or a table, seen at a snapshot. A cursor stands on at most
 * one row for each user key, that key's newest version in the source that the snapshot sees, which
 * may be a delete: merging needs to know it (merged-cursor.ts).
 */
export interface RowCursor {
  readonly valid: boolean
  /** To the first row with a key at or after `key`. */
  seek(key: Uint8Array): void
  /** To the last row with a key before `key`. */
  seekBefore(key: Uint8Array): void
  /** Forward by one key. Only when valid. */
  next(): void
  /** Backward by one key. Only when valid. */
  prev(): void
  /** The row's key; borrowed until the cursor moves. Only when valid. */
  key(): Uint8Array
  /** The row's value; empty for a delete. Borrowed until the cursor moves. Only when valid. */
  value(): Uint8Array
  isDelete(): boolean
}
