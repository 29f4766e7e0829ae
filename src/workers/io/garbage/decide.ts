/**
 * What of a domain's objects in the bucket is garbage: a pure function of what was listed and read.
 *
 * Invariants (docs/garbage.md)
 *  1. A manifest stays while it is committed, may be about to be, was replaced less than the delay
 *     ago, or a checkpoint or lease keeps it; a lease keeps every newer one as well.
 *  2. A table stays while a manifest that stays, or one of another domain, names it, while it may
 *     belong to a job, and while it is younger than the delay.
 *  3. A tail object, or a caller's object, goes by a state that was flushed the delay ago at least
 *     and that is no newer than what any lease (and for objects, checkpoint or relative) stands on.
 */
import { manifestKey, tableKey, tableOfKey, tailOfKey } from '../../../codec/bucket-layout.ts'
import type { CheckpointFile } from '../../../codec/checkpoint-file.ts'
import type { LeaseFile } from '../../../codec/lease-file.ts'
import { isNewerManifest, type Manifest } from '../../../codec/manifest.ts'
import type { GarbageCollection } from '../../../shared/garbage-tasks.ts'
import type { ObjectPage } from '../../../shared/object-store.ts'

export type BucketObject = ObjectPage['objects'][number]

/** An object of the bucket, and what it says. */
export interface Found<T> {
  object: BucketObject
  content: T
}

export interface DomainListing {
  /** Listed before the manifests: a table that is committed meanwhile is not among them. */
  tables: readonly BucketObject[]
  tails: readonly BucketObject[]
  manifests: readonly Found<Manifest>[]
  /** Listed after the manifests: see docs/garbage.md, "Readers". */
  leases: readonly Found<LeaseFile>[]
  /** Of the whole cluster. */
  checkpoints: readonly Found<CheckpointFile>[]
  /** Names of the tables that manifests of other domains refer to. */
  foreignTables: ReadonlySet<string>
  relatives: readonly Relative[]
}

/** A domain of another cluster with which a part of the history is shared. */
export interface Relative {
  clusterId: string
  domain: string
  /** Up to there it is the same. */
  sharedUpTo: number
  manifests: readonly Found<Manifest>[]
  leases: readonly Found<LeaseFile>[]
  checkpoints: readonly Found<CheckpointFile>[]
}

export interface Garbage {
  tables: BucketObject[]
  manifests: BucketObject[]
  tails: BucketObject[]
  leases: BucketObject[]
  checkpoints: BucketObject[]
  objectsUpTo: number
  nextDueAt: number | null
}

type Rules = Omit<GarbageCollection, 'clusterId' | 'isDryRun'>

export function decideGarbage(listing: DomainListing, rules: Rules): Garbage {
  const clock = new Clock(rules)
  const leases = partition(listing.leases, lease => hasExpired(lease, clock))
  const checkpoints = partition(listing.checkpoints, checkpoint => hasExpired(checkpoint, clock))
  const keepers = { leases: leases.kept, checkpoints: checkpoints.kept, rules, clock }
  const chain = chainOf(listing.manifests, rules)
  const manifests = partition(
    listing.manifests,
    found => !isManifestKept(found, keepers, chain.replacedBy),
  )
  const kept = new Set(listing.foreignTables)
  for (const { content } of manifests.kept) {
    for (const table of content.tables) kept.add(tableKey(table))
  }
  const flushed = flushedSequence(chain, clock)
  const leased = leasedSequence(leases.kept, listing.manifests)
  const tailsUpTo = Math.min(flushed, leased)
  return {
    tables: listing.tables.filter(table => isTableGarbage(table, kept, rules, clock)),
    manifests: manifests.garbage.map(({ object }) => object),
    tails: listing.tails.filter(({ key, modifiedAt }) => {
      const name = tailOfKey(key)
      return name !== undefined && name.last <= tailsUpTo && clock.isPast(modifiedAt)
    }),
    leases: leases.garbage.map(({ object }) => object),
    checkpoints: rules.isFirst ? checkpoints.garbage.map(({ object }) => object) : [],
    objectsUpTo: Math.min(
      tailsUpTo,
      checkpointedSequence(checkpoints.kept, rules.domain),
      ...listing.relatives.map(relative => relativeSequence(relative, clock)),
    ),
    nextDueAt: clock.nextDueAt,
  }
}

/** Which times are past the delay, and when the next one of the others will be. */
class Clock {
  readonly #rules: Pick<Rules, 'now' | 'delayMs'>
  nextDueAt: number | null = null

  constructor(rules: Pick<Rules, 'now' | 'delayMs'>) {
    this.#rules = rules
  }

  isPast(time: number): boolean {
    const { now, delayMs } = this.#rules
    const dueAt = time + delayMs
    if (dueAt <= now) return true
    this.nextDueAt = Math.min(this.nextDueAt ?? dueAt, dueAt)
    return false
  }
}

function partition<T>(all: readonly T[], isGarbage: (one: T) => boolean): Split<T> {
  const split: Split<T> = { garbage: [], kept: [] }
  for (const one of all) split[isGarbage(one) ? 'garbage' : 'kept'].push(one)
  return split
}

interface Split<T> {
  garbage: T[]
  kept: T[]
}

interface Chain {
  /** Newest first, from the committed one on, each with a time by which it counted. */
  counted: { manifest: Manifest; by: number }[]
  /** A time by which each but the first was replaced; by key. */
  replacedBy: Map<string, number>
}

/**
 * The manifests that have counted; those outside the chain never did, or long ago. A commit may
 * come long after the put: but before the next one was put, or the pointer was moved.
 */
function chainOf(
  all: readonly Found<Manifest>[],
  { committed, announcedAt }: Pick<Rules, 'committed' | 'announcedAt'>,
): Chain {
  const byKey = new Map(all.map(found => [found.object.key, found]))
  const chain: Chain = { counted: [], replacedBy: new Map() }
  let next = committed === null ? undefined : byKey.get(manifestKey(committed))
  let by = Math.max(announcedAt, next?.object.modifiedAt ?? 0)
  while (next !== undefined) {
    chain.counted.push({ manifest: next.content, by })
    const { parent } = next.content
    if (parent === null) break
    chain.replacedBy.set(manifestKey(parent), by)
    by = next.object.modifiedAt
    next = byKey.get(manifestKey(parent))
  }
  return chain
}

interface Keepers {
  leases: readonly Found<LeaseFile>[]
  checkpoints: readonly Found<CheckpointFile>[]
  rules: Rules
  clock: Clock
}

function isManifestKept(
  { object, content }: Found<Manifest>,
  { leases, checkpoints, rules, clock }: Keepers,
  replacedBy: ReadonlyMap<string, number>,
): boolean {
  const { committed, epoch, firstVersionUnderWay } = rules
  if (committed !== null && manifestKey(committed) === object.key) return true
  if (content.epoch > epoch) return true
  if (content.epoch === epoch && content.version >= firstVersionUnderWay) return true
  const isLeased = leases.some(
    ({ content: { manifest } }) => manifest === null || !isNewerManifest(manifest, content),
  )
  if (isLeased) return true
  const isCheckpointed = checkpoints.some(({ content: { domains } }) =>
    domains.some(({ manifest }) => manifest !== null && manifestKey(manifest) === object.key),
  )
  if (isCheckpointed) return true
  return !clock.isPast(replacedBy.get(object.key) ?? object.modifiedAt)
}

function isTableGarbage(
  { key, modifiedAt }: BucketObject,
  kept: ReadonlySet<string>,
  { epoch, firstIdUnderWay }: Rules,
  clock: Clock,
): boolean {
  const name = tableOfKey(key)
  if (name === undefined || kept.has(key)) return false
  const isUnderWay = name.epoch > epoch || (name.epoch === epoch && name.id >= firstIdUnderWay)
  return !isUnderWay && clock.isPast(modifiedAt)
}

/** Of the newest state that was flushed the delay ago; 0 when there is none. */
function flushedSequence({ counted }: Chain, clock: Clock): number {
  for (const { manifest, by } of counted) {
    if (clock.isPast(by)) return manifest.lastSequence
  }
  return 0
}

/** The oldest state that a lease stands on; nothing may go for one that has not begun. */
function leasedSequence(
  leases: readonly Found<LeaseFile>[],
  manifests: readonly Found<Manifest>[],
): number {
  const sequences = new Map(
    manifests.map(({ object, content }) => [object.key, content.lastSequence]),
  )
  return leases.reduce((least, { content: { manifest } }) => {
    const sequence = manifest === null ? 0 : (sequences.get(manifestKey(manifest)) ?? 0)
    return Math.min(least, sequence)
  }, Number.MAX_SAFE_INTEGER)
}

/** The oldest state of a domain that a checkpoint names. */
function checkpointedSequence(checkpoints: readonly Found<CheckpointFile>[], of: string): number {
  const sequences = checkpoints.flatMap(({ content: { domains } }) =>
    domains.filter(({ domain }) => domain === of).map(({ sequence }) => sequence),
  )
  return Math.min(Number.MAX_SAFE_INTEGER, ...sequences)
}

/** The oldest state of the common history that a relative, or who reads by it, may stand on. */
function relativeSequence(relative: Relative, clock: Clock): number {
  const { domain, sharedUpTo, manifests } = relative
  const leases = relative.leases.filter(lease => !hasExpired(lease, clock))
  const checkpoints = relative.checkpoints.filter(one => !hasExpired(one, clock))
  return Math.min(
    sharedUpTo,
    leasedSequence(leases, manifests),
    checkpointedSequence(checkpoints, domain),
  )
}

function hasExpired(
  { content: { expiresAt } }: Found<{ expiresAt: number | null }>,
  clock: Clock,
): boolean {
  return expiresAt !== null && clock.isPast(expiresAt)
}
