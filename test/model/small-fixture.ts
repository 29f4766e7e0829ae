/** Short spellings for tests on the model: two partitions of one domain, sizes of 99 bytes. */
import { MetastoreError } from '../../src/codec/errors.ts'
import type {
  AddObjectsResult,
  CompactionUpdate,
  NewObject,
  TopicPartition,
} from '../../src/shared/api.ts'
import { MetastoreModel } from './metastore-model.ts'
import { numberedUuid } from './universe.ts'

const TOPIC = numberedUuid(5, 0, 0)

/** One metastore partition: everything is of the one domain. */
export const A: TopicPartition = { topicId: TOPIC, partition: 0 }
export const B: TopicPartition = { topicId: TOPIC, partition: 1 }

/** Partition, base, last and, unless 99, the bytes. */
export type ShortExtent = [tp: TopicPartition, base: number, last: number, sizeBytes?: number]
export type ShortRange = [base: number, last: number]
export type ShortTerm = [term: number, startOffset: number]
export type ShortCleaned = [base: number, last: number, hasTombstones: boolean]

/** The code of the MetastoreError that `run` throws; undefined when it throws none. */
export function codeOf(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    if (error instanceof MetastoreError) return error.code
    throw error
  }
  return undefined
}

export function update(
  expectedEpoch: number,
  cleanedAt: number,
  cleaned: readonly ShortCleaned[],
  removed: readonly ShortRange[],
): CompactionUpdate {
  return {
    topicPartition: A,
    expectedEpoch,
    cleanedAt,
    cleanedRanges: cleaned.map(([baseOffset, lastOffset, hasTombstones]) => ({
      baseOffset,
      lastOffset,
      hasTombstones,
    })),
    removedTombstoneRanges: removed.map(([baseOffset, lastOffset]) => ({ baseOffset, lastOffset })),
  }
}

export class Fixture {
  readonly model: MetastoreModel
  nowMs = 1_000_000
  /** Of the objects sent last. */
  lastIds: string[] = []
  #made = 0

  constructor(partitions: number) {
    const newId = (): string => numberedUuid(6, 0, this.#made++)
    this.model = new MetastoreModel({ partitions, now: () => this.nowMs, newId })
  }

  /** A fresh object with the given extents, preregistered near the first one. */
  object(...extents: ShortExtent[]): NewObject {
    const [objectId] = this.model.preregisterObjects(extents[0][0], 1)
    let position = 0
    const list = extents.map(([topicPartition, baseOffset, lastOffset, sizeBytes = 99]) => {
      position += sizeBytes
      const start = position - sizeBytes
      const maxTimestamp = 1000 + lastOffset
      return { topicPartition, baseOffset, lastOffset, maxTimestamp, position: start, sizeBytes }
    })
    return { objectId, footerPosition: position, sizeBytes: position + 64, extents: list }
  }

  /** Adds one object, each partition in term 1. */
  add(...extents: ShortExtent[]): AddObjectsResult['correctedNextOffsets'] {
    const object = this.object(...extents)
    this.lastIds = [object.objectId]
    const terms = extents.map(([topicPartition, startOffset]) => ({
      topicPartition,
      terms: [{ term: 1, startOffset }],
    }))
    return this.model.addObjects({ objects: [object], terms }).correctedNextOffsets
  }

  addWithTerms(terms: readonly ShortTerm[], extent: ShortExtent): AddObjectsResult {
    const starts = terms.map(([term, startOffset]) => ({ term, startOffset }))
    return this.model.addObjects({
      objects: [this.object(extent)],
      terms: [{ topicPartition: extent[0], terms: starts }],
    })
  }

  /** Extents of 10 offsets each, with these sizes. */
  sizes(tp: TopicPartition, sizes: readonly number[]): void {
    sizes.forEach((sizeBytes, i) => {
      this.add([tp, 10 * i, 10 * i + 9, sizeBytes])
    })
  }

  /** Replaces in A, one object an extent. */
  replace(epoch: number, ...extents: ShortExtent[]): void {
    const objects = extents.map(extent => this.object(extent))
    this.model.replaceObjects({ objects, expectedEpochs: [{ topicPartition: A, epoch }] })
  }

  /** Compacts A, one object an extent. */
  compact(change: CompactionUpdate, ...extents: ShortExtent[]): void {
    const objects = extents.map(extent => this.object(extent))
    this.model.compactObjects({ objects, updates: [change] })
  }

  /** commitCompaction of A. */
  clean(
    epoch: number,
    cleanedAt: number,
    cleaned: readonly ShortCleaned[],
    removed: readonly ShortRange[],
  ): void {
    this.model.commitCompaction({ updates: [update(epoch, cleanedAt, cleaned, removed)] })
  }

  dirty(topicPartition: TopicPartition): ShortRange[] {
    const [info] = this.model.getCompactionInfo([{ topicPartition, tombstoneRemovalBound: 0 }])
    if (info instanceof MetastoreError) throw info
    return info.dirtyRanges.map(range => [range.baseOffset, range.lastOffset])
  }

  removable(topicPartition: TopicPartition, tombstoneRemovalBound: number): ShortRange[] {
    const [info] = this.model.getCompactionInfo([{ topicPartition, tombstoneRemovalBound }])
    if (info instanceof MetastoreError) throw info
    return info.removableTombstoneRanges.map(range => [range.baseOffset, range.lastOffset])
  }

  /** Each range as base, last, bytes, extents. */
  leveling(topicPartition: TopicPartition, minExtentBytes: number, max?: number): number[][] {
    const spec = { topicPartition, minExtentBytes }
    const [info] = this.model.getLevelingInfo([
      max === undefined ? spec : { ...spec, maxRangeBytes: max },
    ])
    if (info instanceof MetastoreError) throw info
    return info.ranges.map(r => [r.baseOffset, r.lastOffset, r.sizeBytes, r.extentCount])
  }
}

export function fixture(partitions = 1): Fixture {
  return new Fixture(partitions)
}
