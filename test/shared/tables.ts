/** Tables in memory, of blocks so small that versions of one key go on from block to block. */
import { filterPrefixBytes } from '../../src/codec/keys.ts'
import type { TableDescription } from '../../src/codec/manifest.ts'
import { TableBuilder } from '../../src/codec/table/table-builder.ts'
import { TableReader } from '../../src/codec/table/table-reader.ts'
import { TableHandle } from '../../src/shared/tables/table-handle.ts'
import { TableMemory } from '../../src/shared/tables/table-memory.ts'
import { Version as TableVersion } from '../../src/shared/version.ts'
import type { Version } from './versions.ts'

const DOMAIN = '00000000-0000-4000-8000-000000000000'
let lastId = 0

export interface TableOptions {
  blockBytes?: number
  level?: number
  timestampOf?: (key: Uint8Array, value: Uint8Array) => number | undefined
  /** Told of every block that is read. */
  onBlock?: (block: number, table: TableHandle) => void
}

/** @param versions sorted: keys ascending, of one key the newest first */
export function tableOf(versions: readonly Version[], options: TableOptions = {}): TableHandle {
  const { blockBytes = 100, level = 0, timestampOf = () => undefined, onBlock } = options
  const builder = new TableBuilder({
    domain: new Uint8Array(16),
    createdAt: 1,
    compression: 'lz4',
    blockBytes,
    prefixLength: filterPrefixBytes,
    timestampOf,
  })
  for (const { key, sequence, isDelete, value } of versions) {
    builder.add(key, sequence, isDelete, value)
  }
  const { bytes, properties } = builder.finish()
  const source = {
    sizeBytes: bytes.length,
    read: (offset: number, length: number) => bytes.subarray(offset, offset + length),
  }
  const description: TableDescription = {
    domain: DOMAIN,
    epoch: 1,
    id: ++lastId,
    level,
    sizeBytes: bytes.length,
    checksum: '',
    rows: properties.rowCount,
    deletes: properties.deleteCount,
    smallestKey: properties.smallestKey,
    greatestKey: properties.greatestKey,
    smallestSequence: properties.smallestSequence,
    greatestSequence: properties.greatestSequence,
  }
  const reader = TableReader.open(source, 'table')
  const memory = TableMemory.open(source, 'table')
  return new TableHandle(description, {
    memoryOf: () => memory,
    block: (table, _memory, number) => {
      onBlock?.(number, table)
      return reader.readBlock(number)
    },
  })
}

/** @param handles by level; level 0 newest first, the others by key */
export function versionOf(handles: readonly TableHandle[]): TableVersion {
  const byDescription = new Map(handles.map(handle => [handle.description, handle]))
  return TableVersion.of([...byDescription.keys()], description => {
    const handle = byDescription.get(description)
    if (handle === undefined) throw new Error('a table without a handle')
    return handle
  })
}

/** Versions of a level in up to `count` tables; those of one key stay together. */
export function levelOf(
  versions: readonly Version[],
  level: number,
  count: number,
  options: TableOptions = {},
): TableHandle[] {
  const each = Math.ceil(versions.length / count)
  const handles: TableHandle[] = []
  let part: Version[] = []
  for (const version of versions) {
    const last = part.at(-1)
    const isSameKey = last !== undefined && Buffer.compare(last.key, version.key) === 0
    if (part.length >= each && !isSameKey) {
      handles.push(tableOf(part, { ...options, level }))
      part = []
    }
    part.push(version)
  }
  if (part.length > 0) handles.push(tableOf(part, { ...options, level }))
  return handles
}
