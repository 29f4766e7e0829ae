/**
 * Moves a domain's committed pointer, forward only (docs/bucket-layout.md). Each move replaces just
 * the version that was looked at, so a deposed leader, or a put of its that comes late, never moves
 * it back: the newer leader's move has changed the version, or the newer leader looks again.
 */
import { committedKey } from '../codec/bucket-layout.ts'
import { decodeCommitted, encodeCommitted } from '../codec/committed-pointer.ts'
import { MetastoreError } from '../codec/errors.ts'
import { isNewerManifest, type ManifestName } from '../codec/manifest.ts'
import type { ObjectStore } from './object-store.ts'
import { type RetryOptions, withRetry } from './retry.ts'

/**
 * 'moved' when the pointer names the manifest, from this call or an earlier one; 'superseded' when
 * it names a newer one, and stays. Rejects as withRetry().
 */
export async function moveCommitted(
  store: ObjectStore,
  manifest: ManifestName,
  options: RetryOptions,
): Promise<'moved' | 'superseded'> {
  const key = committedKey(manifest.domain)
  const body = encodeCommitted(manifest)
  // An answer that was lost is met at the next look: the pointer names the manifest already.
  return await withRetry(options, async signal => {
    const info = await store.head(key, { signal })
    const present = info === null ? null : await store.get(key, { signal })
    const named = present === null ? undefined : nameIn(present, key)
    if (named !== undefined && isSame(named, manifest)) return 'moved'
    if (named !== undefined && isNewerManifest(named, manifest)) return 'superseded'
    const condition = info === null ? { ifNoneMatch: true } : { ifMatch: info.version }
    if ((await store.put(key, body, { ...condition, signal })) === 'created') return 'moved'
    throw new MetastoreError('UNAVAILABLE', `${key} was moved by somebody else meanwhile`)
  })
}

/** Undefined for a pointer that is damaged: the leader knows what it has to name. */
function nameIn(bytes: Uint8Array, key: string): ManifestName | undefined {
  try {
    return decodeCommitted(bytes, key)
  } catch {
    return undefined
  }
}

function isSame(a: ManifestName, b: ManifestName): boolean {
  return a.domain === b.domain && a.epoch === b.epoch && a.version === b.version
}
