/** The public shapes (docs/api.md): what callers pass in and get back. No code. */
import type { MetastoreError } from '../codec/errors.ts'

/** Canonical lower-case UUID text. */
export type TopicId = string
/** Canonical lower-case UUID text. */
export type ObjectId = string

export interface TopicPartition {
  readonly topicId: TopicId
  /** 0 to 2^31 - 1. */
  readonly partition: number
}

/** Inclusive, as in Kafka. */
export interface OffsetRange {
  baseOffset: number
  lastOffset: number
}

export interface NewExtent {
  topicPartition: TopicPartition
  baseOffset: number
  /** Inclusive; at most 2^53 - 2. */
  lastOffset: number
  /** Milliseconds since the epoch. */
  maxTimestamp: number
  /** Byte offset of the extent in its object. */
  position: number
  sizeBytes: number
}

export interface NewObject {
  objectId: ObjectId
  footerPosition: number
  sizeBytes: number
  extents: NewExtent[]
}

export interface PartitionTerms {
  topicPartition: TopicPartition
  terms: { term: number; startOffset: number }[]
}

export interface PartitionEpoch {
  topicPartition: TopicPartition
  epoch: number
}

export interface CleanedRange extends OffsetRange {
  hasTombstones: boolean
}

export interface CompactionUpdate {
  topicPartition: TopicPartition
  expectedEpoch: number
  /** Milliseconds since the epoch. */
  cleanedAt: number
  cleanedRanges: CleanedRange[]
  removedTombstoneRanges: OffsetRange[]
}

export interface AddObjectsResult {
  /** The partitions whose extents were dropped because they did not begin at their nextOffset. */
  correctedNextOffsets: { topicPartition: TopicPartition; nextOffset: number }[]
}

export interface ExtentLocation {
  objectId: ObjectId
  baseOffset: number
  lastOffset: number
  maxTimestamp: number
  /** The byte range to request is [position, position + sizeBytes). */
  position: number
  sizeBytes: number
  footerPosition: number
  objectSizeBytes: number
}

export interface ExtentQuery {
  minOffset?: number
  maxOffset?: number
  /** At least 1; default 1000. For `extents()` the size of a page. */
  limit?: number
  reverse?: boolean
  /** Add each extent's object; costs one row read an extent. */
  includeObject?: boolean
}

export interface Extent {
  baseOffset: number
  lastOffset: number
  maxTimestamp: number
  position: number
  sizeBytes: number
  objectId: ObjectId
  object?: { footerPosition: number; sizeBytes: number }
}

export interface CompactionInfo {
  dirtyRanges: OffsetRange[]
  removableTombstoneRanges: OffsetRange[]
  /** Bytes of extents not wholly inside one cleaned range, over all bytes; 0 to 1. */
  dirtyRatio: number
  earliestDirtyTimestamp: number | null
  epoch: number
  startOffset: number
}

export interface LevelingInfo {
  ranges: { baseOffset: number; lastOffset: number; sizeBytes: number; extentCount: number }[]
  epoch: number
}

export interface ReadOptions {
  /**
   * linearizable (default): sees every write acknowledged before the call.
   * leader: the leader's own view. stale: this node's replica.
   * In a cluster of one the three are the same.
   */
  consistency?: 'linearizable' | 'leader' | 'stale'
}

export interface WriteOptions {
  /** UUID. A retry with the same id is applied once and gets the first answer. */
  requestId?: string
}

export interface MetastoreStatus {
  clusterId: string
  nodeId: number
  /**
   * Age of the oldest write that a restore from the bucket would lose, at most; 0 if there is none.
   * The greatest of the partitions'.
   */
  recoveryPointMs: number
  partitions: PartitionStatus[]
  storage: StorageStatus
  /** null: tailIntervalMs is null. */
  tail: TailStatus | null
  /** Of a cluster of several: what went between this node and others since it was opened. */
  network?: NetworkStatus
}

/** Tail objects (docs/tail-shipping.md) that this node has made since it was opened. */
export interface TailStatus {
  puts: number
  /** Of the objects, as they are stored. */
  bytes: number
  /** Attempts that did not succeed, and were or will be repeated. */
  failures: number
  /** On average. */
  putsAnHour: number
  /** How long the oldest shipment waits that is not in the bucket; 0 without one. */
  lagMs: number
}

/** Counts since this node was opened. */
export interface NetworkStatus {
  readonly framesSent: number
  readonly bytesSent: number
  readonly framesReceived: number
  readonly bytesReceived: number
  /** Raft messages that were not sent: no connection, or a backlog. */
  readonly messagesDropped: number
  readonly connectionsMade: number
  readonly connectionsTaken: number
  /** Connections that were refused or broke, by reason (docs/transport.md). */
  readonly incidents: Readonly<Record<string, number>>
}

/** What collectGarbage() has deleted, or with dryRun would have. */
export interface GarbageReport {
  /** Objects of callers. */
  objects: number
  tables: number
  manifests: number
  tails: number
  /** Unfinished multipart uploads. */
  uploads: number
  /** Of read replicas that are no more. */
  leases: number
  checkpoints: number
  /** Bytes of all these; an object's as addObjects was told, an upload's are not known. */
  bytes: number
  /** Preregistrations that have become garbage; their objects go after a flush and the delay. */
  expiredPreregistrations: number
  /** Ids of clusters in the bucket that share history with this one: objects are kept for them. */
  relatives: string[]
  /** Ids of objects that no cluster of the bucket knows, 1000 at most. They stay. */
  unknownObjects: string[]
  /** How many there are. */
  unknownObjectCount: number
}

/** Of all partitions together, since this instance was opened. */
export interface StorageStatus {
  /** Bytes of the row batches that writes made. */
  rowBytes: number
  /** Bytes of tables that flushes put into the bucket... */
  flushedBytes: number
  /** ...and compactions. Both over rowBytes are the write amplification. */
  compactedBytes: number
  /** Bytes of tables in the local cache now. */
  cacheBytes: number
  cacheEvictions: number
  /** Parts of tables that reads had to wait for, and what of them came from the bucket. */
  fetches: number
  fetchedBytes: number
  /** Parts of tables in the local cache that were damaged and fetched again. */
  damagedReads: number
  /** Bytes of indexes and filters in memory now. */
  tableMemoryBytes: number
  /** Blocks that reads found in the block cache, and those they did not. */
  blockHits: number
  blockMisses: number
}

export interface PartitionStatus {
  /** The metastore partition (domain). */
  partition: number
  /** none: this node has no replica of it, and is not told who leads it. */
  role: 'leader' | 'follower' | 'learner' | 'none'
  leader: number | null
  term: number
  worker: number
  committedSequence: number
  flushedSequence: number
  /** Up to there the bucket has everything, in tables or tail; null: no tail, or led elsewhere. */
  shippedSequence: number | null
  /**
   * Age of the oldest write that a restore from the bucket would lose, at most; 0 if there is none.
   * Writes that this instance recovered from its log count from its opening. null: led elsewhere,
   * with its tail shipped from there.
   */
  recoveryPointMs: number | null
  memtableBytes: number
  /** Frozen memtables waiting for the bucket. */
  frozenMemtables: number
  logBytes: number
  levels: LevelStatus[]
}

export interface LevelStatus {
  level: number
  tables: number
  sizeBytes: number
}

/** A result or an error for each of several queries. */
export type Outcome<T> = T | MetastoreError

/** What restore() has found and what became of it. */
export interface RestoreReport {
  /** The source. */
  sourceId: string
  /** The cluster that was made. */
  clusterId: string
  at: RestorePoint
  /** By number. */
  domains: RestoredDomain[]
}

/** Which state of a cluster; a timestamp is in milliseconds since the epoch. */
export type RestorePoint = 'latest' | { checkpoint: string } | { timestamp: number }

export interface RestoredDomain {
  domain: number
  /** The source's UUID of it. */
  sourceDomain: string
  /** The newest write that was restored; 0: it begins empty. */
  sequence: number
  /** When the newest piece that was used was made, by its leader's clock; null: none was. */
  time: number | null
  /** The manifest that was used, by its name in the bucket; null: none was. */
  manifest: string | null
  tables: number
  tableBytes: number
  /** Writes that came from tail objects. */
  tailBatches: number
  /** What the bucket has besides that is newer, and was not used. */
  notUsed: UnusedPieces[]
  /** With `partial`: why the domain, or the rest of its tail, was left out; else null. */
  skipped: string | null
}

export interface UnusedPieces {
  kind: 'manifest' | 'tail'
  /**
   * uncommitted: the pointer does not name it yet. later: made after the chosen point. gap: writes
   * before it are missing. damaged: it is missing or does not decode.
   */
  why: 'uncommitted' | 'later' | 'gap' | 'damaged'
  count: number
  /** The last of them by name. */
  newest: string
}

/** A named state of every domain, kept from collection until it expires. */
export interface Checkpoint {
  name: string
  /** Milliseconds since the epoch. */
  createdAt: number
  /** Milliseconds since the epoch; null: never. */
  expiresAt: number | null
  domains: { domain: number; sequence: number }[]
}
