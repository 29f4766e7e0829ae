/**
 * A thread's way to tables' blocks: the block cache, then what the request carries, then the local
 * cache file, by a synchronous pread. Every block from a file is verified. A file may be missing or
 * have holes at any time: what is not there is a ColdRead, for main to have fetched.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { MetastoreError } from '../../codec/errors.ts'
import { BLOCK_TRAILER_BYTES } from '../../codec/table/table-format.ts'
import { decodeStoredBlock } from '../../codec/table/table-reader.ts'
import type { BlockCache } from './block-cache.ts'
import type { Carried } from './carried.ts'
import { type BlockSource, ColdRead, type TableHandle } from './table-handle.ts'
import { TableMemory } from './table-memory.ts'

/** Files open at a time; the one opened first is closed for another. */
const FILES_OPEN_MAX = 256
const SCRATCH_BYTES = 16_384

export class TableFiles implements BlockSource {
  readonly #directory: string
  readonly #cache: BlockCache
  readonly #open = new Map<string, number>()
  #carried: Carried | undefined
  #scratch: Uint8Array = new Uint8Array(SCRATCH_BYTES)

  /** @param directory of the local cache */
  constructor(directory: string, cache: BlockCache) {
    this.#directory = directory
    this.#cache = cache
  }

  /**
   * Blocks of the request before are no longer kept. @param carried what was fetched for this one
   */
  beginRequest(carried: Carried | undefined): void {
    this.#cache.beginRequest()
    this.#carried = carried
  }

  memoryOf(table: TableHandle): TableMemory {
    const carried = this.#carried?.memoryOf(table.name)
    if (carried === undefined) throw new ColdRead(table, -1, false)
    return carried
  }

  /** The memory of a table from its local file. @throws ColdRead when the file does not have it */
  openLocal(table: TableHandle): TableMemory {
    const { sizeBytes } = table.description
    const read = (offset: number, length: number): Uint8Array => {
      const bytes = this.#read(table.name, offset, length)
      if (bytes === undefined) throw new ColdRead(table, -1, false)
      return bytes
    }
    try {
      return TableMemory.open({ sizeBytes, read }, table.name)
    } catch (error) {
      if (error instanceof MetastoreError && error.code === 'CORRUPTION') {
        throw new ColdRead(table, -1, true)
      }
      throw error
    }
  }

  block(table: TableHandle, memory: TableMemory, number: number): Uint8Array {
    const cached = this.#cache.get(memory, number)
    if (cached !== undefined) return cached
    const carried = this.#carried?.bytesOf(
      table.name,
      memory.blockOffset(number),
      memory.storedBytes(number),
    )
    const bytes =
      carried === undefined
        ? this.#fromFile(table, memory, number)
        : this.#fromBucket(table, memory, number, carried)
    return this.#cache.put(memory, number, bytes)
  }

  /** The file has gone, or its table has. */
  closeFile(name: string): void {
    const file = this.#open.get(name)
    if (file === undefined) return
    this.#open.delete(name)
    closeSync(file)
  }

  /** The table's blocks need no room any more. */
  forgetBlocks(memory: TableMemory): void {
    this.#cache.forget(memory)
  }

  close(): void {
    for (const file of this.#open.values()) closeSync(file)
    this.#open.clear()
  }

  /** Bits may flip on the way from the bucket, too: a second failure is the bucket's. */
  #fromBucket(
    table: TableHandle,
    memory: TableMemory,
    number: number,
    carried: Uint8Array,
  ): Uint8Array {
    try {
      return decode(table, memory, number, carried)
    } catch (error) {
      const isCorruption = error instanceof MetastoreError && error.code === 'CORRUPTION'
      if (isCorruption && this.#carried?.distrust(table.name, memory.blockOffset(number))) {
        throw new ColdRead(table, number, true)
      }
      throw error
    }
  }

  #fromFile(table: TableHandle, memory: TableMemory, number: number): Uint8Array {
    const stored = this.#read(table.name, memory.blockOffset(number), memory.storedBytes(number))
    if (stored === undefined || isHole(stored)) throw new ColdRead(table, number, false)
    memory.markFileUsed()
    try {
      return decode(table, memory, number, stored)
    } catch (error) {
      if (error instanceof MetastoreError && error.code === 'CORRUPTION') {
        throw new ColdRead(table, number, true)
      }
      throw error
    }
  }

  /** Undefined when the file does not have all of it. The scratch, until the next read. */
  #read(name: string, offset: number, length: number): Uint8Array | undefined {
    const file = this.#fileOf(name)
    if (file === undefined) return undefined
    if (this.#scratch.length < length) this.#scratch = new Uint8Array(length)
    try {
      let done = 0
      while (done < length) {
        const count = readSync(file, this.#scratch, done, length - done, offset + done)
        if (count === 0) return undefined
        done += count
      }
    } catch {
      // The disk cannot read it; the bucket has the same bytes.
      return undefined
    }
    return this.#scratch.subarray(0, length)
  }

  #fileOf(name: string): number | undefined {
    const known = this.#open.get(name)
    if (known !== undefined) return known
    let file: number
    try {
      file = openSync(join(this.#directory, name), 'r')
    } catch {
      return undefined
    }
    if (this.#open.size >= FILES_OPEN_MAX) {
      for (const [first] of this.#open) {
        this.closeFile(first)
        break
      }
    }
    this.#open.set(name, file)
    return file
  }
}

/** A block's trailer has its checksum: zeros are what a file has where nothing was written. */
function isHole(stored: Uint8Array): boolean {
  for (let i = stored.length - BLOCK_TRAILER_BYTES; i < stored.length; i++) {
    if (stored[i] !== 0) return false
  }
  return true
}

function decode(
  table: TableHandle,
  memory: TableMemory,
  number: number,
  stored: Uint8Array,
): Uint8Array {
  const place = { file: table.name, block: number, offset: memory.blockOffset(number) }
  return decodeStoredBlock(stored, memory.rawBytes(number), place)
}
