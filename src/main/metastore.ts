/** The public face: writes, administration, and all reads (metastore-reads.ts). */
import type { ByteReader, ByteWriter } from '../codec/bytes.ts'
import { invalidRequest } from '../codec/errors.ts'
import { TP_BYTES } from '../codec/keys.ts'
import { formatUuid, UUID_BYTES } from '../codec/uuid.ts'
import type {
  AddObjectsResult,
  Checkpoint,
  CompactionUpdate,
  GarbageReport,
  MetastoreStatus,
  NewObject,
  ObjectId,
  PartitionEpoch,
  PartitionTerms,
  RestoreReport,
  TopicId,
  TopicPartition,
  WriteOptions,
} from '../shared/api.ts'
import {
  type AddObjectsPart,
  type CompactObjectsPart,
  putAddObjects,
  putCompactObjects,
  putReplaceObjects,
  type ReplaceObjectsPart,
} from '../shared/writes/parts.ts'
import { WRITE_KIND, type WriteKind } from '../shared/writes/write-kinds.ts'
import { checkMember } from './cluster/cluster-options.ts'
import type { RoutedDomain } from './cluster/routed-domain.ts'
import { overDomains } from './domain-outcomes.ts'
import { Engine } from './engine.ts'
import { checkConsistency, MetastoreReads } from './metastore-reads.ts'
import { ObjectBuilder } from './object-builder.ts'
import { checkOptions, type MetastoreOptions } from './options.ts'
import { RecordStore } from './record-store.ts'
import {
  checkCheckpointName,
  checkRestoreFrom,
  type RestoreFrom,
} from './recovery/restore-request.ts'
import { checkAddObjects } from './requests/add-objects-request.ts'
import { checkArray, checkNumber, checkObject, checkUuid } from './requests/checks.ts'
import { checkCommitCompaction, checkCompactObjects } from './requests/compact-objects-request.ts'
import { checkReplaceObjects } from './requests/replace-objects-request.ts'
import { show } from './show.ts'

const PREREGISTER_MAX = 10_000
/** What is not removed by then is reported, not waited for. */
const REMOVE_DEADLINE_MS = 30_000

/** A thousand years: a sum with the clock is still a safe integer. */
const TTL_MS_MAX = 1000 * 366 * 86_400_000

const nothing = (): void => {}

export class Metastore extends MetastoreReads implements AsyncDisposable {
  readonly #engine: Engine

  private constructor(engine: Engine) {
    super({ domains: engine.routed, expectOpen: () => engine.expectOpen(), checkConsistency })
    this.#engine = engine
  }

  // ---------------------------------------------------------------- open and close

  /**
   * Opens a dataDir, or creates a cluster in an empty one. Resolves when every partition is
   * recovered.
   * @throws INVALID_REQUEST naming an option; CONFLICT when the dataDir is open elsewhere, or when
   *   the bucket already has a cluster of the id wanted; CORRUPTION naming file and offset
   */
  static async open(options: MetastoreOptions): Promise<Metastore> {
    return new Metastore(await Engine.open(checkOptions(options)))
  }

  /**
   * Makes a new cluster, in an empty dataDir, from what another one has in the bucket: its newest
   * committed state, that of a checkpoint, or the newest at or before a timestamp
   * (docs/restore.md); `restoreReport` says what was found. The source may be alive; neither
   * disturbs the other. With `cluster` this node is its only voter until the other members are
   * connected.
   * @throws INVALID_REQUEST when the bucket has no such cluster, details {clusterIds: those there},
   *   no such checkpoint, details {checkpoints}, or no state that old, details {oldestTimestamp};
   *   CORRUPTION, details {file, domain}, for what is damaged or missing, unless `from.partial`;
   *   CONFLICT when dataDir is a cluster's already, or the bucket has one of the new one's id
   */
  static async restore(options: MetastoreOptions & { from: RestoreFrom }): Promise<Metastore> {
    const checked = checkOptions(options)
    return new Metastore(await Engine.open(checked, checkRestoreFrom(options.from)))
  }

  /** Answers what was called, flushes nothing, loses nothing. May be called again. */
  close(): Promise<void> {
    return this.#engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get clusterId(): string {
    return this.#engine.cluster.clusterId
  }

  /** What restore() has found; undefined of a metastore that was opened. */
  get restoreReport(): RestoreReport | undefined {
    return this.#engine.restoreReport
  }

  get partitionCount(): number {
    return this.#engine.domains.length
  }

  // ---------------------------------------------------------------- writes

  /** Fresh object ids in `near`'s domain, 1 to 10 000; to be had before an upload begins. */
  async preregisterObjects(near: TopicPartition, count: number): Promise<ObjectId[]> {
    const { domain } = this.router.route(near, 'near')
    checkNumber(count, 'count', PREREGISTER_MAX, 1)
    return this.#write(
      domain,
      WRITE_KIND.preregisterObjects,
      undefined,
      out => out.varint(count),
      reader => {
        const ids: ObjectId[] = []
        while (reader.remaining > 0) ids.push(formatUuid(reader.bytes, reader.need(UUID_BYTES)))
        return ids
      },
    )
  }

  objectBuilder(): ObjectBuilder {
    this.#engine.expectOpen()
    return new ObjectBuilder(this.router, near => this.preregisterObjects(near, 1))
  }

  /**
   * Appends objects' extents to their partitions' logs. A partition whose extents do not begin at
   * its nextOffset is left alone and named in the result.
   * @throws INVALID_REQUEST malformed; CONFLICT not applicable to the present state; OVERLOADED;
   *   PARTIAL_FAILURE when of several domains some failed; INDETERMINATE
   */
  async addObjects(
    request: { objects: NewObject[]; terms: PartitionTerms[] },
    options?: WriteOptions,
  ): Promise<AddObjectsResult> {
    const parts = checkAddObjects(this.router, request)
    const results = await this.#writeParts<AddObjectsPart, AddObjectsResult>(
      parts,
      WRITE_KIND.addObjects,
      options,
      putAddObjects,
      readCorrections,
    )
    if (results.length === 1) return results[0]
    return { correctedNextOffsets: results.flatMap(result => result.correctedNextOffsets) }
  }

  /** Rewrites ranges in place; offsets, terms and compaction state stay. @throws as addObjects */
  async replaceObjects(
    request: { objects: NewObject[]; expectedEpochs: PartitionEpoch[] },
    options?: WriteOptions,
  ): Promise<void> {
    const parts = checkReplaceObjects(this.router, request)
    await this.#writeParts<ReplaceObjectsPart, void>(
      parts,
      WRITE_KIND.replaceObjects,
      options,
      putReplaceObjects,
      nothing,
    )
  }

  /** Replaces ranges by cleaned ones and records what was cleaned. @throws as addObjects */
  async compactObjects(
    request: { objects: NewObject[]; updates: CompactionUpdate[] },
    options?: WriteOptions,
  ): Promise<void> {
    const parts = checkCompactObjects(this.router, request)
    await this.#writeParts<CompactObjectsPart, void>(
      parts,
      WRITE_KIND.compactObjects,
      options,
      putCompactObjects,
      nothing,
    )
  }

  /** Records what was cleaned, without new objects. @throws as addObjects */
  async commitCompaction(
    request: { updates: CompactionUpdate[] },
    options?: WriteOptions,
  ): Promise<void> {
    const parts = checkCommitCompaction(this.router, request)
    await this.#writeParts<CompactObjectsPart, void>(
      parts,
      WRITE_KIND.commitCompaction,
      options,
      putCompactObjects,
      nothing,
    )
  }

  /**
   * Drops the log below `offset`, in atomic steps of at most 1000 extents, until done.
   * @throws MISSING_PARTITION; OUT_OF_RANGE past nextOffset
   */
  async setStartOffset(tp: TopicPartition, offset: number): Promise<void> {
    const routed = this.router.route(tp, 'topicPartition')
    checkNumber(offset, 'offset')
    const step = (): Promise<boolean> =>
      this.#write(
        routed.domain,
        WRITE_KIND.setStartOffset,
        undefined,
        out => out.raw(routed.tp).varint(offset),
        readIsDone,
      )
    while (!(await step()));
  }

  /**
   * Removes all that is known of topics, in bounded atomic steps; late writes to them are refused
   * for 24 hours. Topics that are not known are no error.
   */
  async removeTopics(topicIds: TopicId[]): Promise<{ notRemoved: TopicId[] }> {
    const ids = [...new Set(checkArray(topicIds, 'topicIds'))]
    const topics = ids.map((id, i) => this.router.topic(id, `topicIds[${i}]`))
    const deadline = performance.now() + REMOVE_DEADLINE_MS
    const removed = await Promise.all(
      topics.map(async topic => {
        const domains = this.#engine.domains.map(({ number }) =>
          this.#remove(number, topic, deadline),
        )
        return (await Promise.all(domains)).every(isDone => isDone)
      }),
    )
    return { notRemoved: ids.filter((_, i) => !removed[i]) }
  }

  async #remove(domain: number, topic: Uint8Array, deadline: number): Promise<boolean> {
    for (;;) {
      const isDone = await this.#write(
        domain,
        WRITE_KIND.removeTopics,
        undefined,
        out => out.raw(topic),
        readIsDone,
      )
      if (isDone || performance.now() >= deadline) return isDone
    }
  }

  #write<T>(
    domain: number,
    kind: WriteKind,
    requestId: Uint8Array | undefined,
    encode: (out: ByteWriter) => void,
    decode: (reader: ByteReader) => T,
  ): Promise<T> {
    this.#engine.expectOpen()
    return this.#engine.routed[domain].write(
      out => {
        if (requestId === undefined) out.u8(0)
        else out.u8(1).raw(requestId)
        encode(out.u8(kind))
      },
      decode,
      requestId !== undefined,
    )
  }

  /** Each part to its domain, in parallel. Results are in the order of the parts. */
  async #writeParts<P, T>(
    parts: ReadonlyMap<number, P>,
    kind: WriteKind,
    options: WriteOptions | undefined,
    put: (out: ByteWriter, part: P) => void,
    decode: (reader: ByteReader) => T,
  ): Promise<T[]> {
    const { requestId } = options ?? {}
    const id = requestId === undefined ? undefined : checkUuid(requestId, 'requestId')
    const calls = [...parts].map(([domain, part]) => ({
      domain,
      result: this.#write(domain, kind, id, out => put(out, part), decode),
    }))
    return calls.length === 1 ? [await calls[0].result] : overDomains(calls)
  }

  // ---------------------------------------------------------------- any other kind of metadata

  /** Rows of your own kind beside a partition's metadata. @throws INVALID_REQUEST for a bad kind */
  records(kind: string): RecordStore {
    const domainOf = (topicPartition: TopicPartition): { domain: RoutedDomain; tp: Uint8Array } => {
      const { domain, tp } = this.router.route(topicPartition, 'topicPartition')
      this.#engine.expectOpen()
      return { domain: this.#engine.routed[domain], tp: tp.subarray(0, TP_BYTES) }
    }
    return new RecordStore(kind, domainOf, checkConsistency)
  }

  // ---------------------------------------------------------------- administration

  /** Memtables to SSTables to a committed manifest, of one metastore partition or of all. */
  async flush(options: { partition?: number } = {}): Promise<void> {
    const partition = this.#checkPartition(options)
    this.#engine.expectOpen()
    await this.#engine.flush(partition)
  }

  /**
   * Flushes, then merges all SSTables into their deepest level: what was overwritten or deleted
   * takes no room any more. Compactions go on by themselves; this is for after large deletes.
   */
  async compact(options: { partition?: number } = {}): Promise<void> {
    const partition = this.#checkPartition(options)
    this.#engine.expectOpen()
    await this.#engine.compact(partition)
  }

  /**
   * Deletes what is in the bucket and has not been needed for garbageDelayMs: SSTables, manifests,
   * tail objects, unfinished uploads, expired leases and checkpoints, and the objects of callers
   * that have no extents left or were preregistered and never committed. Objects that no cluster of
   * the bucket knows are named and stay. `dryRun` changes nothing. This goes on by itself as well,
   * but for the search for unknown objects (garbageIntervalMs).
   * @throws what the bucket fails with: the rest stays for the next call
   */
  async collectGarbage(options: { dryRun?: boolean } = {}): Promise<GarbageReport> {
    checkObject(options, 'options')
    const { dryRun = false } = options
    if (typeof dryRun !== 'boolean') {
      throw invalidRequest(`dryRun must be true or false, not ${show(dryRun)}`)
    }
    this.#engine.expectOpen()
    return this.#engine.collectGarbage(dryRun)
  }

  /**
   * A named state to restore from: flushes everything and keeps each metastore partition's
   * manifest, and its tables, from collection for `ttlMs` (default for ever).
   * @throws INVALID_REQUEST for a bad name or ttlMs; CONFLICT when the name is taken, also by one
   *   that has expired
   */
  async checkpoint(name: string, options: { ttlMs?: number } = {}): Promise<Checkpoint> {
    checkCheckpointName(name)
    checkObject(options, 'options')
    const { ttlMs } = options
    if (ttlMs !== undefined) checkNumber(ttlMs, 'ttlMs', TTL_MS_MAX, 1)
    this.#engine.expectOpen()
    return await this.#engine.checkpoints.create(name, ttlMs)
  }

  /** All checkpoints that the bucket has of this cluster, by name, expired ones included. */
  async checkpoints(): Promise<Checkpoint[]> {
    this.#engine.expectOpen()
    return await this.#engine.checkpoints.list()
  }

  /** Lets collection have what only this checkpoint keeps. One that is not there is no error. */
  async deleteCheckpoint(name: string): Promise<void> {
    checkCheckpointName(name)
    this.#engine.expectOpen()
    await this.#engine.checkpoints.delete(name)
  }

  /**
   * Hands a metastore partition over to another of its voters, between two writes; resolves when
   * that one leads it.
   * @throws INVALID_REQUEST for a node that is no voter of it; UNAVAILABLE when it did not succeed
   *   in time, and nothing has changed
   */
  async transferLeadership(partition: number, toNodeId: number): Promise<void> {
    checkNumber(partition, 'partition', this.partitionCount - 1)
    checkNumber(toNodeId, 'toNodeId', 2 ** 31 - 1, 1)
    this.#engine.expectOpen()
    await this.#engine.transferLeadership(partition, toNodeId)
  }

  /**
   * Adds members and removes others; resolves when every metastore partition has the voters that
   * its placement over the new members names, as many as cluster.replicationFactor says. A node
   * that is added is started first, with this clusterId, an empty dataDir and an id of its own; one
   * that was removed may be stopped afterwards. To replace a dead node, add the new one and remove
   * the dead one in one call.
   * @throws INVALID_REQUEST naming the field; UNAVAILABLE when it did not come to its end in time:
   *   it can be called again
   */
  async changeMembers(change: {
    add?: { nodeId: number; host: string; port: number }[]
    remove?: number[]
  }): Promise<void> {
    checkObject(change, 'change')
    const { add = [], remove = [] } = change
    const added = checkArray(add, 'add').map((member, i) => checkMember(member, `add[${i}]`))
    const removed = checkArray(remove, 'remove').map((nodeId, i) =>
      checkNumber(nodeId, `remove[${i}]`, 2 ** 31 - 1, 1),
    )
    this.#engine.expectOpen()
    await this.#engine.changeMembers(added, removed)
  }

  #checkPartition(options: { partition?: number }): number | undefined {
    checkObject(options, 'options')
    const { partition } = options
    if (partition !== undefined) checkNumber(partition, 'partition', this.partitionCount - 1)
    return partition
  }

  async status(): Promise<MetastoreStatus> {
    this.#engine.expectOpen()
    return this.#engine.status()
  }
}

function readCorrections(reader: ByteReader): AddObjectsResult {
  const correctedNextOffsets: AddObjectsResult['correctedNextOffsets'] = []
  while (reader.remaining > 0) {
    const topicId = formatUuid(reader.bytes, reader.need(UUID_BYTES))
    const at = reader.need(4)
    const { bytes } = reader
    const partition =
      (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
    const nextOffset = reader.varint()
    correctedNextOffsets.push({ topicPartition: { topicId, partition }, nextOffset })
  }
  return { correctedNextOffsets }
}

function readIsDone(reader: ByteReader): boolean {
  return reader.u8() === 1
}
