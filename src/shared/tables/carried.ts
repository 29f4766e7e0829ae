/**
 * What was fetched for one request that had to wait: kept with it until it is answered, so that it
 * finds it whatever the caches do meanwhile.
 */
import { TableMemory } from './table-memory.ts'

/** Of the bytes fetched, so many are kept; the oldest go first, and lie in the local cache. */
const EXTENT_BYTES_MAX = 64 * 1024 * 1024

/** A range of a table's file. */
export interface Extent {
  name: string
  offset: number
  bytes: Uint8Array
}

export class Carried {
  readonly #memories = new Map<string, TableMemory>()
  /** Newest first. */
  #extents: Extent[] = []
  #extentBytes = 0
  /** Offsets of what failed its check, by file. */
  readonly #distrusted = new Map<string, Set<number>>()

  addMemory(name: string, memory: SharedArrayBuffer): void {
    this.#memories.set(name, new TableMemory(memory, name))
  }

  memoryOf(name: string): TableMemory | undefined {
    return this.#memories.get(name)
  }

  addExtent(extent: Extent): void {
    this.#extents.unshift(extent)
    this.#extentBytes += extent.bytes.length
    while (this.#extentBytes > EXTENT_BYTES_MAX && this.#extents.length > 1) {
      this.#extentBytes -= this.#extents.pop()?.bytes.length ?? 0
    }
  }

  /** Notes that the bytes at the offset failed their check. @returns whether for the first time */
  distrust(name: string, offset: number): boolean {
    const offsets = this.#distrusted.get(name) ?? new Set()
    this.#distrusted.set(name, offsets)
    const isFirst = !offsets.has(offset)
    offsets.add(offset)
    return isFirst
  }

  /** Bytes [offset, offset + length) of a table's file, if they are all here. A view. */
  bytesOf(name: string, offset: number, length: number): Uint8Array | undefined {
    for (const extent of this.#extents) {
      const from = offset - extent.offset
      if (extent.name === name && from >= 0 && from + length <= extent.bytes.length) {
        return extent.bytes.subarray(from, from + length)
      }
    }
    return undefined
  }
}
