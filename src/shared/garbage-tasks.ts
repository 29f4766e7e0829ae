/** The I/O tasks of garbage collection (docs/garbage.md): what they are told, what they found. */
import type { ManifestName } from '../codec/manifest.ts'

export type GarbageTask =
  /** Deletes what a domain has in the bucket and nobody refers to, but callers' objects. */
  | ({ type: 'collectGarbage' } & GarbageCollection)
  | { type: 'deleteObjects'; keys: string[] }
  /** A part of the list of callers' objects: those that no other cluster knows. */
  | ({ type: 'sweepObjects' } & ObjectSweep)

/** What of a domain may be collected. */
export interface GarbageCollection {
  clusterId: string
  domain: string
  /** The domain's committed manifest, which its pointer names; null while it has none. */
  committed: ManifestName | null
  /** When the leader moved the pointer there. */
  announcedAt: number
  /** Term of the domain's leader; what has a greater one belongs to somebody who came after. */
  epoch: number
  /** Tables of this epoch from the id on may belong to a job. */
  firstIdUnderWay: number
  /** Manifests of this epoch from the version on may be about to be committed. */
  firstVersionUnderWay: number
  /** Milliseconds: what is younger stays, and what was needed a shorter time ago. */
  delayMs: number
  now: number
  isDryRun: boolean
  /** Of the cluster's domains one deletes what belongs to all of them. */
  isFirst: boolean
}

export interface CollectedGarbage {
  tables: number
  manifests: number
  tails: number
  uploads: number
  leases: number
  checkpoints: number
  sizeBytes: number
  /** Ids of the clusters in the bucket that share a part of the domain's history. */
  relatives: string[]
  /**
   * Rows that say so at this sequence make an object garbage for everybody: the state up to there
   * was flushed long enough ago, and no lease, checkpoint or relative refers to an older one.
   */
  objectsUpTo: number
  /** When more is garbage, if nothing else happens; null: never. */
  nextDueAt: number | null
}

export interface ObjectSweep {
  /** The cluster whose domains are asked by whoever runs this. */
  clusterId: string
  /** Key to begin after; null at the start. */
  after: string | null
  /** Younger objects may have rows that are not flushed: they are passed over. */
  before: number
  cacheDirectory: string
}

export interface SweptObjects {
  /** Object ids, ascending. */
  ids: string[]
  /** Null at the end. */
  next: string | null
}
