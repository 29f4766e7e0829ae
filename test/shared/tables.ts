/** Tables in memory, of blocks so small that versions of one key go on from block to block. */
import { filterPrefixBytes } from '../../src/codec/keys.ts'
import { TableBuilder } from '../../src/codec/table/table-builder.ts'
import { TableReader } from '../../src/codec/table/table-reader.ts'
import { Table } from '../../src/shared/table.ts'
import type { Version } from './versions.ts'

/** @param versions sorted: keys ascending, of one key the newest first */
export function tableOf(versions: readonly Version[], blockBytes = 100): Table {
  const builder = new TableBuilder({
    domain: new Uint8Array(16),
    createdAt: 1,
    compression: 'lz4',
    blockBytes,
    prefixLength: filterPrefixBytes,
    timestampOf: () => undefined,
  })
  for (const { key, sequence, isDelete, value } of versions) {
    builder.add(key, sequence, isDelete, value)
  }
  const { bytes } = builder.finish()
  const source = {
    sizeBytes: bytes.length,
    read: (offset: number, length: number) => bytes.subarray(offset, offset + length),
  }
  const reader = TableReader.open(source, 'table')
  return new Table(reader, block => reader.readBlock(block))
}
