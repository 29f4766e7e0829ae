/**
 * Which state of a domain is restored: a committed manifest, and up to when the tail that goes on
 * from it may have been made.
 *
 * latest      the manifest that the committed pointer names, and all of the tail
 * checkpoint  the manifest that the checkpoint names, and no tail
 * timestamp   along the parents of the newest committed manifest the first one that was made by
 *             then, and of the tail what was made by then. When these have been collected, a
 *             manifest that a checkpoint has kept.
 */
import { manifestKey } from '../../codec/bucket-layout.ts'
import type { CheckpointFile } from '../../codec/checkpoint-file.ts'
import { corruption, invalidRequest, MetastoreError } from '../../codec/errors.ts'
import { isNewerManifest, type Manifest, type ManifestName } from '../../codec/manifest.ts'
import type { RestorePoint } from '../../shared/api.ts'
import { missing, type RestoreSource } from './restore-source.ts'

export interface ChosenState {
  /** Null: the domain begins empty, or with a tail from its first write on. */
  readonly manifest: Manifest | null
  /** The newest committed one, of which `manifest` is a descendant's ancestor. */
  readonly newest: ManifestName | null
  /** Tail objects that were made later are not used; milliseconds since the epoch. Null: none. */
  readonly tailUntil: number | null
}

/** Chooses for one domain. @throws CORRUPTION; INVALID_REQUEST for a state that is not kept */
export type Choose = (domain: string) => Promise<ChosenState>

/** @throws INVALID_REQUEST for a checkpoint, or a time, that the cluster does not have */
export async function chooserOf(source: RestoreSource, at: RestorePoint): Promise<Choose> {
  if (at === 'latest') {
    return async domain => {
      const manifest = await source.committed(domain)
      return { manifest, newest: manifest, tailUntil: Number.POSITIVE_INFINITY }
    }
  }
  if ('checkpoint' in at) {
    const checkpoint = await source.checkpoint(at.checkpoint)
    return domain => chooseNamed(source, checkpoint, domain)
  }
  const { createdAt } = source.cluster
  if (at.timestamp < createdAt) throw tooOld(at.timestamp, createdAt)
  return domain => chooseByTime(source, domain, at.timestamp)
}

async function chooseNamed(
  source: RestoreSource,
  { name, expiresAt, domains }: CheckpointFile,
  domain: string,
): Promise<ChosenState> {
  const named = domains.find(of => of.domain === domain)
  if (named === undefined) throw corruption(`checkpoint ${name} does not name domain ${domain}`)
  const newest = await source.committed(domain).catch(ignoreCorruption)
  if (named.manifest === null) return { manifest: null, newest, tailUntil: null }
  const manifest = await source.manifest(named.manifest)
  if (manifest !== undefined) return { manifest, newest, tailUntil: null }
  const file = manifestKey(named.manifest)
  if (expiresAt === null) throw missing(file)
  const until = new Date(expiresAt).toISOString()
  throw corruption(`checkpoint ${name} kept ${file} until ${until}; it is not in the bucket`, {
    file,
  })
}

/** The newest state is only there to say what is newer than the checkpoint. */
function ignoreCorruption(error: unknown): null {
  if (error instanceof MetastoreError && error.code === 'CORRUPTION') return null
  throw error
}

async function chooseByTime(
  source: RestoreSource,
  domain: string,
  timestamp: number,
): Promise<ChosenState> {
  const newest = await source.committed(domain)
  let manifest: Manifest | null = newest
  while (manifest !== null && manifest.createdAt > timestamp) {
    const { parent, createdAt }: Manifest = manifest
    // The first flush came later: what there was by then is in the tail, if anywhere.
    if (parent === null) manifest = null
    else {
      const before: Manifest | undefined =
        parent.domain === domain ? await source.manifest(parent) : undefined
      manifest = before ?? (await keptByCheckpoint(source, domain, timestamp, createdAt))
    }
  }
  return { manifest, newest, tailUntil: timestamp }
}

/** @param oldest when the oldest manifest was made that can be found otherwise */
async function keptByCheckpoint(
  source: RestoreSource,
  domain: string,
  timestamp: number,
  oldest: number,
): Promise<Manifest> {
  let found: Manifest | undefined
  for (const manifest of await source.checkpointed(domain)) {
    if (manifest.createdAt > timestamp) oldest = Math.min(oldest, manifest.createdAt)
    else if (found === undefined || isNewerManifest(manifest, found)) found = manifest
  }
  if (found === undefined) throw tooOld(timestamp, oldest)
  return found
}

function tooOld(timestamp: number, oldest: number): MetastoreError {
  return invalidRequest(
    `from.at.timestamp is ${timestamp}; the oldest state that can be had is of ${oldest} ` +
      `(${new Date(oldest).toISOString()})`,
    { oldestTimestamp: oldest },
  )
}
