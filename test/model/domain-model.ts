/**
 * One domain: its topic partitions, objects, removed topics and answered requests. Each write first
 * works out all it would do, which is where it may refuse, and only then changes anything.
 */
import { conflict, MetastoreError, outOfRange } from '../../src/codec/errors.ts'
import type {
  AddObjectsResult,
  CompactionUpdate,
  NewObject,
  TopicPartition,
} from '../../src/shared/api.ts'
import { advanceCompaction, clipCompaction } from './compaction-model.ts'
import { keyOf } from './domains.ts'
import type { CommitKind, ObjectRow } from './object-model.ts'
import { commitObject, copyObject, preregisteredObject, sameContent } from './object-model.ts'
import { type ExtentRow, PartitionModel } from './partition-model.ts'
import { planReplacement, type Replacement } from './replacement.ts'
import {
  type AddRequest,
  type CommitRequest,
  type CompactRequest,
  extentsByPartition,
  type PlacedExtent,
  type ReplaceRequest,
} from './validation.ts'

const HOUR_MS = 3_600_000
const REMOVED_TOPIC_MS = 24 * HOUR_MS
const REQUEST_MS = HOUR_MS
const REQUESTS_MAX = 100_000

interface AnsweredRequest {
  kind: string
  answer: unknown
  at: number
}

type Corrected = AddObjectsResult['correctedNextOffsets']

export class DomainModel {
  readonly domain: number
  readonly partitions: Map<string, PartitionModel> = new Map()
  readonly objects: Map<string, ObjectRow> = new Map()
  readonly #now: () => number
  readonly #removedTopics = new Map<string, number>()
  readonly #requests = new Map<string, AnsweredRequest>()
  #sequence = 0

  constructor(domain: number, now: () => number) {
    this.domain = domain
    this.#now = now
  }

  preregister(ids: readonly string[]): void {
    for (const id of ids) this.objects.set(id, preregisteredObject(id, this.domain, this.#now()))
  }

  /** @throws MISSING_PARTITION */
  partition(tp: TopicPartition): PartitionModel {
    const found = this.partitions.get(keyOf(tp))
    if (found !== undefined) return found
    throw new MetastoreError('MISSING_PARTITION', `nothing is known of ${keyOf(tp)}`)
  }

  isRemoved(topicId: string): boolean {
    const at = this.#removedTopics.get(topicId)
    return at !== undefined && this.#now() - at < REMOVED_TOPIC_MS
  }

  /** Answers a request id that was answered before; otherwise runs and keeps the answer. */
  once<T>(kind: string, requestId: string | undefined, run: () => T): T {
    if (requestId === undefined) return run()
    const known = this.#requests.get(requestId)
    if (known !== undefined && this.#now() - known.at < REQUEST_MS) {
      if (known.kind !== kind) throw conflict(`request ${requestId} was a call of ${known.kind}`)
      return structuredClone(known.answer) as T
    }
    const answer = run()
    this.#requests.delete(requestId)
    this.#requests.set(requestId, { kind, answer: structuredClone(answer), at: this.#now() })
    if (this.#requests.size > REQUESTS_MAX) {
      for (const oldest of this.#requests.keys()) {
        this.#requests.delete(oldest)
        break
      }
    }
    return answer
  }

  add({ objects, terms }: AddRequest): AddObjectsResult {
    const repeated = this.#repeatedAnswer(objects)
    if (repeated !== undefined) return { correctedNextOffsets: repeated }
    const rows = this.#uncommitted(objects)
    const extents = extentsByPartition(objects)
    const corrected = new Map<string, Corrected[number]>()
    for (const { topicPartition, terms: starts } of terms) {
      const key = keyOf(topicPartition)
      if (this.isRemoved(topicPartition.topicId)) throw conflict(`${key} is of a removed topic`)
      const known = this.partitions.get(key)
      const nextOffset = known?.nextOffset ?? 0
      if (starts[0].startOffset !== nextOffset) corrected.set(key, { topicPartition, nextOffset })
      else if (known !== undefined) checkTermFollows(known, starts[0])
    }

    this.#commit('addObjects', objects, rows, object =>
      object.extents.flatMap(extent => {
        const entry = corrected.get(keyOf(extent.topicPartition))
        return entry === undefined ? [] : [entry]
      }),
    )
    for (const { topicPartition, terms: starts } of terms) {
      const key = keyOf(topicPartition)
      const list = extents.get(key) ?? []
      if (corrected.has(key)) {
        for (const extent of list) this.#countRemoved(extent)
        continue
      }
      const partition = this.partitions.get(key) ?? new PartitionModel(topicPartition)
      this.partitions.set(key, partition)
      for (const extent of list) this.#insert(partition, partition.extents.length, [extent])
      partition.nextOffset = list[list.length - 1].lastOffset + 1
      const lastTerm = partition.terms.at(-1)?.term
      partition.terms.push(...starts.filter(({ term }) => term !== lastTerm).map(s => ({ ...s })))
    }
    return { correctedNextOffsets: [...corrected.values()] }
  }

  replace({ objects, expectedEpochs }: ReplaceRequest): void {
    const rows = this.#uncommitted(objects)
    const plans = this.#planReplacements(objects, expectedEpochs)
    this.#commit('replaceObjects', objects, rows, () => null)
    for (const plan of plans) this.#applyReplacement(plan)
  }

  compact({ objects, updates }: CompactRequest): void {
    const rows = this.#uncommitted(objects)
    const plans = this.#planReplacements(
      objects,
      updates.map(({ topicPartition, expectedEpoch }) => ({
        topicPartition,
        epoch: expectedEpoch,
      })),
    )
    const states = updates.map((update, i) => {
      const { partition, firstBaseOffset } = plans[i]
      if (update.cleanedRanges.length > 0 && firstBaseOffset > partition.startOffset) {
        throw conflict(`cleaned ranges, but extents from ${firstBaseOffset} miss the log start`)
      }
      return advanceCompaction(partition.compaction, update, partition.startOffset)
    })
    this.#commit('compactObjects', objects, rows, () => null)
    plans.forEach((plan, i) => {
      this.#applyReplacement(plan)
      plan.partition.compaction = states[i]
      plan.partition.epoch++
    })
  }

  commitCompaction({ updates }: CommitRequest): void {
    const states = updates.map(update => {
      const partition = this.#atEpoch(update.topicPartition, update.expectedEpoch)
      checkBelowNext(update, partition)
      return advanceCompaction(partition.compaction, update, partition.startOffset)
    })
    updates.forEach(({ topicPartition }, i) => {
      const partition = this.partition(topicPartition)
      partition.compaction = states[i]
      partition.epoch++
    })
  }

  setStartOffset(tp: TopicPartition, offset: number): void {
    const partition = this.partition(tp)
    if (offset > partition.nextOffset) {
      throw outOfRange(`${offset} is past the end, ${partition.nextOffset}`)
    }
    if (offset <= partition.startOffset) return
    this.#splice(partition, 0, partition.indexFrom(offset), [])
    partition.startOffset = offset
    const kept = partition.terms.findLastIndex(start => start.startOffset <= offset)
    partition.terms.splice(0, Math.max(kept, 0))
    partition.compaction = clipCompaction(partition.compaction, offset)
  }

  removeTopic(topicId: string): void {
    this.#removedTopics.set(topicId, this.#now())
    for (const [key, partition] of this.partitions) {
      if (partition.topicPartition.topicId !== topicId) continue
      this.#splice(partition, 0, partition.extents.length, [])
      this.partitions.delete(key)
    }
  }

  /** Undefined when none of the objects was added with this very content before. */
  #repeatedAnswer(objects: readonly NewObject[]): Corrected | undefined {
    const shares: Corrected[] = []
    for (const object of objects) {
      const commit = this.objects.get(object.objectId)?.commit ?? null
      if (commit === null || commit.corrected === null) continue
      if (sameContent(commit.content, object)) shares.push(commit.corrected)
    }
    if (shares.length === 0) return undefined
    if (shares.length < objects.length) throw conflict('objects committed before, with others')
    const entries = shares.flat().map(entry => [keyOf(entry.topicPartition), entry] as const)
    return [...new Map(entries).values()].map(entry => ({ ...entry }))
  }

  #uncommitted(objects: readonly NewObject[]): ObjectRow[] {
    return objects.map(({ objectId }) => {
      const row = this.objects.get(objectId)
      if (row?.state === 'preregistered') return row
      throw conflict(`object ${objectId} is ${row?.state ?? 'unknown'}`)
    })
  }

  #commit(
    kind: CommitKind,
    objects: readonly NewObject[],
    rows: readonly ObjectRow[],
    correctedOf: (object: NewObject) => Corrected | null,
  ): void {
    const sequence = this.#sequence++
    objects.forEach((object, i) => {
      const commit = { kind, sequence, content: copyObject(object), corrected: correctedOf(object) }
      commitObject(rows[i], commit, this.#now())
    })
  }

  #atEpoch(tp: TopicPartition, epoch: number): PartitionModel {
    const partition = this.partitions.get(keyOf(tp))
    if (partition === undefined) throw conflict(`${keyOf(tp)} is unknown`)
    if (partition.epoch === epoch) return partition
    throw conflict(`${keyOf(tp)} is at epoch ${partition.epoch}, not ${epoch}`)
  }

  #planReplacements(
    objects: readonly NewObject[],
    epochs: readonly { topicPartition: TopicPartition; epoch: number }[],
  ): Replacement[] {
    const extents = extentsByPartition(objects)
    const plans = epochs.map(({ topicPartition, epoch }) =>
      planReplacement(
        this.#atEpoch(topicPartition, epoch),
        extents.get(keyOf(topicPartition)) ?? [],
      ),
    )
    if (plans.every(plan => plan.splices.length === 0)) {
      throw conflict('every new extent lies below the start of its log')
    }
    return plans
  }

  #applyReplacement({ partition, splices, dropped }: Replacement): void {
    for (const extent of dropped) this.#countRemoved(extent)
    // From the end, so that the indexes of the earlier ones stay right.
    for (const { from, to, extents } of splices.toReversed()) {
      this.#splice(partition, from, to, extents)
    }
  }

  /** Puts `extents` in the place of those from index `from` to before `to`. */
  #splice(partition: PartitionModel, from: number, to: number, extents: PlacedExtent[]): void {
    for (const row of partition.extents.splice(from, to - from)) {
      partition.sizeBytes -= row.sizeBytes
      this.#countRemoved(row)
      const object = this.objects.get(row.objectId)
      if (object !== undefined) object.liveExtents--
    }
    this.#insert(partition, from, extents)
  }

  #insert(partition: PartitionModel, at: number, extents: readonly PlacedExtent[]): void {
    const rows = extents.map(({ topicPartition: _, ...row }): ExtentRow => row)
    partition.extents.splice(at, 0, ...rows)
    for (const row of rows) {
      partition.sizeBytes += row.sizeBytes
      const object = this.objects.get(row.objectId)
      if (object !== undefined) object.liveExtents++
    }
  }

  #countRemoved({ objectId, sizeBytes }: { objectId: string; sizeBytes: number }): void {
    const object = this.objects.get(objectId)
    if (object === undefined) return
    object.removedDataBytes += sizeBytes
    object.updatedAt = this.#now()
  }
}

function checkTermFollows(
  known: PartitionModel,
  first: { term: number; startOffset: number },
): void {
  const last = known.terms.at(-1)
  if (last === undefined) return
  if (first.term < last.term) throw conflict(`term ${first.term} is before ${last.term}`)
  if (known.extents.length > 0 && first.startOffset <= last.startOffset) {
    throw conflict(`term ${first.term} starts at or before the last known term`)
  }
}

function checkBelowNext(update: CompactionUpdate, { nextOffset }: PartitionModel): void {
  for (const { lastOffset } of update.cleanedRanges) {
    if (lastOffset >= nextOffset)
      throw conflict(`cleaned to ${lastOffset}, the end is ${nextOffset}`)
  }
}
