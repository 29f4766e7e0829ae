/**
 * Recovery of all domains from the log on disk: each one's newest manifest is installed, then the
 * row batches after it go into memtables. The manifest's entry is always in the log, because the
 * log is cut at what the manifest covers, which is older.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MetastoreError } from '../../codec/errors.ts'
import { decodeManifest, isNewerManifest, type Manifest } from '../../codec/manifest.ts'
import { batchSequence } from '../../codec/row-batch.ts'
import { REQUEST } from '../../shared/messages.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { IoPool } from '../io-pool.ts'
import type { DiskLog } from '../log/disk-log.ts'
import type { Logger } from '../options.ts'
import { ENTRY_KIND } from '../replication/replicated-log.ts'

interface Context {
  disk: DiskLog
  domains: readonly DomainHandle[]
  io: IoPool
  cacheDirectory: string
  logger: Logger
}

/** Where each domain's batches are in the log; to name the entry that a frozen memtable ends at. */
export class RecoveredIndexes {
  readonly #sequences: number[] = []
  readonly #indexes: number[] = []

  add(sequence: number, index: number): void {
    this.#sequences.push(sequence)
    this.#indexes.push(index)
  }

  /** The index of a sequence that was recovered. */
  indexOf(sequence: number): number {
    const first = this.#sequences[0]
    const index = this.#indexes[sequence - first]
    if (index === undefined) throw new Error(`sequence ${sequence} was not recovered`)
    return index
  }
}

/** @returns bytes of row batches that were applied */
export async function recoverDomains(
  context: Context,
  indexes: readonly RecoveredIndexes[],
): Promise<number> {
  const manifests = await newestManifests(context)
  for (const [group, bytes] of manifests) {
    await installManifest(context, context.domains[group], bytes)
  }
  const appliedBytes = await applyBatches(context, indexes)
  const recovered = context.domains.map(domain =>
    domain.manage(
      REQUEST.recovered,
      () => {},
      reader => reader.varint(),
    ),
  )
  await Promise.all(recovered)
  return appliedBytes
}

async function newestManifests({ disk }: Context): Promise<Map<number, Uint8Array>> {
  const newest = new Map<number, { bytes: Uint8Array; manifest: Manifest }>()
  await disk.replay(({ group, index, kind, payload }) => {
    if (kind !== ENTRY_KIND.manifest) return
    const bytes = payload.slice()
    const manifest = decodeManifest(bytes, `manifest entry ${index} of group ${group}`)
    const known = newest.get(group)
    if (known === undefined || isNewerManifest(manifest, known.manifest)) {
      newest.set(group, { bytes, manifest })
    }
  })
  return new Map([...newest].map(([group, { bytes }]) => [group, bytes]))
}

/** Once more with fresh copies when a cached table does not open. */
async function installManifest(
  { io, cacheDirectory, logger }: Context,
  domain: DomainHandle,
  bytes: Uint8Array,
): Promise<void> {
  const manifest = decodeManifest(bytes, 'manifest entry')
  const { tables } = manifest
  const install = (): Promise<void> =>
    domain.manage(
      REQUEST.install,
      out => out.raw(bytes),
      () => undefined,
    )
  await io.run({ type: 'fetchTables', tables, cacheDirectory, force: false })
  try {
    await install()
  } catch (error) {
    if (!(error instanceof MetastoreError) || error.code !== 'CORRUPTION') throw error
    logger.warn(
      { err: error, domain: domain.number },
      'a cached table is damaged; fetching it again',
    )
    await io.run({ type: 'fetchTables', tables, cacheDirectory, force: true })
    await install()
  }
  domain.installed(manifest)
}

async function applyBatches(
  { disk, domains }: Context,
  indexes: readonly RecoveredIndexes[],
): Promise<number> {
  let appliedBytes = 0
  await disk.replay(({ group, index, kind, payload }) => {
    if (kind !== ENTRY_KIND.rows) return undefined
    const domain = domains[group]
    const sequence = batchSequence(payload)
    if (sequence <= (domain.manifest?.lastSequence ?? 0)) return undefined
    indexes[group].add(sequence, index)
    domain.apply(sequence, payload)
    appliedBytes += payload.length
    return domain.link.isBacklogged ? caughtUp(domain) : undefined
  })
  return appliedBytes
}

async function caughtUp(domain: DomainHandle): Promise<void> {
  while (domain.link.isBacklogged) {
    domain.expectAlive()
    await nextTurn()
  }
}
