/** Reads of every kind at every interesting place: what two stores in the same state agree on. */
import type { TopicPartition } from '../../src/shared/api.ts'
import type { MetastoreModel } from './metastore-model.ts'
import type { Call } from './outcome.ts'
import type { PartitionModel } from './partition-model.ts'
import { TOPIC_SLOTS, topicOf, UNKNOWN_TOPIC } from './universe.ts'

const MISSING: TopicPartition = { topicId: UNKNOWN_TOPIC, partition: 0 }

/**
 * Every read of every partition that the model knows and of a missing one; and malformed reads and
 * preregistrations, which change nothing either.
 */
export function readCalls(model: MetastoreModel): Call[] {
  const known = model.topicPartitions().flatMap(tp => model.partition(tp) ?? [])
  const topics = Array.from({ length: TOPIC_SLOTS }, (_, slot) => topicOf(model, slot))
  const late = Array.from({ length: TOPIC_SLOTS }, (_, slot) => topicOf(model, slot, true))
  return [
    ...known.flatMap(partitionReads),
    ...reads(MISSING, { offsets: [0], timestamps: [0], terms: [0], bytes: [0, 1] }),
    ...[...topics, ...late, UNKNOWN_TOPIC].map(id => call('listPartitions', id)),
    ...manyAtOnce(known),
    ...malformedReads(known[0]?.topicPartition ?? MISSING),
  ]
}

interface Places {
  offsets: number[]
  timestamps: number[]
  terms: number[]
  bytes: number[]
}

function call(method: string, ...args: unknown[]): Call {
  return { method, args }
}

/** Each number with its neighbours, none negative, none twice. */
function around(numbers: readonly number[]): number[] {
  const all = numbers.flatMap(n => [n - 1, n, n + 1]).filter(n => n >= 0)
  return [...new Set(all)].sort((a, b) => a - b)
}

function placesOf(partition: PartitionModel): Places {
  const { startOffset, nextOffset, extents, terms } = partition
  let sum = 0
  const sums = extents.toReversed().map(extent => {
    sum += extent.sizeBytes
    return sum
  })
  return {
    offsets: around([0, startOffset, nextOffset, ...extents.map(extent => extent.baseOffset)]),
    timestamps: around(extents.map(extent => extent.maxTimestamp)),
    terms: around([0, ...terms.map(start => start.term)]),
    bytes: around([0, ...sums]),
  }
}

function partitionReads(partition: PartitionModel): Call[] {
  const tp = partition.topicPartition
  const places = placesOf(partition)
  const middle = Math.floor((partition.startOffset + partition.nextOffset) / 2)
  return [
    ...reads(tp, places),
    ...partition.terms.map(start => call('getTermForOffset', tp, start.startOffset)),
    ...places.timestamps.map(at => call('findByTimestamp', tp, at, { minOffset: middle })),
    ...listings(tp, partition, middle),
  ]
}

function reads(tp: TopicPartition, places: Places): Call[] {
  return [
    call('getOffsets', tp),
    call('getSize', tp),
    call('listExtents', tp),
    ...places.offsets.map(offset => call('findByOffset', tp, offset)),
    ...places.offsets.map(offset => call('getTermForOffset', tp, offset)),
    ...places.timestamps.map(timestamp => call('findByTimestamp', tp, timestamp)),
    ...places.terms.map(term => call('getEndOffsetForTerm', tp, term)),
    ...places.bytes.map(bytes => call('getOffsetForBytes', tp, bytes)),
    call(
      'findByOffsets',
      places.offsets.map(offset => ({ topicPartition: tp, offset })),
    ),
  ]
}

function listings(tp: TopicPartition, { extents }: PartitionModel, middle: number): Call[] {
  const windows = [{}, { minOffset: middle }, { maxOffset: middle }]
  const edges = extents.slice(0, 3).flatMap(({ baseOffset, lastOffset }) => [
    { minOffset: baseOffset, maxOffset: lastOffset },
    { minOffset: lastOffset, maxOffset: lastOffset + 1 },
  ])
  return [...windows, ...edges].flatMap(window =>
    [1, 2, Math.max(extents.length, 1)].flatMap(limit => [
      call('listExtents', tp, { ...window, limit }),
      call('listExtents', tp, { ...window, limit, reverse: true, includeObject: true }),
    ]),
  )
}

/** The calls that take a list, over all partitions and a missing one at once. */
function manyAtOnce(known: readonly PartitionModel[]): Call[] {
  const all = [...known.map(partition => partition.topicPartition), MISSING]
  const cleanedAt = known.flatMap(p => p.compaction.tombstones.map(range => range.cleanedAt))
  const sizes = known.flatMap(p => p.extents.map(extent => extent.sizeBytes))
  const thresholds = around([0, 10, 20, 45, ...sizes.slice(0, 3)])
  return [
    ...around([0, ...cleanedAt]).map(tombstoneRemovalBound =>
      call(
        'getCompactionInfo',
        all.map(topicPartition => ({ topicPartition, tombstoneRemovalBound })),
      ),
    ),
    ...thresholds.flatMap(minExtentBytes =>
      [undefined, 0, minExtentBytes, 2 * minExtentBytes].map(maxRangeBytes =>
        call(
          'getLevelingInfo',
          all.map(topicPartition =>
            maxRangeBytes === undefined
              ? { topicPartition, minExtentBytes }
              : { topicPartition, minExtentBytes, maxRangeBytes },
          ),
        ),
      ),
    ),
    call(
      'findByOffsets',
      [0, 5].flatMap(offset => all.map(topicPartition => ({ topicPartition, offset }))),
    ),
  ]
}

function malformedReads(tp: TopicPartition): Call[] {
  return [
    call('getOffsets', { topicId: 'no uuid', partition: 0 }),
    call('getSize', { ...tp, partition: -1 }),
    call('findByOffset', tp, -1),
    call('findByTimestamp', tp, 0.5),
    call('findByTimestamp', tp, 0, { minOffset: -1 }),
    call('findByOffsets', [
      { topicPartition: tp, offset: 0 },
      { topicPartition: tp, offset: -1 },
    ]),
    call('getOffsetForBytes', tp, 2 ** 53),
    call('getTermForOffset', tp, Number.NaN),
    call('getEndOffsetForTerm', tp, '1'),
    call('listExtents', tp, { limit: 0 }),
    call('listExtents', tp, { minOffset: -1 }),
    call('listExtents', tp, { maxOffset: 1.5 }),
    call('listPartitions', 'no uuid'),
    call('preregisterObjects', tp, 0),
    call('preregisterObjects', tp, 10_001),
    call('getCompactionInfo', [
      { topicPartition: tp, tombstoneRemovalBound: 0 },
      { topicPartition: tp, tombstoneRemovalBound: -1 },
    ]),
    call('getLevelingInfo', [{ topicPartition: tp, minExtentBytes: -1 }]),
    call('getLevelingInfo', [{ topicPartition: tp, minExtentBytes: 1, maxRangeBytes: -1 }]),
  ]
}
