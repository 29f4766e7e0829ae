/**
 * The committed pointer of a domain (docs/bucket-layout.md): a small object, overwritten after each
 * commit, that names the newest committed manifest. A manifest that it never named may not count.
 */
import { corruption } from './errors.ts'
import type { ManifestName } from './manifest.ts'
import { isUuid } from './uuid.ts'

export const COMMITTED_POINTER_VERSION = 1

export function encodeCommitted({ domain, epoch, version }: ManifestName): Uint8Array {
  const pointer = {
    format: 'waymark-committed',
    version: COMMITTED_POINTER_VERSION,
    manifest: { domain, epoch, version },
  }
  return new TextEncoder().encode(`${JSON.stringify(pointer)}\n`)
}

/** @throws CORRUPTION naming `file` */
export function decodeCommitted(bytes: Uint8Array, file: string): ManifestName {
  let pointer: Partial<Record<string, unknown>>
  try {
    pointer = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as typeof pointer
  } catch (error) {
    throw corruption(`${file} is not JSON: ${String(error)}`, { file })
  }
  const { domain, epoch, version } = (pointer?.manifest ?? {}) as Partial<ManifestName>
  const isKnown =
    pointer?.format === 'waymark-committed' && pointer.version === COMMITTED_POINTER_VERSION
  if (!isKnown || !isUuid(domain) || !isCount(epoch) || !isCount(version)) {
    throw corruption(`${file} is not a committed pointer of version 1`, { file })
  }
  return { domain, epoch, version }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
