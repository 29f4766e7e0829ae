/**
 * What a node's log says of its groups when it starts: what is known to be committed, and the
 * manifest that stands for what was cut off. The rest is the Raft groups' own: they hand out again
 * what is committed and come after the cut.
 */
import { decodeConfState } from '../../codec/conf-state.ts'
import { decodeGroupBase } from '../../codec/group-base.ts'
import { decodeManifest, isNewerManifest, type Manifest } from '../../codec/manifest.ts'
import type { DiskLog } from '../log/disk-log.ts'
import { type ConfState, isOnlyVoter } from '../raft/configuration.ts'
import { CONFIG_KIND } from '../raft/entry.ts'
import { impliedCommit } from '../raft/implied-commit.ts'
import type { GroupStart } from '../replication/group-log.ts'
import { ENTRY_KIND } from '../replication/replicated-log.ts'

export interface RecoveredGroup extends GroupStart {
  /** The newest committed manifest, encoded; undefined when there is none. */
  readonly manifest: Uint8Array | undefined
  /** Whether this node is the group's only voter: it leads it at once. */
  readonly isAlone: boolean
}

interface FoundManifest {
  readonly index: number
  readonly manifest: Manifest
  readonly bytes: Uint8Array
}

interface Found {
  readonly manifests: FoundManifest[]
  readonly changes: { index: number; kind: number }[]
}

/**
 * Reads the log once.
 * @param initial the configuration of a group that never had another one
 */
export async function recoverGroups(
  disk: DiskLog,
  nodeId: number,
  groups: number,
  initial: (group: number) => ConfState,
): Promise<RecoveredGroup[]> {
  const found = Array.from({ length: groups }, (): Found => ({ manifests: [], changes: [] }))
  await disk.replay(({ group, index, kind, payload }) => {
    if (kind === CONFIG_KIND) found[group].changes.push({ index, kind })
    if (kind !== ENTRY_KIND.manifest) return
    const bytes = payload.slice()
    const manifest = decodeManifest(bytes, `manifest entry ${index} of group ${group}`)
    found[group].manifests.push({ index, manifest, bytes })
  })
  return found.map(({ manifests, changes }, group) => {
    const state = disk.groupState(group)
    const kept = state?.configuration
    const base =
      kept === undefined
        ? undefined
        : decodeGroupBase(kept.bytes, `state of group ${group} at ${kept.index}`)
    const lastIndex = disk.lastIndex(group)
    const known = Math.max(base?.commit ?? 0, impliedCommit(changes))
    const configuration = base === undefined ? initial(group) : decodeConfState(base.configuration)
    const isOnly = isOnlyVoter(configuration, nodeId)
    const isAlone = isOnly && changes.length === 0
    // What is on the disk of the only voter is committed, up to what may have given it others.
    const own = isAlone ? lastIndex : isOnly ? changes[0].index : 0
    const commit = Math.min(Math.max(known, own), lastIndex)
    return {
      configuration,
      commit,
      isAlone,
      manifest: newestOf(
        manifests.filter(({ index }) => index <= commit),
        base?.manifest,
        group,
      ),
    }
  })
}

/** @param installed came with a snapshot, before all that is in the log */
function newestOf(
  manifests: readonly FoundManifest[],
  installed: Uint8Array | undefined,
  group: number,
): Uint8Array | undefined {
  let newest: Pick<FoundManifest, 'manifest' | 'bytes'> | undefined
  if (installed !== undefined && installed.length > 0) {
    const bytes = installed.slice()
    newest = { bytes, manifest: decodeManifest(bytes, `installed manifest of group ${group}`) }
  }
  for (const found of manifests) {
    if (newest === undefined || isNewerManifest(found.manifest, newest.manifest)) newest = found
  }
  return newest?.bytes
}
