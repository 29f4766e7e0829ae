/**
 * The sweep: which of the callers' objects in the bucket nobody knows. An I/O task lists them and
 * leaves out what other clusters know; the rest is asked of this cluster's domains. Nothing is
 * deleted: somebody may know them whom the bucket does not show.
 */
import { uuidBytes } from '../../codec/uuid.ts'
import { OBJECT_IDS_MAX } from '../../shared/writes/write-kinds.ts'
import type { RoutedDomain } from '../cluster/routed-domain.ts'
import type { IoRunner } from '../io-pool.ts'

/** Ids that are named; the others are counted. */
const NAMED_MAX = 1000

export interface SweepOptions {
  clusterId: string
  domains: readonly RoutedDomain[]
  io: IoRunner
  /** Milliseconds since the epoch: younger objects are passed over. */
  before: number
  cacheDirectory: string
}

export interface UnknownObjects {
  unknownObjects: string[]
  unknownObjectCount: number
}

export async function findUnknownObjects(options: SweepOptions): Promise<UnknownObjects> {
  const { clusterId, domains, io, before, cacheDirectory } = options
  const found: UnknownObjects = { unknownObjects: [], unknownObjectCount: 0 }
  let after: string | null = null
  do {
    const listed: { ids: string[]; next: string | null } = await io.run({
      type: 'sweepObjects',
      ...{ clusterId, after, before, cacheDirectory },
    })
    for (let at = 0; at < listed.ids.length; at += OBJECT_IDS_MAX) {
      const unknown = await unknownTo(domains, listed.ids.slice(at, at + OBJECT_IDS_MAX))
      found.unknownObjectCount += unknown.length
      found.unknownObjects.push(...unknown.slice(0, NAMED_MAX - found.unknownObjects.length))
    }
    after = listed.next
  } while (after !== null)
  return found
}

/** Each domain is asked only for what those before it do not know. */
async function unknownTo(domains: readonly RoutedDomain[], ids: string[]): Promise<string[]> {
  let unknown = ids
  for (const domain of domains) {
    if (unknown.length === 0) break
    const asked = unknown.map(id => uuidBytes(id))
    const states = await domain.read('getObjectStates', asked, undefined, 'leader')
    unknown = unknown.filter((_, i) => states[i] === 'unknown')
  }
  return unknown
}
