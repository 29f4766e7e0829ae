/** Rows in order into tables of at most 64 MiB: what flushes and compactions have in common. */
import { xxh64 } from '../../codec/hash.ts'
import { filterPrefixBytes } from '../../codec/keys.ts'
import type { TableDescription } from '../../codec/manifest.ts'
import { extentTimestamp } from '../../codec/rows.ts'
import { TableBuilder } from '../../codec/table/table-builder.ts'
import { uuidBytes } from '../../codec/uuid.ts'
import type { TableNaming } from '../../shared/io-tasks.ts'

/** No table is larger, at any level, unless the versions of one key alone are. */
const TABLE_BYTES_MAX = 64 * 1024 * 1024
/** What a table's index, filters and footer may add to its blocks. */
const TABLE_MARGIN_BYTES = 4 * 1024 * 1024
/** Rows between two looks at the size: a look sums up five sections. */
const ROWS_A_LOOK = 16
/** And bytes of values, for large ones. */
const BYTES_A_LOOK = 64 * 1024

export interface FinishedTable {
  description: TableDescription
  /** The whole file. */
  bytes: Uint8Array
}

export class TableOutput {
  readonly #naming: TableNaming
  readonly #level: number
  readonly #bytesMax: number
  #builder: TableBuilder | undefined
  #nextId: number
  #rowsToLook = ROWS_A_LOOK
  #bytesToLook = BYTES_A_LOOK

  /** @param bytesMax of a table; for tests */
  constructor(
    naming: TableNaming,
    level: number,
    bytesMax: number = TABLE_BYTES_MAX - TABLE_MARGIN_BYTES,
  ) {
    this.#naming = naming
    this.#level = level
    this.#bytesMax = bytesMax
    this.#nextId = naming.firstTableId
  }

  /**
   * Whether the next key should begin a new table: to be asked before its first version, as the
   * versions of one key are never split. Then finish() comes before add().
   */
  get isFull(): boolean {
    if (this.#builder === undefined) return false
    if (--this.#rowsToLook > 0 && this.#bytesToLook > 0) return false
    this.#rowsToLook = ROWS_A_LOOK
    this.#bytesToLook = BYTES_A_LOOK
    return this.#builder.sizeBytes >= this.#bytesMax
  }

  /** Adds a version; keys ascending, of one key the newest first. */
  add(key: Uint8Array, sequence: number, isDelete: boolean, value: Uint8Array): void {
    this.#builder ??= this.#newBuilder()
    this.#bytesToLook -= value.length
    this.#builder.add(key, sequence, isDelete, value)
  }

  /** The table so far; undefined when it has no rows. */
  finish(): FinishedTable | undefined {
    if (this.#builder === undefined) return undefined
    if (this.#nextId > this.#naming.lastTableId) {
      throw new Error(`more tables than ids up to ${this.#naming.lastTableId}`)
    }
    const { bytes, properties } = this.#builder.finish()
    this.#builder = undefined
    const description: TableDescription = {
      domain: this.#naming.domain,
      epoch: this.#naming.epoch,
      id: this.#nextId++,
      level: this.#level,
      sizeBytes: bytes.length,
      checksum: xxh64(bytes).toString(16).padStart(16, '0'),
      rows: properties.rowCount,
      deletes: properties.deleteCount,
      smallestKey: properties.smallestKey,
      greatestKey: properties.greatestKey,
      smallestSequence: properties.smallestSequence,
      greatestSequence: properties.greatestSequence,
    }
    return { description, bytes }
  }

  #newBuilder(): TableBuilder {
    const { domain, createdAt, compression } = this.#naming
    return new TableBuilder({
      domain: uuidBytes(domain),
      createdAt,
      compression,
      prefixLength: filterPrefixBytes,
      timestampOf: extentTimestamp,
    })
  }
}
