/** Turns a frozen memtable into tables. Runs in an I/O thread, on the memory itself: no copy. */

import { xxh64 } from '../../codec/hash.ts'
import { filterPrefixBytes, ROW_TYPE } from '../../codec/keys.ts'
import type { TableDescription } from '../../codec/manifest.ts'
import { decodeExtent } from '../../codec/rows.ts'
import { TableBuilder } from '../../codec/table/table-builder.ts'
import { uuidBytes } from '../../codec/uuid.ts'
import type { Memtable } from '../../shared/memtable.ts'
import { MemtableCursor } from '../../shared/memtable-cursor.ts'

/** No table is larger, at any level. */
const TABLE_BYTES_MAX = 64 * 1024 * 1024
/** What a table's index, filters and footer may add to its blocks. */
const TABLE_MARGIN_BYTES = 4 * 1024 * 1024

export interface TableJob {
  domain: string
  epoch: number
  firstTableId: number
  lastSequence: number
  compression: 'lz4' | 'none'
  createdAt: number
}

export interface BuiltTable {
  description: TableDescription
  bytes: Uint8Array
}

/** The newest version of every row up to the job's last sequence, deletes included, in order. */
export function* buildTables(memtable: Memtable, job: TableJob): Generator<BuiltTable> {
  const rows = new MemtableCursor(memtable, job.lastSequence)
  let id = job.firstTableId
  for (rows.seekFirst(); rows.valid; id++) {
    const builder = new TableBuilder({
      domain: uuidBytes(job.domain),
      createdAt: job.createdAt,
      compression: job.compression,
      prefixLength: filterPrefixBytes,
      timestampOf: extentTimestamp,
    })
    while (rows.valid && builder.sizeBytes < TABLE_BYTES_MAX - TABLE_MARGIN_BYTES) {
      builder.add(rows.key(), rows.sequence, rows.isDelete(), rows.value())
      rows.next()
    }
    const { bytes, properties } = builder.finish()
    const description: TableDescription = {
      domain: job.domain,
      epoch: job.epoch,
      id,
      level: 0,
      sizeBytes: bytes.length,
      checksum: xxh64(bytes).toString(16).padStart(16, '0'),
      rows: properties.rowCount,
      deletes: properties.deleteCount,
      smallestKey: properties.smallestKey,
      greatestKey: properties.greatestKey,
      smallestSequence: properties.smallestSequence,
      greatestSequence: properties.greatestSequence,
    }
    yield { description, bytes }
  }
}

/** What findByTimestamp wants to know of a block; deletes have none. */
function extentTimestamp(key: Uint8Array, value: Uint8Array): number | undefined {
  if (key[0] !== ROW_TYPE.extent || value.length === 0) return undefined
  return decodeExtent(key, value).maxTimestamp
}
