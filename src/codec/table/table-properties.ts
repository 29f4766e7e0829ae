/** What a table says about itself, one section of it (docs/table-format.md). */
import { ByteReader, ByteWriter, compareBytes } from '../bytes.ts'
import { corruption } from '../errors.ts'
import { DOMAIN_BYTES, TABLE_KEY_BYTES_MAX, TABLE_VERSION } from './table-format.ts'

export interface TableProperties {
  readonly formatVersion: number
  /** The 16 bytes of the domain's uuid. */
  readonly domain: Uint8Array
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  /** Deletes included. */
  readonly rowCount: number
  readonly deleteCount: number
  /** Bytes of all keys and values as they were added. */
  readonly rawBytes: number
  /** 0 without rows, as is greatestSequence. */
  readonly smallestSequence: number
  readonly greatestSequence: number
  /** Empty without rows, as is greatestKey. */
  readonly smallestKey: Uint8Array
  readonly greatestKey: Uint8Array
}

export function encodeProperties(properties: TableProperties): Uint8Array {
  return new ByteWriter()
    .u32(properties.formatVersion)
    .raw(properties.domain)
    .u64(properties.createdAt)
    .u64(properties.rowCount)
    .u64(properties.deleteCount)
    .u64(properties.rawBytes)
    .u64(properties.smallestSequence)
    .u64(properties.greatestSequence)
    .blob(properties.smallestKey)
    .blob(properties.greatestKey)
    .take()
}

/**
 * Decodes the section; the result owns its bytes.
 * @throws CORRUPTION when it does not decode or contradicts itself.
 */
export function decodeProperties(bytes: Uint8Array): TableProperties {
  const reader = new ByteReader(bytes, 'the properties section')
  const properties: TableProperties = {
    formatVersion: reader.u32(),
    domain: reader.raw(DOMAIN_BYTES).slice(),
    createdAt: reader.u64(),
    rowCount: reader.u64(),
    deleteCount: reader.u64(),
    rawBytes: reader.u64(),
    smallestSequence: reader.u64(),
    greatestSequence: reader.u64(),
    smallestKey: reader.blob().slice(),
    greatestKey: reader.blob().slice(),
  }
  reader.expectEnd()
  if (!isConsistent(properties)) throw corruption('the properties section contradicts itself')
  return properties
}

function isConsistent(properties: TableProperties): boolean {
  return (
    properties.formatVersion === TABLE_VERSION &&
    properties.deleteCount <= properties.rowCount &&
    properties.smallestSequence <= properties.greatestSequence &&
    properties.smallestKey.length <= TABLE_KEY_BYTES_MAX &&
    properties.greatestKey.length <= TABLE_KEY_BYTES_MAX &&
    compareBytes(properties.smallestKey, properties.greatestKey) <= 0
  )
}
