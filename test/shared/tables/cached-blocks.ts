/** Tables whose blocks can be cached, and blocks whose bytes say whose they are. */
import { TableBuilder } from '../../../src/codec/table/table-builder.ts'
import { TableMemory } from '../../../src/shared/tables/table-memory.ts'

/** What main gives the thread of block-cache-threads. */
export interface BlockCacheThreadData {
  cache: SharedArrayBuffer
  tables: SharedArrayBuffer[]
  /** Word 0: requests done by the thread; word 1: set when it is to end. */
  control: SharedArrayBuffer
  seed: number
}

/** The memory of a table of exactly so many blocks. */
export function tableOfBlocks(blocks: number, name = 'table'): TableMemory {
  const builder = new TableBuilder({
    domain: new Uint8Array(16),
    createdAt: 1,
    compression: 'none',
    blockBytes: 64,
    prefixLength: () => 0,
    timestampOf: () => undefined,
  })
  for (let i = 0; i < blocks; i++) {
    // A row that fills its block.
    builder.add(Uint8Array.of(i >>> 16, i >>> 8, i), 1, false, new Uint8Array(60))
  }
  const { bytes } = builder.finish()
  const read = (offset: number, length: number): Uint8Array =>
    bytes.subarray(offset, offset + length)
  const table = TableMemory.open({ sizeBytes: bytes.length, read }, name)
  if (table.blockCount !== blocks) throw new Error(`${table.blockCount} blocks, not ${blocks}`)
  return table
}

/** Differs from that of every other table and block in length and all along. */
export function blockBytesOf(table: number, block: number): Uint8Array {
  const id = table * 65_536 + block + 1
  const bytes = new Uint8Array(4096 + ((Math.imul(id, 0x9e3779b1) >>> 0) % 4097))
  for (let at = 0; at < bytes.length; at++) {
    bytes[at] = Math.imul(id + (at >>> 6), 0x85ebca6b) >>> (at & 15)
  }
  return bytes
}

export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
