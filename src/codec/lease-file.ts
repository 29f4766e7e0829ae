/**
 * A read replica's lease on a domain (docs/bucket-layout.md): until it expires, collection keeps
 * the manifest that it names, that one's tables, and every newer manifest. Overwritten by its
 * reader.
 */
import { corruption } from './errors.ts'
import { decodeJsonFile, encodeJsonFile, isCount, type JsonFields } from './json-file.ts'
import type { ManifestName } from './manifest.ts'
import { isUuid } from './uuid.ts'

const FORMAT = 'waymark-lease'
export const LEASE_FILE_VERSION = 1

export interface LeaseFile {
  /** UUID. */
  readerId: string
  /** UUID. */
  domain: string
  /** Milliseconds since the epoch, by the reader's clock. */
  expiresAt: number
  /** Null while the domain has none: then everything is kept. */
  manifest: ManifestName | null
}

export function encodeLease(lease: LeaseFile): Uint8Array {
  return encodeJsonFile(FORMAT, LEASE_FILE_VERSION, lease)
}

/** @throws CORRUPTION naming `file` */
export function decodeLease(bytes: Uint8Array, file: string): LeaseFile {
  const fields = decodeJsonFile(bytes, FORMAT, LEASE_FILE_VERSION, file)
  const { readerId, domain, expiresAt, manifest } = fields
  if (!isUuid(readerId) || !isUuid(domain) || !isCount(expiresAt)) {
    throw corruption(`${file}: bad lease`, { file })
  }
  if (manifest === null) return { readerId, domain, expiresAt, manifest }
  const name = (manifest ?? {}) as JsonFields
  if (!isUuid(name.domain) || !isCount(name.epoch) || !isCount(name.version)) {
    throw corruption(`${file}: bad manifest`, { file })
  }
  const held = { domain: name.domain, epoch: name.epoch, version: name.version }
  return { readerId, domain, expiresAt, manifest: held }
}
