/** What the tests of flush and compaction share: rows in finished files, and which should be kept. */
import { ByteWriter, compareBytes, toHex } from '../../src/codec/bytes.ts'
import { filterPrefixBytes, ROW_TYPE } from '../../src/codec/keys.ts'
import type { TableDescription } from '../../src/codec/manifest.ts'
import { encodeExtent, extentTimestamp } from '../../src/codec/rows.ts'
import { TableBuilder } from '../../src/codec/table/table-builder.ts'
import { TableCursor } from '../../src/codec/table/table-cursor.ts'
import { TableReader } from '../../src/codec/table/table-reader.ts'
import { uuidBytes } from '../../src/codec/uuid.ts'
import type { TableNaming } from '../../src/shared/io-tasks.ts'
import { type Row, versionsOf } from '../shared/row-keys.ts'
import type { Version } from '../shared/versions.ts'

export const DOMAIN = '11111111-2222-4333-8444-555555555555'

export const NAMING: TableNaming = {
  domain: DOMAIN,
  epoch: 3,
  firstTableId: 100,
  lastTableId: 163,
  compression: 'lz4',
  createdAt: 1_700_000_000_000,
}

export interface TableFile {
  description: TableDescription
  bytes: Uint8Array
}

let lastId = 0

/** @param versions sorted */
export function fileOf(
  versions: readonly Version[],
  level: number,
  blockBytes: number,
  compression: 'lz4' | 'none' = 'lz4',
): TableFile {
  const builder = new TableBuilder({
    domain: uuidBytes(DOMAIN),
    createdAt: 1,
    compression,
    blockBytes,
    prefixLength: filterPrefixBytes,
    timestampOf: extentTimestamp,
  })
  for (const { key, sequence, isDelete, value } of versions) {
    builder.add(key, sequence, isDelete, value)
  }
  const { bytes, properties } = builder.finish()
  const description: TableDescription = {
    domain: DOMAIN,
    epoch: 2,
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
  return { description, bytes: bytes.slice() }
}

/** All versions in a table's file, in its order. */
export function rowsIn(bytes: Uint8Array): Version[] {
  const read = (offset: number, length: number): Uint8Array =>
    bytes.subarray(offset, offset + length)
  const reader = TableReader.open({ sizeBytes: bytes.length, read }, 'table')
  const cursor = new TableCursor(reader, block => reader.readBlock(block))
  const rows: Version[] = []
  for (cursor.seekFirst(); cursor.valid; cursor.next()) {
    rows.push({
      key: cursor.keyBytes.slice(0, cursor.keyLength),
      sequence: cursor.sequence,
      isDelete: cursor.isDelete,
      value: cursor.value().slice(),
    })
  }
  return rows
}

/** Versions of rows that a table accepts: the value of an extent is one, since it has a timestamp. */
export function storableVersions(rows: readonly Row[], firstSequence: number): Version[] {
  return versionsOf(rows, firstSequence).map(version => {
    const { key, sequence, value } = version
    if (key[0] !== ROW_TYPE.extent || value.length === 0) return version
    const [lastOffset, maxTimestamp] = [value[0] + 1, sequence % 1000]
    const objectId = new Uint8Array(16).fill(value.length)
    const extent = { lastOffset, maxTimestamp, position: 0, sizeBytes: sequence, objectId }
    return { ...version, value: encodeExtent(new ByteWriter(), extent).slice() }
  })
}

/**
 * Of sorted versions those that somebody can see, by definition: of each key the newest, and for
 * each snapshot the newest at or below it. Deletes at or below every snapshot go where `isBottom`.
 */
export function seenVersions(
  versions: readonly Version[],
  snapshots: readonly number[],
  isBottom: (key: Uint8Array) => boolean,
): Version[] {
  const oldest = Math.min(...snapshots)
  return versions.filter(version => {
    const newer = versions.filter(
      ({ key, sequence }) => sequence > version.sequence && compareBytes(key, version.key) === 0,
    )
    const isSeenAt = (snapshot: number): boolean =>
      version.sequence <= snapshot && newer.every(({ sequence }) => sequence > snapshot)
    if (newer.length > 0 && !snapshots.some(isSeenAt)) return false
    return !(version.isDelete && version.sequence <= oldest && isBottom(version.key))
  })
}

export function textOf({ key, sequence, isDelete, value }: Version): string {
  return `${toHex(key)}@${sequence}=${isDelete ? 'deleted' : toHex(value)}`
}

/** What each key reads as at a sequence; a delete and nothing are the same. */
export function readsAt(versions: readonly Version[], sequence: number): string[] {
  const rows: string[] = []
  let last: Uint8Array | undefined
  for (const version of versions) {
    if (version.sequence > sequence) continue
    if (last !== undefined && compareBytes(last, version.key) === 0) continue
    last = version.key
    if (!version.isDelete) rows.push(textOf(version))
  }
  return rows
}
