/** The public face: checks what callers pass in, finds their domains, puts answers together. */
import type { ByteReader, ByteWriter } from '../codec/bytes.ts'
import { invalidRequest, type MetastoreError } from '../codec/errors.ts'
import { TP_BYTES } from '../codec/keys.ts'
import { formatUuid, UUID_BYTES } from '../codec/uuid.ts'
import type {
  AddObjectsResult,
  CompactionInfo,
  CompactionUpdate,
  Extent,
  ExtentLocation,
  ExtentQuery,
  LevelingInfo,
  MetastoreStatus,
  NewObject,
  ObjectId,
  PartitionEpoch,
  PartitionTerms,
  ReadOptions,
  TopicId,
  TopicPartition,
  WriteOptions,
} from '../shared/api.ts'
import type { ArgumentsOf, ReadName, ResultOf } from '../shared/reads/index.ts'
import {
  type AddObjectsPart,
  type CompactObjectsPart,
  putAddObjects,
  putCompactObjects,
  putReplaceObjects,
  type ReplaceObjectsPart,
} from '../shared/writes/parts.ts'
import { WRITE_KIND, type WriteKind } from '../shared/writes/write-kinds.ts'
import type { DomainHandle } from './domain-handle.ts'
import { overDomains } from './domain-outcomes.ts'
import { Engine } from './engine.ts'
import { ObjectBuilder } from './object-builder.ts'
import { checkOptions, type MetastoreOptions, show } from './options.ts'
import { RecordStore } from './record-store.ts'
import { checkAddObjects } from './requests/add-objects-request.ts'
import { checkArray, checkNumber, checkObject, checkUuid } from './requests/checks.ts'
import { checkCommitCompaction, checkCompactObjects } from './requests/compact-objects-request.ts'
import { checkReplaceObjects } from './requests/replace-objects-request.ts'
import { Router } from './router.ts'

const PREREGISTER_MAX = 10_000
const LIST_LIMIT = 1000
const CONSISTENCIES: readonly unknown[] = [undefined, 'linearizable', 'leader', 'stale']
/** What is not removed by then is reported, not waited for. */
const REMOVE_DEADLINE_MS = 30_000

const nothing = (): void => {}

export class Metastore implements AsyncDisposable {
  readonly #engine: Engine
  readonly #router: Router

  private constructor(engine: Engine) {
    this.#engine = engine
    this.#router = new Router(engine.domains.length)
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
   * committed state. The source may be alive; neither disturbs the other.
   * @throws INVALID_REQUEST when the bucket has no such cluster, details {clusterIds: those there};
   *   CONFLICT when dataDir is a cluster's already
   */
  static async restore(
    options: MetastoreOptions & { from: { clusterId: string; at?: 'latest' } },
  ): Promise<Metastore> {
    const checked = checkOptions(options)
    checkObject(options.from, 'from')
    const { clusterId, at = 'latest' } = options.from
    checkUuid(clusterId, 'from.clusterId')
    if (at !== 'latest') throw invalidRequest(`from.at must be 'latest', not ${show(at)}`)
    return new Metastore(await Engine.open(checked, clusterId))
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

  get partitionCount(): number {
    return this.#engine.domains.length
  }

  // ---------------------------------------------------------------- writes

  /** Fresh object ids in `near`'s domain, 1 to 10 000; to be had before an upload begins. */
  async preregisterObjects(near: TopicPartition, count: number): Promise<ObjectId[]> {
    const { domain } = this.#router.route(near, 'near')
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
    return new ObjectBuilder(this.#router, near => this.preregisterObjects(near, 1))
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
    const parts = checkAddObjects(this.#router, request)
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
    const parts = checkReplaceObjects(this.#router, request)
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
    const parts = checkCompactObjects(this.#router, request)
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
    const parts = checkCommitCompaction(this.#router, request)
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
    const routed = this.#router.route(tp, 'topicPartition')
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
    const topics = ids.map((id, i) => this.#router.topic(id, `topicIds[${i}]`))
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
    return this.#engine.domains[domain].write(out => {
      if (requestId === undefined) out.u8(0)
      else out.u8(1).raw(requestId)
      encode(out.u8(kind))
    }, decode)
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

  // ---------------------------------------------------------------- reads

  /** @throws MISSING_PARTITION */
  async getOffsets(
    tp: TopicPartition,
    o?: ReadOptions,
  ): Promise<{ startOffset: number; nextOffset: number }> {
    return this.#readAt(tp, o, 'getOffsets', routed => routed)
  }

  /** @throws MISSING_PARTITION */
  async getSize(
    tp: TopicPartition,
    o?: ReadOptions,
  ): Promise<{ sizeBytes: number; extentCount: number }> {
    return this.#readAt(tp, o, 'getSize', routed => routed)
  }

  /**
   * The extent that holds `offset`, or the first one when `offset` lies below all.
   * @throws MISSING_PARTITION; OUT_OF_RANGE at or past nextOffset, or when the log is empty
   */
  async findByOffset(tp: TopicPartition, offset: number, o?: ReadOptions): Promise<ExtentLocation> {
    checkNumber(offset, 'offset')
    return this.#readAt(tp, o, 'findByOffset', routed => ({ tp: routed, offset }))
  }

  /**
   * In offset order, the first extent that reaches `timestamp` and has offsets from minOffset on.
   * @throws MISSING_PARTITION; OUT_OF_RANGE when there is none
   */
  async findByTimestamp(
    tp: TopicPartition,
    timestamp: number,
    o?: ReadOptions & { minOffset?: number },
  ): Promise<ExtentLocation> {
    checkNumber(timestamp, 'timestamp')
    const minOffset = checkNumber(o?.minOffset ?? 0, 'minOffset')
    return this.#readAt(tp, o, 'findByTimestamp', routed => ({ tp: routed, timestamp, minOffset }))
  }

  /** A result or an error for each query, in their order. */
  async findByOffsets(
    queries: { topicPartition: TopicPartition; offset: number }[],
    o?: ReadOptions,
  ): Promise<(ExtentLocation | MetastoreError)[]> {
    const routed = checkArray(queries, 'queries').map((query, i) => {
      checkObject(query, `queries[${i}]`)
      const { tp, domain } = this.#router.route(
        query.topicPartition,
        `queries[${i}].topicPartition`,
      )
      return { domain, args: { tp, offset: checkNumber(query.offset, `queries[${i}].offset`) } }
    })
    return this.#readEach('findByOffsets', routed, o)
  }

  /**
   * The offset from which the last `bytes` bytes of the log begin.
   * @throws MISSING_PARTITION; OUT_OF_RANGE when there are fewer
   */
  async getOffsetForBytes(tp: TopicPartition, bytes: number, o?: ReadOptions): Promise<number> {
    checkNumber(bytes, 'bytes')
    return this.#readAt(tp, o, 'getOffsetForBytes', routed => ({ tp: routed, bytes }))
  }

  /** @throws MISSING_PARTITION; OUT_OF_RANGE past nextOffset or before the first term */
  async getTermForOffset(tp: TopicPartition, offset: number, o?: ReadOptions): Promise<number> {
    checkNumber(offset, 'offset')
    return this.#readAt(tp, o, 'getTermForOffset', routed => ({ tp: routed, offset }))
  }

  /** @throws MISSING_PARTITION; OUT_OF_RANGE after the last term */
  async getEndOffsetForTerm(tp: TopicPartition, term: number, o?: ReadOptions): Promise<number> {
    checkNumber(term, 'term')
    return this.#readAt(tp, o, 'getEndOffsetForTerm', routed => ({ tp: routed, term }))
  }

  /** A page of the extents that intersect [minOffset, maxOffset]. @throws MISSING_PARTITION */
  async listExtents(
    tp: TopicPartition,
    q: ExtentQuery = {},
    o?: ReadOptions,
  ): Promise<{ extents: Extent[]; endOfStream: boolean }> {
    checkObject(q, 'query')
    const minOffset = checkNumber(q.minOffset ?? 0, 'minOffset')
    const maxOffset = checkNumber(q.maxOffset ?? Number.MAX_SAFE_INTEGER - 1, 'maxOffset')
    const limit = checkNumber(q.limit ?? LIST_LIMIT, 'limit', Number.MAX_SAFE_INTEGER, 1)
    const { reverse = false, includeObject = false } = q
    return this.#readAt(tp, o, 'listExtents', routed => ({
      tp: routed,
      minOffset,
      maxOffset,
      limit,
      reverse,
      includeObject,
    }))
  }

  /** All extents of the range, a page of `limit` at a time; each page is a snapshot of its own. */
  async *extents(tp: TopicPartition, q: ExtentQuery = {}): AsyncIterable<Extent> {
    let query = q
    for (;;) {
      const { extents, endOfStream } = await this.listExtents(tp, query)
      yield* extents
      const last = extents.at(-1)
      if (endOfStream || last === undefined) return
      if (q.reverse === true && last.baseOffset === 0) return
      query =
        q.reverse === true
          ? { ...q, maxOffset: last.baseOffset - 1 }
          : { ...q, minOffset: last.lastOffset + 1 }
    }
  }

  /** Ascending; an unknown topic has none. */
  async listPartitions(topicId: TopicId): Promise<number[]> {
    const topic = this.#router.topic(topicId, 'topicId')
    this.#engine.expectOpen()
    const lists = this.#engine.domains.map(domain => domain.read('listPartitions', topic))
    return (await Promise.all(lists)).flat().sort((a, b) => a - b)
  }

  /** What a cleaner should know of each partition. */
  async getCompactionInfo(
    specs: { topicPartition: TopicPartition; tombstoneRemovalBound: number }[],
    o?: ReadOptions,
  ): Promise<(CompactionInfo | MetastoreError)[]> {
    const routed = checkArray(specs, 'specs').map((spec, i) => {
      const field = `specs[${i}]`
      checkObject(spec, field)
      const { tp, domain } = this.#router.route(spec.topicPartition, `${field}.topicPartition`)
      const bound = checkNumber(spec.tombstoneRemovalBound, `${field}.tombstoneRemovalBound`)
      return { domain, args: { tp, tombstoneRemovalBound: bound } }
    })
    return this.#readEach('getCompactionInfo', routed, o)
  }

  /** Runs of small neighbouring extents of each partition. */
  async getLevelingInfo(
    specs: { topicPartition: TopicPartition; minExtentBytes: number; maxRangeBytes?: number }[],
    o?: ReadOptions,
  ): Promise<(LevelingInfo | MetastoreError)[]> {
    const routed = checkArray(specs, 'specs').map((spec, i) => {
      const field = `specs[${i}]`
      checkObject(spec, field)
      const { tp, domain } = this.#router.route(spec.topicPartition, `${field}.topicPartition`)
      const { maxRangeBytes = Number.MAX_SAFE_INTEGER } = spec
      return {
        domain,
        args: {
          tp,
          minExtentBytes: checkNumber(spec.minExtentBytes, `${field}.minExtentBytes`),
          maxRangeBytes: checkNumber(maxRangeBytes, `${field}.maxRangeBytes`),
        },
      }
    })
    return this.#readEach('getLevelingInfo', routed, o)
  }

  #readAt<N extends ReadName>(
    topicPartition: TopicPartition,
    options: ReadOptions | undefined,
    name: N,
    args: (tp: Uint8Array) => ArgumentsOf<N>,
  ): Promise<ResultOf<N>> {
    const { tp, domain } = this.#router.route(topicPartition, 'topicPartition')
    checkConsistency(options)
    this.#engine.expectOpen()
    return this.#engine.domains[domain].read(name, args(tp))
  }

  /** One crossing a domain for all queries; results in the order of the queries. */
  async #readEach<N extends 'findByOffsets' | 'getCompactionInfo' | 'getLevelingInfo'>(
    name: N,
    queries: readonly { domain: number; args: ArgumentsOf<N>[number] }[],
    options: ReadOptions | undefined,
  ): Promise<ResultOf<N>[number][]> {
    checkConsistency(options)
    this.#engine.expectOpen()
    const byDomain = new Map<number, number[]>()
    for (const [i, { domain }] of queries.entries()) {
      const places = byDomain.get(domain)
      if (places === undefined) byDomain.set(domain, [i])
      else places.push(i)
    }
    const results: ResultOf<N>[number][] = new Array(queries.length)
    const reads = [...byDomain].map(async ([domain, places]) => {
      const args = places.map(place => queries[place].args) as ArgumentsOf<N>
      const answers = await this.#engine.domains[domain].read(name, args)
      for (const [i, place] of places.entries()) results[place] = answers[i]
    })
    await Promise.all(reads)
    return results
  }

  // ---------------------------------------------------------------- any other kind of metadata

  /** Rows of your own kind beside a partition's metadata. @throws INVALID_REQUEST for a bad kind */
  records(kind: string): RecordStore {
    const domainOf = (topicPartition: TopicPartition): { domain: DomainHandle; tp: Uint8Array } => {
      const { domain, tp } = this.#router.route(topicPartition, 'topicPartition')
      this.#engine.expectOpen()
      return { domain: this.#engine.domains[domain], tp: tp.subarray(0, TP_BYTES) }
    }
    return new RecordStore(kind, domainOf, checkConsistency)
  }

  // ---------------------------------------------------------------- administration

  /** Memtables to SSTables to a committed manifest, of one metastore partition or of all. */
  async flush(options: { partition?: number } = {}): Promise<void> {
    checkObject(options, 'options')
    const { partition } = options
    if (partition !== undefined) checkNumber(partition, 'partition', this.partitionCount - 1)
    this.#engine.expectOpen()
    await this.#engine.flush(partition)
  }

  async status(): Promise<MetastoreStatus> {
    this.#engine.expectOpen()
    return this.#engine.status()
  }
}

function checkConsistency(options: ReadOptions | undefined): void {
  if (CONSISTENCIES.includes(options?.consistency)) return
  throw invalidRequest(
    `consistency must be linearizable, leader or stale, not ${show(options?.consistency)}`,
  )
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
