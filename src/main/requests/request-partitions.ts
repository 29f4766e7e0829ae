/**
 * The partitions that a request names, once each, with the extents that it has for them; and its
 * objects, each of one domain. What the checks of a whole request need, before any domain sees it.
 */
import { invalidRequest } from '../../codec/errors.ts'
import type { NewObject, TopicPartition } from '../../shared/api.ts'
import type { ExtentPart, ObjectPart } from '../../shared/writes/parts.ts'
import type { RoutedPartition, Router } from '../router.ts'
import { checkArray, checkNumber, checkObject, checkUuid, LAST_OFFSET_MAX } from './checks.ts'

export interface NamedPartition<T> {
  routed: RoutedPartition
  /** Place among the partitions of its domain in this request. */
  place: number
  /** What the request says of the partition. */
  part: T
  /** Its extents over all objects; sorted by sortExtents(). */
  extents: ExtentPart[]
}

export interface DomainObject {
  domain: number
  part: ObjectPart
}

/** Names of topic partitions in messages: `topic/partition`. */
export function nameOf({ topicId, partition }: RoutedPartition): string {
  return `${topicId}/${partition}`
}

export class RequestPartitions<T> {
  readonly #router: Router
  readonly #byPartition = new Map<RoutedPartition, NamedPartition<T>>()
  readonly #counts = new Map<number, number>()

  constructor(router: Router) {
    this.#router = router
  }

  /** In the order in which the request names them. */
  values(): IterableIterator<NamedPartition<T>> {
    return this.#byPartition.values()
  }

  /** @throws INVALID_REQUEST when the partition was named before */
  name(topicPartition: TopicPartition, field: string, part: T): void {
    const routed = this.#router.route(topicPartition, `${field}.topicPartition`)
    if (this.#byPartition.has(routed)) {
      throw invalidRequest(`${field} names partition ${nameOf(routed)} a second time`)
    }
    const place = this.#counts.get(routed.domain) ?? 0
    this.#counts.set(routed.domain, place + 1)
    this.#byPartition.set(routed, { routed, place, part, extents: [] })
  }

  /**
   * Checks the objects and hands their extents to their partitions.
   * @param counterpart what a partition with extents must also have, for the message
   */
  takeObjects(objects: readonly NewObject[], counterpart: string): DomainObject[] {
    if (checkArray(objects, 'objects').length === 0) throw invalidRequest('objects is empty')
    const ids = new Set<string>()
    const taken = objects.map((object, i) => {
      const field = `objects[${i}]`
      checkObject(object, field)
      const id = checkUuid(object.objectId, `${field}.objectId`)
      if (ids.has(object.objectId)) {
        throw invalidRequest(`${field}.objectId ${object.objectId} is in the request twice`)
      }
      ids.add(object.objectId)
      return this.#takeObject(object, id, field, counterpart)
    })
    for (const { routed, extents } of this.values()) {
      if (extents.length === 0) {
        throw invalidRequest(`partition ${nameOf(routed)} has ${counterpart} and no extents`)
      }
      sortExtents(routed, extents)
    }
    return taken
  }

  #takeObject(object: NewObject, id: Uint8Array, field: string, counterpart: string): DomainObject {
    const part: ObjectPart = {
      id,
      footerPosition: checkNumber(object.footerPosition, `${field}.footerPosition`),
      sizeBytes: checkNumber(object.sizeBytes, `${field}.sizeBytes`),
      extents: [],
    }
    const extents = checkArray(object.extents, `${field}.extents`)
    if (extents.length === 0) throw invalidRequest(`${field}.extents is empty`)
    let domain = -1
    const seen = extents.length > 1 ? new Set<RoutedPartition>() : undefined
    extents.forEach((extent, i) => {
      const where = `${field}.extents[${i}]`
      checkObject(extent, where)
      const routed = this.#router.route(extent.topicPartition, `${where}.topicPartition`)
      const named = this.#byPartition.get(routed)
      if (named === undefined) {
        throw invalidRequest(`${where}: partition ${nameOf(routed)} has no ${counterpart}`)
      }
      if (seen?.has(routed)) {
        throw invalidRequest(`${where}: partition ${nameOf(routed)} has two extents in ${field}`)
      }
      seen?.add(routed)
      if (domain !== -1 && domain !== routed.domain) {
        throw invalidRequest(
          `${field} has extents of metastore partitions ${domain} and ${routed.domain}; ` +
            'an object belongs to one',
        )
      }
      domain = routed.domain
      const checked = checkExtent(extent, where, named.place)
      part.extents.push(checked)
      named.extents.push(checked)
    })
    return { domain, part }
  }
}

function checkExtent(
  extent: NewObject['extents'][number],
  field: string,
  partition: number,
): ExtentPart {
  const part: ExtentPart = {
    partition,
    baseOffset: checkNumber(extent.baseOffset, `${field}.baseOffset`),
    lastOffset: checkNumber(extent.lastOffset, `${field}.lastOffset`, LAST_OFFSET_MAX),
    maxTimestamp: checkNumber(extent.maxTimestamp, `${field}.maxTimestamp`),
    position: checkNumber(extent.position, `${field}.position`),
    sizeBytes: checkNumber(extent.sizeBytes, `${field}.sizeBytes`),
  }
  if (part.baseOffset > part.lastOffset) {
    throw invalidRequest(
      `${field}.baseOffset ${part.baseOffset} is after its lastOffset ${part.lastOffset}`,
    )
  }
  return part
}

/** @throws INVALID_REQUEST when extents overlap */
function sortExtents(routed: RoutedPartition, extents: ExtentPart[]): void {
  if (extents.length === 1) return
  extents.sort((a, b) => a.baseOffset - b.baseOffset)
  for (let i = 1; i < extents.length; i++) {
    if (extents[i].baseOffset <= extents[i - 1].lastOffset) {
      throw invalidRequest(
        `extents of ${nameOf(routed)} overlap at offset ${extents[i].baseOffset}`,
      )
    }
  }
}

/** Requests by domain: the partitions and objects of each, in the request's order. */
export function splitByDomain<T, P>(
  partitions: RequestPartitions<T>,
  objects: readonly DomainObject[],
  partitionPart: (named: NamedPartition<T>) => P,
): Map<number, { partitions: P[]; objects: ObjectPart[] }> {
  const parts = new Map<number, { partitions: P[]; objects: ObjectPart[] }>()
  for (const named of partitions.values()) {
    const { domain } = named.routed
    let part = parts.get(domain)
    if (part === undefined) {
      part = { partitions: [], objects: [] }
      parts.set(domain, part)
    }
    part.partitions.push(partitionPart(named))
  }
  for (const { domain, part } of objects) parts.get(domain)?.objects.push(part)
  return parts
}
