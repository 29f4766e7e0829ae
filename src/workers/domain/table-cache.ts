/**
 * Tables in the local cache, read with synchronous preads, and the worker's cache of their
 * decompressed blocks, within a budget of bytes.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { tableKey } from '../../codec/bucket-layout.ts'
import { corruption } from '../../codec/errors.ts'
import type { TableDescription } from '../../codec/manifest.ts'
import { TableReader } from '../../codec/table/table-reader.ts'
import type { SortedTable } from '../../shared/snapshot.ts'
import { Table } from '../../shared/table.ts'

export interface OpenTable {
  readonly table: SortedTable
  close(): void
}

interface CachedBlock {
  bytes: Uint8Array
  /** The blocks of its table, by number: where it stands and where it is taken out. */
  siblings: (CachedBlock | undefined)[]
  number: number
  /** Read since the hand came by last. */
  isUsed: boolean
}

/** Eviction is by CLOCK (Corbató, 1968): near to least recently used, for one store a read. */
export class TableCache {
  readonly #directory: string
  readonly #bytesMax: number
  readonly #blocks: CachedBlock[] = []
  #hand = 0
  #sizeBytes = 0

  constructor(directory: string, bytesMax: number) {
    this.#directory = directory
    this.#bytesMax = bytesMax
  }

  /** @throws CORRUPTION when the file is missing or damaged, details {file} */
  open(description: TableDescription): OpenTable {
    const name = tableKey(description)
    const path = join(this.#directory, name)
    const file = openFile(path, name)
    try {
      const sizeBytes = fstatSync(file).size
      if (sizeBytes !== description.sizeBytes) {
        throw corruption(`${name} has ${sizeBytes} bytes instead of ${description.sizeBytes}`, {
          file: name,
        })
      }
      const reader = TableReader.open(
        { sizeBytes, read: (offset, length) => readAt(file, name, offset, length) },
        name,
      )
      const blocks: (CachedBlock | undefined)[] = new Array(reader.blockCount)
      const table = new Table(reader, number => this.#block(reader, blocks, number))
      return { table, close: () => this.#close(file, blocks) }
    } catch (error) {
      closeSync(file)
      throw error
    }
  }

  #block(reader: TableReader, siblings: (CachedBlock | undefined)[], number: number): Uint8Array {
    const known = siblings[number]
    if (known !== undefined) {
      known.isUsed = true
      return known.bytes
    }
    const bytes = reader.readBlock(number)
    if (bytes.length <= this.#bytesMax) this.#keep({ bytes, siblings, number, isUsed: false })
    return bytes
  }

  #keep(block: CachedBlock): void {
    while (this.#sizeBytes + block.bytes.length > this.#bytesMax) this.#evictOne()
    block.siblings[block.number] = block
    this.#blocks.push(block)
    this.#sizeBytes += block.bytes.length
  }

  #evictOne(): void {
    for (;;) {
      if (this.#hand >= this.#blocks.length) this.#hand = 0
      const block = this.#blocks[this.#hand]
      if (!block.isUsed) {
        this.#remove(this.#hand)
        return
      }
      block.isUsed = false
      this.#hand++
    }
  }

  /** The last one takes its place. */
  #remove(place: number): void {
    const block = this.#blocks[place]
    block.siblings[block.number] = undefined
    this.#sizeBytes -= block.bytes.length
    const last = this.#blocks.pop()
    if (last !== undefined && last !== block) this.#blocks[place] = last
  }

  #close(file: number, siblings: readonly (CachedBlock | undefined)[]): void {
    closeSync(file)
    for (let place = this.#blocks.length - 1; place >= 0; place--) {
      if (this.#blocks[place].siblings === siblings) this.#remove(place)
    }
  }
}

function openFile(path: string, name: string): number {
  try {
    return openSync(path, 'r')
  } catch (error) {
    throw corruption(`${name} is not in the local cache: ${String(error)}`, { file: name })
  }
}

function readAt(file: number, name: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let done = 0
  while (done < length) {
    const count = readSync(file, bytes, done, length - done, offset + done)
    if (count === 0) throw corruption(`${name} ends at ${offset + done}`, { file: name, offset })
    done += count
  }
  return bytes
}
