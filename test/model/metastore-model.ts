/**
 * The metastore of the specification as plain maps and arrays: what every call must answer. It is
 * written from the specification alone, without regard to how the real one works, and is the
 * oracle of the property tests. Every method returns what the API's promise resolves to, or throws
 * the MetastoreError it rejects with.
 */
import { invalidRequest, MetastoreError } from '../../src/codec/errors.ts'
import type {
  AddObjectsResult,
  CompactionInfo,
  Extent,
  ExtentLocation,
  ExtentQuery,
  LevelingInfo,
  ObjectId,
  Outcome,
  TopicId,
  TopicPartition,
  WriteOptions,
} from '../../src/shared/api.ts'
import { checkArray, checkNumber, checkObject, checkTopicPartition, checkUuid } from './checks.ts'
import { DomainModel } from './domain-model.ts'
import { compareTopicPartitions, domainOf, keyOf } from './domains.ts'
import type { ObjectRow } from './object-model.ts'
import type { ExtentRow, PartitionModel } from './partition-model.ts'
import {
  type AddRequest,
  type CommitRequest,
  type CompactRequest,
  checkAdd,
  checkCommit,
  checkCompact,
  checkReplace,
  checkWriteOptions,
  type ReplaceRequest,
} from './validation.ts'

const PREREGISTER_MAX = 10_000
const PREREGISTRATION_MS = 3_600_000

type DomainOutcome<T> = { domain: number; result: T } | { domain: number; error: MetastoreError }

export class MetastoreModel {
  readonly partitions: number
  readonly #domains: DomainModel[]
  readonly #now: () => number
  readonly #newId: () => ObjectId
  readonly #domainCache = new Map<string, number>()

  constructor(options: { partitions: number; now: () => number; newId: () => ObjectId }) {
    this.partitions = options.partitions
    this.#now = options.now
    this.#newId = options.newId
    this.#domains = Array.from(
      { length: options.partitions },
      (_, domain) => new DomainModel(domain, options.now),
    )
  }

  // -------------------------------------------------------------------------------- writes

  preregisterObjects(near: TopicPartition, count: number): ObjectId[] {
    checkTopicPartition('near', near)
    checkNumber('count', count, PREREGISTER_MAX)
    if (count === 0) throw invalidRequest('count must be at least 1')
    const ids = Array.from({ length: count }, () => this.#newId())
    this.adoptPreregistered(near, ids)
    return ids
  }

  addObjects(request: AddRequest, options?: WriteOptions): AddObjectsResult {
    checkWriteOptions(options)
    checkAdd(request, this.partitions)
    const parts = this.#split(request.objects, request.terms)
    const results = this.#inDomains('addObjects', options, parts, (domain, objects, terms) =>
      domain.add({ objects, terms }),
    )
    const corrected = results.flatMap(result => result.correctedNextOffsets)
    corrected.sort((a, b) => compareTopicPartitions(a.topicPartition, b.topicPartition))
    return { correctedNextOffsets: corrected }
  }

  replaceObjects(request: ReplaceRequest, options?: WriteOptions): void {
    checkWriteOptions(options)
    checkReplace(request, this.partitions)
    const parts = this.#split(request.objects, request.expectedEpochs)
    this.#inDomains('replaceObjects', options, parts, (domain, objects, expectedEpochs) =>
      domain.replace({ objects, expectedEpochs }),
    )
  }

  compactObjects(request: CompactRequest, options?: WriteOptions): void {
    checkWriteOptions(options)
    checkCompact(request, this.partitions)
    const parts = this.#split(request.objects, request.updates)
    this.#inDomains('compactObjects', options, parts, (domain, objects, updates) =>
      domain.compact({ objects, updates }),
    )
  }

  commitCompaction(request: CommitRequest, options?: WriteOptions): void {
    checkWriteOptions(options)
    checkCommit(request)
    const parts = this.#split([], request.updates)
    this.#inDomains('commitCompaction', options, parts, (domain, _, updates) =>
      domain.commitCompaction({ updates }),
    )
  }

  setStartOffset(tp: TopicPartition, offset: number): void {
    checkTopicPartition('topicPartition', tp)
    checkNumber('offset', offset)
    this.#domainFor(tp).setStartOffset(tp, offset)
  }

  removeTopics(topicIds: TopicId[]): { notRemoved: TopicId[] } {
    checkArray('topicIds', topicIds)
    for (const id of topicIds) checkUuid('topicId', id)
    for (const id of topicIds) for (const domain of this.#domains) domain.removeTopic(id)
    return { notRemoved: [] }
  }

  // --------------------------------------------------------------------------------- reads

  getOffsets(tp: TopicPartition): { startOffset: number; nextOffset: number } {
    const { startOffset, nextOffset } = this.#partition(tp)
    return { startOffset, nextOffset }
  }

  getSize(tp: TopicPartition): { sizeBytes: number; extentCount: number } {
    const { sizeBytes, extents } = this.#partition(tp)
    return { sizeBytes, extentCount: extents.length }
  }

  findByOffset(tp: TopicPartition, offset: number): ExtentLocation {
    checkTopicPartition('topicPartition', tp)
    checkNumber('offset', offset)
    return this.#located(this.#partition(tp).extentAt(offset))
  }

  findByTimestamp(
    tp: TopicPartition,
    timestamp: number,
    options?: { minOffset?: number },
  ): ExtentLocation {
    const minOffset = options?.minOffset ?? 0
    checkTopicPartition('topicPartition', tp)
    checkNumber('timestamp', timestamp)
    checkNumber('minOffset', minOffset)
    return this.#located(this.#partition(tp).extentAtTimestamp(timestamp, minOffset))
  }

  findByOffsets(
    queries: { topicPartition: TopicPartition; offset: number }[],
  ): Outcome<ExtentLocation>[] {
    checkArray('queries', queries)
    for (const query of queries) {
      checkObject('query', query)
      checkTopicPartition('topicPartition', query.topicPartition)
      checkNumber('offset', query.offset)
    }
    return queries.map(({ topicPartition, offset }) =>
      outcomeOf(() => this.findByOffset(topicPartition, offset)),
    )
  }

  getOffsetForBytes(tp: TopicPartition, bytes: number): number {
    checkTopicPartition('topicPartition', tp)
    checkNumber('bytes', bytes)
    return this.#partition(tp).offsetForBytes(bytes)
  }

  getTermForOffset(tp: TopicPartition, offset: number): number {
    checkTopicPartition('topicPartition', tp)
    checkNumber('offset', offset)
    return this.#partition(tp).termForOffset(offset)
  }

  getEndOffsetForTerm(tp: TopicPartition, term: number): number {
    checkTopicPartition('topicPartition', tp)
    checkNumber('term', term)
    return this.#partition(tp).endOffsetForTerm(term)
  }

  listExtents(
    tp: TopicPartition,
    query: ExtentQuery = {},
  ): { extents: Extent[]; endOfStream: boolean } {
    checkTopicPartition('topicPartition', tp)
    checkObject('query', query)
    if (query.minOffset !== undefined) checkNumber('minOffset', query.minOffset)
    if (query.maxOffset !== undefined) checkNumber('maxOffset', query.maxOffset)
    if (query.limit !== undefined) checkNumber('limit', query.limit)
    if (query.limit === 0) throw invalidRequest('limit must be at least 1, not 0')
    const { rows, endOfStream } = this.#partition(tp).list(query)
    const withObject = query.includeObject === true
    const extents = rows.map((row): Extent => {
      if (!withObject) return { ...row }
      const { footerPosition, sizeBytes } = this.#objectRow(row.objectId)
      return { ...row, object: { footerPosition, sizeBytes } }
    })
    return { extents, endOfStream }
  }

  listPartitions(topicId: TopicId): number[] {
    checkUuid('topicId', topicId)
    return this.topicPartitions()
      .filter(tp => tp.topicId === topicId)
      .map(tp => tp.partition)
  }

  getCompactionInfo(
    specs: { topicPartition: TopicPartition; tombstoneRemovalBound: number }[],
  ): Outcome<CompactionInfo>[] {
    checkArray('specs', specs)
    for (const spec of specs) {
      checkObject('spec', spec)
      checkTopicPartition('topicPartition', spec.topicPartition)
      checkNumber('tombstoneRemovalBound', spec.tombstoneRemovalBound)
    }
    return specs.map(({ topicPartition, tombstoneRemovalBound }) =>
      outcomeOf(() => this.#partition(topicPartition).compactionInfo(tombstoneRemovalBound)),
    )
  }

  getLevelingInfo(
    specs: { topicPartition: TopicPartition; minExtentBytes: number; maxRangeBytes?: number }[],
  ): Outcome<LevelingInfo>[] {
    checkArray('specs', specs)
    for (const spec of specs) {
      checkObject('spec', spec)
      checkTopicPartition('topicPartition', spec.topicPartition)
      checkNumber('minExtentBytes', spec.minExtentBytes)
      if (spec.maxRangeBytes !== undefined) checkNumber('maxRangeBytes', spec.maxRangeBytes)
    }
    return specs.map(({ topicPartition, minExtentBytes, maxRangeBytes = Infinity }) =>
      outcomeOf(() => this.#partition(topicPartition).levelingInfo(minExtentBytes, maxRangeBytes)),
    )
  }

  // ------------------------------------------------------------- beside the API, for tests

  /** Preregisters ids that were made elsewhere, in the domain of `near`. */
  adoptPreregistered(near: TopicPartition, ids: readonly ObjectId[]): void {
    this.#domainFor(near).preregister(ids)
  }

  /** What the collector does to preregistrations older than 1 h. */
  expirePreregistrations(): void {
    for (const row of this.objects()) {
      const aged = this.#now() - row.updatedAt > PREREGISTRATION_MS
      if (row.state === 'preregistered' && aged) row.state = 'expired'
    }
  }

  /** Ids of objects that nothing refers to, sorted: no live extents, and not preregistered. */
  garbageObjects(): ObjectId[] {
    const garbage = this.objects().filter(
      row => row.liveExtents === 0 && row.state !== 'preregistered',
    )
    return garbage.map(row => row.objectId).sort()
  }

  object(id: ObjectId): ObjectRow | undefined {
    return this.#domains.flatMap(({ objects }) => objects.get(id) ?? [])[0]
  }

  /** Every object row, by domain and in the order of preregistration. */
  objects(): ObjectRow[] {
    return this.#domains.flatMap(({ objects }) => [...objects.values()])
  }

  /** The partition's state for a look inside; not to be changed. */
  partition(tp: TopicPartition): PartitionModel | undefined {
    return this.#domainFor(tp).partitions.get(keyOf(tp))
  }

  /** Every known topic partition, sorted by topic and number. */
  topicPartitions(): TopicPartition[] {
    return this.#domains
      .flatMap(({ partitions }) => [...partitions.values()])
      .map(partition => partition.topicPartition)
      .sort(compareTopicPartitions)
  }

  isTopicRemoved(topicId: TopicId): boolean {
    return this.#domains[0].isRemoved(topicId)
  }

  domainOf(tp: TopicPartition): number {
    const key = keyOf(tp)
    const known = this.#domainCache.get(key)
    if (known !== undefined) return known
    const domain = domainOf(tp, this.partitions)
    this.#domainCache.set(key, domain)
    return domain
  }

  // ------------------------------------------------------------------------------- inside

  #domainFor(tp: TopicPartition): DomainModel {
    return this.#domains[this.domainOf(tp)]
  }

  #partition(tp: TopicPartition): PartitionModel {
    checkTopicPartition('topicPartition', tp)
    return this.#domainFor(tp).partition(tp)
  }

  #objectRow(id: ObjectId): ObjectRow {
    const row = this.object(id)
    if (row === undefined) throw new MetastoreError('CORRUPTION', `object ${id} has no row`)
    return row
  }

  #located(extent: ExtentRow): ExtentLocation {
    const { footerPosition, sizeBytes } = this.#objectRow(extent.objectId)
    return { ...extent, footerPosition, objectSizeBytes: sizeBytes }
  }

  /** What each domain has to do: its objects, and its entries of the other list. */
  #split<
    O extends { extents: { topicPartition: TopicPartition }[] },
    E extends { topicPartition: TopicPartition },
  >(objects: readonly O[], entries: readonly E[]): Map<number, { objects: O[]; entries: E[] }> {
    const parts = new Map<number, { objects: O[]; entries: E[] }>()
    const partFor = (tp: TopicPartition): { objects: O[]; entries: E[] } => {
      const domain = this.domainOf(tp)
      const part = parts.get(domain) ?? { objects: [], entries: [] }
      parts.set(domain, part)
      return part
    }
    for (const object of objects) partFor(object.extents[0].topicPartition).objects.push(object)
    for (const entry of entries) partFor(entry.topicPartition).entries.push(entry)
    return parts
  }

  #inDomains<O, E, T>(
    kind: string,
    options: WriteOptions | undefined,
    parts: ReadonlyMap<number, { objects: O[]; entries: E[] }>,
    run: (domain: DomainModel, objects: O[], entries: E[]) => T,
  ): T[] {
    const outcomes: DomainOutcome<T>[] = []
    for (const domain of this.#domains) {
      const part = parts.get(domain.domain)
      if (part === undefined) continue
      const result = outcomeOf(() =>
        domain.once(kind, options?.requestId, () => run(domain, part.objects, part.entries)),
      )
      outcomes.push(
        result instanceof MetastoreError
          ? { domain: domain.domain, error: result }
          : { domain: domain.domain, result },
      )
    }
    return allOrThrow(outcomes)
  }
}

function outcomeOf<T>(run: () => T): Outcome<T> {
  try {
    return run()
  } catch (error) {
    if (error instanceof MetastoreError) return error
    throw error
  }
}

function allOrThrow<T>(outcomes: DomainOutcome<T>[]): T[] {
  const errors = outcomes.flatMap(outcome => ('error' in outcome ? [outcome.error] : []))
  if (errors.length === 0) {
    return outcomes.flatMap(outcome => ('result' in outcome ? [outcome.result] : []))
  }
  const alike = errors.every(error => error.code === errors[0].code)
  if (errors.length === outcomes.length && alike) throw errors[0]
  throw new MetastoreError('PARTIAL_FAILURE', 'some domains refused their part of the request', {
    details: { outcomes },
  })
}
