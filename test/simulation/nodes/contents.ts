/** Every row that a node would show: of each key the newest version at or below a sequence. */
import { createHash } from 'node:crypto'
import { tableKey } from '../../../src/codec/bucket-layout.ts'
import { toHex } from '../../../src/codec/bytes.ts'
import { keyId, ROW_TYPE } from '../../../src/codec/keys.ts'
import { TableCursor } from '../../../src/codec/table/table-cursor.ts'
import { TableReader } from '../../../src/codec/table/table-reader.ts'
import { formatUuid } from '../../../src/codec/uuid.ts'
import type { DomainHandle } from '../../../src/main/domain-handle.ts'
import { MemtableCursor } from '../../../src/shared/memtable-cursor.ts'
import type { ObjectStore } from '../../../src/shared/object-store.ts'

export interface Contents {
  /** The number of rows, and a hash of all of them. */
  readonly text: string
  /** Ids of the objects. */
  readonly objects: ReadonlySet<string>
}

interface Row {
  readonly sequence: number
  /** Empty for a delete. */
  readonly value: string
}

/** Of the rows at or below the visible sequence. */
export async function contentsOf(
  domain: DomainHandle,
  bucket: Pick<ObjectStore, 'get'>,
): Promise<Contents> {
  const rows = new Map<string, Row>()
  const add = (key: Uint8Array, sequence: number, isDelete: boolean, value: Uint8Array): void => {
    const name = toHex(key)
    if ((rows.get(name)?.sequence ?? 0) < sequence) {
      rows.set(name, { sequence, value: isDelete ? '' : `=${toHex(value)}` })
    }
  }
  const { visibleSequence, memtables, manifest } = domain
  for (const memtable of memtables.newestFirst) {
    const cursor = new MemtableCursor(memtable, visibleSequence)
    for (cursor.seekFirst(); cursor.valid; cursor.next()) {
      add(cursor.key(), cursor.sequence, cursor.isDelete(), cursor.value())
    }
  }
  for (const table of manifest?.tables ?? []) {
    const name = tableKey(table)
    const bytes = await bucket.get(name)
    if (bytes === null) throw new Error(`${name}, which a manifest names, is not in the bucket`)
    const read = (offset: number, length: number): Uint8Array =>
      bytes.subarray(offset, offset + length)
    const reader = TableReader.open({ sizeBytes: bytes.length, read }, name)
    const cursor = new TableCursor(reader, block => reader.readBlock(block))
    for (cursor.seekFirst(); cursor.valid; cursor.next()) {
      if (cursor.sequence > visibleSequence) continue
      add(
        cursor.keyBytes.subarray(0, cursor.keyLength),
        cursor.sequence,
        cursor.isDelete,
        cursor.value(),
      )
    }
  }
  const hash = createHash('sha256')
  const shown = [...rows]
    .filter(([, { value }]) => value !== '')
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const objects = new Set<string>()
  for (const [key, { sequence, value }] of shown) {
    hash.update(`${key}@${sequence}${value}\n`)
    const bytes = Buffer.from(key, 'hex')
    if (bytes[0] === ROW_TYPE.object) objects.add(formatUuid(keyId(bytes)))
  }
  return { text: `${shown.length} rows, ${hash.digest('hex').slice(0, 16)}`, objects }
}
