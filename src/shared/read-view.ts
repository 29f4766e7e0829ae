/**
 * What reads and the state machine see of a domain: rows at one snapshot, newest version only,
 * deletes left out. Snapshot (snapshot.ts) is the one over memtables and tables.
 */
export interface ReadView {
  /** The value of a row, or undefined. A view, good as long as the snapshot. */
  get(key: Uint8Array): Uint8Array | undefined
  /** A cursor over the rows whose keys begin with `prefix`, which is copied. */
  cursor(prefix: Uint8Array): RowScan
  /**
   * Of the rows with a prefix whose keys are at or after `from`, the first with a timestamp at or
   * after `timestamp`. Blocks of tables that have none such are not read.
   * @param timestampOf that of a row that is no delete; undefined when it has none
   */
  firstReaching(
    prefix: Uint8Array,
    from: Uint8Array,
    timestamp: number,
    timestampOf: (key: Uint8Array, value: Uint8Array) => number | undefined,
  ): FoundRow | undefined
}

/** Copies. */
export interface FoundRow {
  key: Uint8Array
  value: Uint8Array
}

/** Bidirectional, bounded by a prefix. Seeking outside the prefix is allowed. */
export interface RowScan {
  readonly valid: boolean
  seekFirst(): void
  seekLast(): void
  /** To the first row with a key at or after `key`. */
  seek(key: Uint8Array): void
  /** To the last row with a key before `key`. */
  seekBefore(key: Uint8Array): void
  next(): void
  prev(): void
  /** Borrowed until the cursor moves. */
  key(): Uint8Array
  /** Borrowed until the cursor moves. */
  value(): Uint8Array
}
