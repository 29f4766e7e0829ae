/**
 * Recovery of all domains from the log on disk: each one's newest manifest is installed, then the
 * row batches after it go into memtables. The manifest's entry is always in the log, because the
 * log is cut at what the manifest covers, which is older.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { decodeManifest, isNewerManifest, type Manifest } from '../../codec/manifest.ts'
import { batchSequence } from '../../codec/row-batch.ts'
import { REQUEST } from '../../shared/messages.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { DiskLog } from '../log/disk-log.ts'
import { ENTRY_KIND } from '../replication/replicated-log.ts'

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
  disk: DiskLog,
  domains: readonly DomainHandle[],
  indexes: readonly RecoveredIndexes[],
): Promise<number> {
  for (const [group, { manifest, bytes }] of await newestManifests(disk)) {
    await domains[group].install(manifest, bytes)
  }
  const appliedBytes = await applyBatches(disk, domains, indexes)
  const recovered = domains.map(domain =>
    domain.manage(
      REQUEST.recovered,
      () => {},
      reader => reader.varint(),
    ),
  )
  await Promise.all(recovered)
  return appliedBytes
}

interface FoundManifest {
  bytes: Uint8Array
  manifest: Manifest
}

async function newestManifests(disk: DiskLog): Promise<Map<number, FoundManifest>> {
  const newest = new Map<number, FoundManifest>()
  await disk.replay(({ group, index, kind, payload }) => {
    if (kind !== ENTRY_KIND.manifest) return
    const bytes = payload.slice()
    const manifest = decodeManifest(bytes, `manifest entry ${index} of group ${group}`)
    const known = newest.get(group)
    if (known === undefined || isNewerManifest(manifest, known.manifest)) {
      newest.set(group, { bytes, manifest })
    }
  })
  return newest
}

async function applyBatches(
  disk: DiskLog,
  domains: readonly DomainHandle[],
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
