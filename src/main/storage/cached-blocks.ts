/**
 * Blocks for reads on the main thread. Main waits for nothing, so a read that misses one is given
 * to the worker instead; a synchronous read, which cannot be, also looks into local files.
 */
import type { BlockCacheReader, BlockCacheStats } from '../../shared/tables/block-cache.ts'
import type { TableFiles } from '../../shared/tables/table-files.ts'
import { type BlockSource, ColdRead, type TableHandle } from '../../shared/tables/table-handle.ts'
import type { TableMemory } from '../../shared/tables/table-memory.ts'

/** After so many misses in a row most reads go to the worker at once... */
const MISSES_MAX = 8
/** ...but one in so many, which finds out when the memory is warm again. */
const TRIED_ONE_IN = 32

export interface MainBlocks {
  /**
   * Runs a read, whose result must be copied by the time it returns.
   * @returns whether it had all it needs
   */
  answer(read: () => void): boolean
}

export class CachedBlocks implements BlockSource, MainBlocks {
  readonly #cache: BlockCacheReader
  readonly #files: TableFiles
  /** Of the read under way: whether it may go to files. */
  #mayReadFiles = false
  #misses = 0
  #skipped = 0
  /** The same, for reads that may go to local files. */
  readonly withFiles: MainBlocks = { answer: read => this.#answer(read, true) }

  /** @param files of this thread; it keeps blocks of a read in flight only */
  constructor(cache: BlockCacheReader, files: TableFiles) {
    this.#cache = cache
    this.#files = files
  }

  get stats(): BlockCacheStats {
    return this.#cache.stats
  }

  /** Whether a read here is likely to find what it needs. To be asked once a read. */
  get isWorthTrying(): boolean {
    if (this.#misses < MISSES_MAX) return true
    if (++this.#skipped < TRIED_ONE_IN) return false
    this.#skipped = 0
    return true
  }

  answer(read: () => void): boolean {
    const isAnswered = this.#answer(read, false)
    this.#misses = isAnswered ? 0 : this.#misses + 1
    return isAnswered
  }

  memoryOf(table: TableHandle): TableMemory {
    if (this.#mayReadFiles) return this.#files.openLocal(table)
    throw new ColdRead(table, -1, false)
  }

  block(table: TableHandle, memory: TableMemory, number: number): Uint8Array {
    const block = this.#cache.get(memory, number)
    if (block !== undefined) return block
    if (this.#mayReadFiles) return this.#files.block(table, memory, number)
    throw new ColdRead(table, number, false)
  }

  /** The file has gone. */
  closeFile(name: string): void {
    this.#files.closeFile(name)
  }

  close(): void {
    this.#files.close()
  }

  #answer(read: () => void, mayReadFiles: boolean): boolean {
    this.#mayReadFiles = mayReadFiles
    this.#cache.begin()
    try {
      read()
      return true
    } catch (error) {
      if (error instanceof ColdRead) return false
      throw error
    } finally {
      this.#cache.end()
    }
  }
}
