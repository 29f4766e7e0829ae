/**
 * Every read of a metastore, over domains that somebody answers for: checks what callers pass in,
 * finds their domains, puts answers together.
 */
import { invalidRequest, type MetastoreError } from '../codec/errors.ts'
import type {
  CompactionInfo,
  Extent,
  ExtentLocation,
  ExtentQuery,
  LevelingInfo,
  ReadOptions,
  TopicId,
  TopicPartition,
} from '../shared/api.ts'
import type { ArgumentsOf, ReadName, ResultOf } from '../shared/reads/index.ts'
import { checkArray, checkNumber, checkObject } from './requests/checks.ts'
import { Router } from './router.ts'
import { show } from './show.ts'

const LIST_LIMIT = 1000
const CONSISTENCIES: readonly unknown[] = [undefined, 'linearizable', 'leader', 'stale']

/** Who answers reads. */
export interface ReadSource {
  /** By number. */
  readonly domains: readonly {
    read<N extends ReadName>(
      name: N,
      args: ArgumentsOf<N>,
      sequence: undefined,
      consistency: ReadOptions['consistency'],
    ): Promise<ResultOf<N>>
  }[]
  /** @throws when no reads are answered any more */
  expectOpen(): void
  /** @throws INVALID_REQUEST for a consistency that is not to be had */
  checkConsistency(options: ReadOptions | undefined): void
}

export abstract class MetastoreReads {
  protected readonly router: Router
  readonly #source: ReadSource

  protected constructor(source: ReadSource) {
    this.#source = source
    this.router = new Router(source.domains.length)
  }

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
      const { tp, domain } = this.router.route(query.topicPartition, `queries[${i}].topicPartition`)
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
    const topic = this.router.topic(topicId, 'topicId')
    this.#source.expectOpen()
    const lists = this.#source.domains.map(domain =>
      domain.read('listPartitions', topic, undefined, undefined),
    )
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
      const { tp, domain } = this.router.route(spec.topicPartition, `${field}.topicPartition`)
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
      const { tp, domain } = this.router.route(spec.topicPartition, `${field}.topicPartition`)
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
    const { tp, domain } = this.router.route(topicPartition, 'topicPartition')
    this.#source.checkConsistency(options)
    this.#source.expectOpen()
    return this.#source.domains[domain].read(name, args(tp), undefined, options?.consistency)
  }

  /** One crossing a domain for all queries; results in the order of the queries. */
  async #readEach<N extends 'findByOffsets' | 'getCompactionInfo' | 'getLevelingInfo'>(
    name: N,
    queries: readonly { domain: number; args: ArgumentsOf<N>[number] }[],
    options: ReadOptions | undefined,
  ): Promise<ResultOf<N>[number][]> {
    this.#source.checkConsistency(options)
    this.#source.expectOpen()
    const byDomain = new Map<number, number[]>()
    for (const [i, { domain }] of queries.entries()) {
      const places = byDomain.get(domain)
      if (places === undefined) byDomain.set(domain, [i])
      else places.push(i)
    }
    const results: ResultOf<N>[number][] = new Array(queries.length)
    const reads = [...byDomain].map(async ([domain, places]) => {
      const args = places.map(place => queries[place].args) as ArgumentsOf<N>
      const from = this.#source.domains[domain]
      const answers = await from.read(name, args, undefined, options?.consistency)
      for (const [i, place] of places.entries()) results[place] = answers[i]
    })
    await Promise.all(reads)
    return results
  }
}

/** @throws INVALID_REQUEST */
export function checkConsistency(options: ReadOptions | undefined): void {
  if (CONSISTENCIES.includes(options?.consistency)) return
  throw invalidRequest(
    `consistency must be linearizable, leader or stale, not ${show(options?.consistency)}`,
  )
}
