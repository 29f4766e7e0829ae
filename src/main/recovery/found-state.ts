/** What the bucket has of one domain, as far as a restore wants it. */
import { manifestKey } from '../../codec/bucket-layout.ts'
import { isNewerManifest, type ManifestName } from '../../codec/manifest.ts'
import type { TailName } from '../../codec/tail.ts'
import type { UnusedPieces } from '../../shared/api.ts'
import type { Choose, ChosenState } from './choose-state.ts'
import type { RestoreSource } from './restore-source.ts'

export interface FoundState extends ChosenState {
  /** UUID of the source's domain. */
  readonly domain: string
  /** All tail objects of the domain, unread. */
  readonly tails: readonly TailName[]
  readonly notUsed: readonly UnusedPieces[]
  /** Why the domain begins empty although it should not; else null. */
  readonly skipped: string | null
}

/** @throws CORRUPTION, also for a table that is missing; what choosing throws */
export async function findState(
  source: RestoreSource,
  domain: string,
  choose: Choose,
): Promise<FoundState> {
  const chosen = await choose(domain)
  const { manifest, newest } = chosen
  const [tails, newer] = await Promise.all([
    source.tails(domain),
    source.manifestsAfter(domain, manifest),
    manifest && source.expectTables(manifest),
  ])
  return { ...chosen, domain, tails, notUsed: manifestsNotUsed(newer, newest), skipped: null }
}

/** A domain that is left out. */
export function noState(domain: string, why: string): FoundState {
  const nothing = { manifest: null, newest: null, tailUntil: null }
  return { ...nothing, domain, tails: [], notUsed: [], skipped: why }
}

/** @param newer names of manifests, ascending @param newest the newest committed one */
function manifestsNotUsed(
  newer: readonly ManifestName[],
  newest: ManifestName | null,
): UnusedPieces[] {
  const isUncommitted = (name: ManifestName): boolean =>
    newest === null || isNewerManifest(name, newest)
  return (['later', 'uncommitted'] as const).flatMap(why => {
    const names = newer.filter(name => isUncommitted(name) === (why === 'uncommitted'))
    const last = names.at(-1)
    if (last === undefined) return []
    return [{ kind: 'manifest' as const, why, count: names.length, newest: manifestKey(last) }]
  })
}
