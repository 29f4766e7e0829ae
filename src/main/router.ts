/**
 * Which domain a topic partition belongs to: murmur2, as Kafka's Java client computes it, over the
 * topic's UUID and the partition as a big-endian int32, unsigned, modulo the partition count. Ids
 * come as text with every call, so parsed partitions are kept, within a bound.
 */
import { invalidRequest } from '../codec/errors.ts'
import { putU32be, TP_BYTES } from '../codec/keys.ts'
import { murmur2 } from '../codec/murmur2.ts'
import { parseUuid, UUID_BYTES } from '../codec/uuid.ts'
import type { TopicPartition } from '../shared/api.ts'
import { show } from './show.ts'

/** Partitions kept parsed; some 150 bytes each. */
const KEPT_MAX = 100_000
const PARTITION_MAX = 2 ** 31 - 1

/** A topic partition, parsed. The same object stands for it as long as it is kept. */
export interface RoutedPartition {
  readonly topicId: string
  readonly partition: number
  /** Topic UUID ++ partition: what keys hold. Not to be changed. */
  readonly tp: Uint8Array
  readonly domain: number
}

export class Router {
  readonly #domains: number
  #topics = new Map<string, Map<number, RoutedPartition>>()
  /** The generation before: what a request has named keeps its object to the request's end. */
  #older = new Map<string, Map<number, RoutedPartition>>()
  #kept = 0

  constructor(domains: number) {
    this.#domains = domains
  }

  /** @throws INVALID_REQUEST naming `field` */
  route(topicPartition: TopicPartition, field: string): RoutedPartition {
    const partition = topicPartition?.partition
    const known = this.#topics.get(topicPartition?.topicId)?.get(partition)
    return known ?? this.#again(topicPartition) ?? this.#parse(topicPartition, field)
  }

  /** The topic's 16 bytes. @throws INVALID_REQUEST naming `field` */
  topic(topicId: unknown, field: string): Uint8Array {
    const topic = new Uint8Array(UUID_BYTES)
    if (typeof topicId !== 'string' || !parseUuid(topicId, topic, 0)) {
      throw invalidRequest(`${field} must be a lower-case UUID, not ${show(topicId)}`)
    }
    return topic
  }

  #again(topicPartition: TopicPartition): RoutedPartition | undefined {
    const older = this.#older.get(topicPartition?.topicId)?.get(topicPartition?.partition)
    if (older !== undefined) this.#keep(older)
    return older
  }

  #parse(topicPartition: TopicPartition, field: string): RoutedPartition {
    if (typeof topicPartition !== 'object' || topicPartition === null) {
      throw invalidRequest(`${field} must be {topicId, partition}, not ${show(topicPartition)}`)
    }
    const { topicId, partition } = topicPartition
    const tp = new Uint8Array(TP_BYTES)
    tp.set(this.topic(topicId, `${field}.topicId`))
    if (!Number.isSafeInteger(partition) || partition < 0 || partition > PARTITION_MAX) {
      throw invalidRequest(
        `${field}.partition must be an integer from 0 to ${PARTITION_MAX}, not ${show(partition)}`,
      )
    }
    putU32be(tp, UUID_BYTES, partition)
    const routed = { topicId, partition, tp, domain: murmur2(tp) % this.#domains }
    this.#keep(routed)
    return routed
  }

  #keep(routed: RoutedPartition): void {
    if (this.#kept === KEPT_MAX) {
      this.#older = this.#topics
      this.#topics = new Map()
      this.#kept = 0
    }
    this.#kept++
    const topic = this.#topics.get(routed.topicId)
    if (topic === undefined) {
      this.#topics.set(routed.topicId, new Map([[routed.partition, routed]]))
    } else topic.set(routed.partition, routed)
  }
}
