/**
 * The committed pointer of a domain (docs/bucket-layout.md): a small object, moved after each
 * commit, that names the newest committed manifest. A manifest that it never named may not count.
 */
import { corruption } from './errors.ts'
import { decodeJsonFile, encodeJsonFile, isCount, type JsonFields } from './json-file.ts'
import type { ManifestName } from './manifest.ts'
import { isUuid } from './uuid.ts'

const FORMAT = 'waymark-committed'
export const COMMITTED_POINTER_VERSION = 1

export function encodeCommitted({ domain, epoch, version }: ManifestName): Uint8Array {
  const manifest = { domain, epoch, version }
  return encodeJsonFile(FORMAT, COMMITTED_POINTER_VERSION, { manifest })
}

/** @throws CORRUPTION naming `file` */
export function decodeCommitted(bytes: Uint8Array, file: string): ManifestName {
  const { manifest } = decodeJsonFile(bytes, FORMAT, COMMITTED_POINTER_VERSION, file)
  const { domain, epoch, version } = (manifest ?? {}) as JsonFields
  if (!isUuid(domain) || !isCount(epoch) || !isCount(version)) {
    throw corruption(`${file}: bad manifest`, { file })
  }
  return { domain, epoch, version }
}
