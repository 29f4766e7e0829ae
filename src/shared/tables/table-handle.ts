/**
 * A table of a version on one thread: rows at a snapshot, read through whatever block source the
 * thread has. What the description says needs neither memory nor I/O: a key out of the table's
 * range is answered without either.
 */
import { tableKey } from '../../codec/bucket-layout.ts'
import { compareBytes } from '../../codec/bytes.ts'
import { filterPrefixBytes, hasPrefix } from '../../codec/keys.ts'
import type { TableDescription } from '../../codec/manifest.ts'
import { TableCursor } from '../../codec/table/table-cursor.ts'
import type { RowCursor } from '../row-cursor.ts'
import type { SortedTable } from '../sorted-table.ts'
import type { TableMemory } from './table-memory.ts'
import { TableRowCursor } from './table-row-cursor.ts'
import { TimestampScan } from './timestamp-scan.ts'

/** Where a thread has tables' memory and blocks from. */
export interface BlockSource {
  /** The memory of a table whose handle has none. @throws ColdRead */
  memoryOf(table: TableHandle): TableMemory
  /** A block, verified and decompressed; good until the end of the request. @throws ColdRead */
  block(table: TableHandle, memory: TableMemory, number: number): Uint8Array
}

/** What a read needs is not at hand; it may be run again when it is. */
export class ColdRead extends Error {
  readonly table: TableHandle
  /** -1: the table's memory. */
  readonly block: number
  /** The local file has the part, and it fails its check. */
  readonly isDamaged: boolean

  constructor(table: TableHandle, block: number, isDamaged: boolean) {
    // Thrown on the way of ordinary reads, where a stack trace costs more than all the rest.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super('a part of a table is not at hand')
    Error.stackTraceLimit = stackTraceLimit
    this.table = table
    this.block = block
    this.isDamaged = isDamaged
  }
}

interface TableReads {
  memory: TableMemory
  /** For point reads, which never overlap. */
  lookup: TableCursor
  /** Cursors that were given back. */
  idle: TableRowCursor[]
}

export class TableHandle implements SortedTable {
  readonly description: TableDescription
  /** Of the object in the bucket, and of the file in the local cache. */
  readonly name: string
  readonly #blocks: BlockSource
  /** Set and unset by the thread that the handle belongs to. */
  memory: TableMemory | undefined
  #reads: TableReads | undefined

  constructor(description: TableDescription, blocks: BlockSource) {
    this.description = description
    this.name = tableKey(description)
    this.#blocks = blocks
  }

  mayHoldPrefix(prefix: Uint8Array): boolean {
    const { smallestKey, greatestKey } = this.description
    if (compareBytes(greatestKey, prefix) < 0) return false
    if (compareBytes(smallestKey, prefix) > 0 && !hasPrefix(smallestKey, prefix)) return false
    const filtered = filterPrefixBytes(prefix)
    return filtered === 0 || this.#open().memory.mayContainPrefix(prefix.subarray(0, filtered))
  }

  get(key: Uint8Array, sequence: number): Uint8Array | null | undefined {
    const { smallestKey, greatestKey } = this.description
    if (compareBytes(key, smallestKey) < 0 || compareBytes(key, greatestKey) > 0) return undefined
    const { memory, lookup } = this.#open()
    if (!memory.mayContainKey(key)) return undefined
    try {
      for (lookup.seekGE(key); lookup.valid; lookup.next()) {
        if (lookup.compareKey(key) !== 0) return undefined
        if (lookup.sequence <= sequence) return lookup.isDelete ? null : lookup.value()
      }
      return undefined
    } finally {
      // Blocks are good for this request only.
      lookup.release()
    }
  }

  borrowCursor(sequence: number): RowCursor {
    const { memory, idle } = this.#open()
    const cursor = idle.pop() ?? new TableRowCursor(this.#newCursor(memory), memory)
    cursor.begin(sequence)
    return cursor
  }

  giveBack(cursor: RowCursor): void {
    if (!(cursor instanceof TableRowCursor)) return
    cursor.release()
    const reads = this.#reads
    if (reads !== undefined && cursor.memory === reads.memory) reads.idle.push(cursor)
  }

  /**
   * Of the rows at or after `from`, those that may reach `timestamp`; blocks that cannot are
   * skipped.
   */
  timestampScan(from: Uint8Array, timestamp: number): TimestampScan {
    const { memory } = this.#open()
    return new TimestampScan(this.#newCursor(memory), memory, from, timestamp)
  }

  #open(): TableReads {
    const memory = this.memory ?? this.#blocks.memoryOf(this)
    memory.markUsed()
    let reads = this.#reads
    if (reads === undefined || reads.memory !== memory) {
      reads = { memory, lookup: this.#newCursor(memory), idle: [] }
      this.#reads = reads
    }
    return reads
  }

  #newCursor(memory: TableMemory): TableCursor {
    return new TableCursor(memory, number => this.#blocks.block(this, memory, number))
  }
}
