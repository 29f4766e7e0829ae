/**
 * The few topics, partitions and ids of generated operations. A topic slot that was removed goes on
 * under a new topic id (its next incarnation), so that long sequences keep something to work on.
 */
import type { ObjectId, TopicId, TopicPartition } from '../../src/shared/api.ts'
import type { MetastoreModel } from './metastore-model.ts'

export const TOPIC_SLOTS = 3
export const PARTITIONS_PER_TOPIC = 3
export const SLOTS: number = TOPIC_SLOTS * PARTITIONS_PER_TOPIC

/** A UUID told by two numbers; `tag` keeps kinds of ids apart. */
export function numberedUuid(tag: number, high: number, low: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0')
  return `${hex(tag, 8)}-${hex(high, 4)}-4000-8000-${hex(low, 12)}`
}

const TOPIC_TAG = 1
const UNKNOWN_TAG = 2

export const UNKNOWN_OBJECT: ObjectId = numberedUuid(UNKNOWN_TAG, 0, 0)
export const UNKNOWN_TOPIC: TopicId = numberedUuid(UNKNOWN_TAG, 0, 1)

/** The slot's present topic or, `late`, the one before it, which was removed (if there was one). */
export function topicOf(model: MetastoreModel, slot: number, late = false): TopicId {
  let incarnation = 0
  while (model.isTopicRemoved(numberedUuid(TOPIC_TAG, slot, incarnation))) incarnation++
  if (late && incarnation > 0) incarnation--
  return numberedUuid(TOPIC_TAG, slot, incarnation)
}

/** Slot 0 to SLOTS - 1 of the universe as a topic partition. */
export function partitionOf(model: MetastoreModel, slot: number, late = false): TopicPartition {
  return {
    topicId: topicOf(model, Math.floor(slot / PARTITIONS_PER_TOPIC) % TOPIC_SLOTS, late),
    partition: slot % PARTITIONS_PER_TOPIC,
  }
}

/** A topic partition of the domain, for preregistering ids there. */
export function partitionNear(domain: number, model: MetastoreModel): TopicPartition {
  for (let partition = 0; ; partition++) {
    const tp = { topicId: UNKNOWN_TOPIC, partition }
    if (model.domainOf(tp) === domain) return tp
  }
}

/**
 * Ids that are preregistered alike in the model and in the store under test. The test fills it:
 * ids from the store's preregisterObjects, the same to the model's adoptPreregistered, then `put`.
 */
export class ObjectIdPool {
  readonly #ids = new Map<number, ObjectId[]>()

  put(domain: number, ids: readonly ObjectId[]): void {
    this.#ids.set(domain, [...this.#list(domain), ...ids])
  }

  available(domain: number): number {
    return this.#list(domain).length
  }

  /** A fresh id of the domain. */
  take(domain: number): ObjectId {
    const id = this.#list(domain).pop()
    if (id === undefined) throw new RangeError(`the pool of domain ${domain} is empty: refill it`)
    return id
  }

  #list(domain: number): ObjectId[] {
    return this.#ids.get(domain) ?? []
  }
}
