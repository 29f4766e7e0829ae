/**
 * The rows of a sorted run of tables, one after the other, for a merge: read in order and in large
 * pieces, from the local cache file where that is whole, else from the bucket. Every block is
 * verified; one that fails is read from the bucket, twice at most, and then is CORRUPTION naming
 * file, block and offset.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { tableKey } from '../../codec/bucket-layout.ts'
import { MetastoreError } from '../../codec/errors.ts'
import type { TableDescription } from '../../codec/manifest.ts'
import { BlockCursor } from '../../codec/table/block-cursor.ts'
import { decodeStoredBlock } from '../../codec/table/table-reader.ts'
import { TableMemory } from '../../shared/tables/table-memory.ts'
import { type FetchContext, getRange, openTable } from './table-fetch.ts'

const PIECE_BYTES = 1024 * 1024
/** Of a block that fails its check: what comes from the bucket may be damaged on its way. */
const FETCHES_MAX = 2

export class TableStream {
  /** Stands on the present row; invalid at the end of the run. */
  readonly row: BlockCursor = new BlockCursor()
  readonly #context: FetchContext
  readonly #tables: readonly TableDescription[]
  readonly #from: Uint8Array | undefined
  #next = 0
  #table: OpenTable | undefined

  private constructor(
    context: FetchContext,
    tables: readonly TableDescription[],
    from: Uint8Array | undefined,
  ) {
    this.#context = context
    this.#tables = tables
    this.#from = from
  }

  /**
   * Stands on the first row; with `from` on the first row of the block that may have that key.
   * @param tables disjoint, by key
   */
  static async open(
    context: FetchContext,
    tables: readonly TableDescription[],
    from?: Uint8Array,
  ): Promise<TableStream> {
    const stream = new TableStream(context, tables, from)
    try {
      await stream.nextBlock()
      return stream
    } catch (error) {
      stream.close()
      throw error
    }
  }

  /** To the first row of the next block, once row.next() has found no more in this one. */
  async nextBlock(): Promise<void> {
    for (;;) {
      const block = await this.#table?.nextBlock()
      if (block !== undefined && this.#table !== undefined) {
        this.row.reset(block.bytes, this.#table.name, block.number)
        this.row.seekFirst()
        return
      }
      this.#table?.close()
      this.#table = undefined
      if (this.#next === this.#tables.length) {
        this.row.clear()
        return
      }
      this.#table = await OpenTable.open(this.#context, this.#tables[this.#next++], this.#from)
    }
  }

  close(): void {
    this.#table?.close()
    this.#table = undefined
  }
}

interface Piece {
  offset: number
  bytes: Uint8Array
}

class OpenTable {
  readonly name: string
  readonly #context: FetchContext
  readonly #memory: TableMemory
  readonly #file: number | undefined
  #number: number
  #piece: Piece | undefined

  private constructor(
    context: FetchContext,
    name: string,
    memory: TableMemory,
    file: number | undefined,
    number: number,
  ) {
    this.#context = context
    this.name = name
    this.#memory = memory
    this.#file = file
    this.#number = number
  }

  static async open(
    context: FetchContext,
    table: TableDescription,
    from: Uint8Array | undefined,
  ): Promise<OpenTable> {
    const name = tableKey(table)
    const memory = new TableMemory((await openTable(context, table)).memory, name)
    const file = openFile(join(context.cacheDirectory, name))
    const first = from === undefined ? 0 : memory.findBlock(from)
    return new OpenTable(context, name, memory, file, first)
  }

  /** Undefined after the last one. */
  async nextBlock(): Promise<{ bytes: Uint8Array; number: number } | undefined> {
    const number = this.#number
    if (number === this.#memory.blockCount) return undefined
    if (!this.#has(number)) this.#piece = this.#readFile(number) ?? (await this.#fetch(number))
    const bytes = await this.#verified(number)
    this.#number++
    return { bytes, number }
  }

  /** The block from the piece that is here, or else from the bucket. */
  async #verified(number: number): Promise<Uint8Array> {
    for (let fetches = 0; ; fetches++) {
      try {
        return this.#decode(number)
      } catch (error) {
        if (fetches === FETCHES_MAX || !isCorruption(error)) throw error
      }
      this.#piece = await this.#fetch(number)
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file)
  }

  #has(number: number): boolean {
    if (this.#piece === undefined) return false
    const end = this.#memory.blockOffset(number + 1)
    return end <= this.#piece.offset + this.#piece.bytes.length
  }

  #decode(number: number): Uint8Array {
    const { offset, bytes } = this.#piece ?? { offset: 0, bytes: new Uint8Array(0) }
    const at = this.#memory.blockOffset(number)
    const stored = bytes.subarray(at - offset, at - offset + this.#memory.storedBytes(number))
    const place = { file: this.name, block: number, offset: at }
    return decodeStoredBlock(stored, this.#memory.rawBytes(number), place)
  }

  /** Whole blocks from `number` on. */
  #extent(number: number): { offset: number; length: number } {
    const offset = this.#memory.blockOffset(number)
    let end = number + 1
    while (
      end < this.#memory.blockCount &&
      this.#memory.blockOffset(end + 1) - offset <= PIECE_BYTES
    ) {
      end++
    }
    return { offset, length: this.#memory.blockOffset(end) - offset }
  }

  #readFile(number: number): Piece | undefined {
    if (this.#file === undefined) return undefined
    const { offset, length } = this.#extent(number)
    const bytes = new Uint8Array(length)
    if (!readWhole(this.#file, offset, bytes)) return undefined
    return { offset, bytes }
  }

  async #fetch(number: number): Promise<Piece> {
    const { offset, length } = this.#extent(number)
    const bytes = await getRange(this.#context, this.name, offset, length)
    return { offset, bytes }
  }
}

/** False when the file ends before, or the disk cannot read it: the bucket has the same bytes. */
function readWhole(file: number, offset: number, bytes: Uint8Array): boolean {
  try {
    let done = 0
    while (done < bytes.length) {
      const count = readSync(file, bytes, done, bytes.length - done, offset + done)
      if (count === 0) return false
      done += count
    }
    return true
  } catch {
    return false
  }
}

function openFile(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch {
    return undefined
  }
}

function isCorruption(error: unknown): boolean {
  return error instanceof MetastoreError && error.code === 'CORRUPTION'
}
