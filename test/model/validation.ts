/**
 * What makes a write malformed in itself (metastore.md, section 3): looked at before any state, and
 * refused as a whole with INVALID_REQUEST.
 */
import type {
  CompactionUpdate,
  NewExtent,
  NewObject,
  PartitionEpoch,
  PartitionTerms,
  TopicPartition,
  WriteOptions,
} from '../../src/shared/api.ts'
import {
  checkArray,
  checkNumber,
  checkObject,
  checkRange,
  checkRangeList,
  checkTopicPartition,
  checkUuid,
  require,
} from './checks.ts'
import { domainOf, keyOf } from './domains.ts'

export interface AddRequest {
  objects: NewObject[]
  terms: PartitionTerms[]
}

export interface ReplaceRequest {
  objects: NewObject[]
  expectedEpochs: PartitionEpoch[]
}

export interface CompactRequest {
  objects: NewObject[]
  updates: CompactionUpdate[]
}

export interface CommitRequest {
  updates: CompactionUpdate[]
}

/** New extents of one partition, in offset order, each with the object it lies in. */
export type PlacedExtent = NewExtent & { objectId: string }

export function extentsByPartition(objects: readonly NewObject[]): Map<string, PlacedExtent[]> {
  const byPartition = new Map<string, PlacedExtent[]>()
  for (const { objectId, extents } of objects) {
    for (const extent of extents) {
      const key = keyOf(extent.topicPartition)
      const list = byPartition.get(key)
      const placed = { ...extent, objectId }
      if (list === undefined) byPartition.set(key, [placed])
      else list.push(placed)
    }
  }
  for (const list of byPartition.values()) list.sort((a, b) => a.baseOffset - b.baseOffset)
  return byPartition
}

export function checkWriteOptions(options: WriteOptions | undefined): void {
  if (options?.requestId !== undefined) checkUuid('requestId', options.requestId)
}

export function checkAdd(request: AddRequest, domains: number): void {
  checkObject('request', request)
  checkObjects(request.objects, domains)
  checkArray('terms', request.terms)
  const extents = extentsByPartition(request.objects)
  checkSamePartitions('terms', request.terms, extents)
  for (const [key, list] of extents) {
    for (let i = 1; i < list.length; i++) {
      require(list[i].baseOffset ===
        list[i - 1].lastOffset +
          1, `extents of ${key} leave a gap or overlap at ${list[i].baseOffset}`)
    }
  }
  for (const entry of request.terms)
    checkTerms(entry, extents.get(keyOf(entry.topicPartition)) ?? [])
}

export function checkReplace(request: ReplaceRequest, domains: number): void {
  checkObject('request', request)
  checkObjects(request.objects, domains)
  checkArray('expectedEpochs', request.expectedEpochs)
  const extents = extentsByPartition(request.objects)
  checkSamePartitions('expectedEpochs', request.expectedEpochs, extents)
  for (const { epoch } of request.expectedEpochs) checkNumber('epoch', epoch)
  checkNoOverlap(extents)
}

export function checkCompact(request: CompactRequest, domains: number): void {
  checkObject('request', request)
  checkObjects(request.objects, domains)
  checkArray('updates', request.updates)
  const extents = extentsByPartition(request.objects)
  checkSamePartitions('updates', request.updates, extents)
  checkNoOverlap(extents)
  for (const update of request.updates) {
    checkUpdate(update)
    const list = extents.get(keyOf(update.topicPartition)) ?? []
    for (const { baseOffset, lastOffset } of update.cleanedRanges) {
      const inside =
        baseOffset >= list[0].baseOffset && lastOffset <= list[list.length - 1].lastOffset
      require(inside, `cleaned range ${baseOffset}-${lastOffset} lies outside the new extents`)
    }
  }
}

export function checkCommit(request: CommitRequest): void {
  checkObject('request', request)
  checkArray('updates', request.updates)
  require(request.updates.length > 0, 'no updates')
  checkNamedOnce('updates', request.updates)
  for (const update of request.updates) checkUpdate(update)
}

function checkObjects(objects: readonly NewObject[], domains: number): void {
  checkArray('objects', objects)
  require(objects.length > 0, 'no objects')
  const ids = new Set<string>()
  for (const object of objects) {
    checkObject('objects', object)
    const { objectId, footerPosition, sizeBytes, extents } = object
    checkUuid('objectId', objectId)
    require(!ids.has(objectId), `object ${objectId} is named twice`)
    ids.add(objectId)
    checkNumber('footerPosition', footerPosition)
    checkNumber('sizeBytes', sizeBytes)
    checkArray('extents', extents)
    require(extents.length > 0, `object ${objectId} has no extents`)
    for (const extent of extents) checkExtent(extent)
    const partitions = new Set(extents.map(extent => keyOf(extent.topicPartition)))
    require(partitions.size === extents.length, `object ${objectId} repeats a topic partition`)
    const touched = new Set(extents.map(extent => domainOf(extent.topicPartition, domains)))
    require(touched.size === 1, `object ${objectId} has extents of several domains`)
  }
}

function checkExtent(extent: NewExtent): void {
  checkRange('extent', extent)
  checkTopicPartition('extent.topicPartition', extent.topicPartition)
  checkNumber('maxTimestamp', extent.maxTimestamp)
  checkNumber('position', extent.position)
  checkNumber('sizeBytes', extent.sizeBytes)
}

function checkTerms(entry: PartitionTerms, extents: readonly PlacedExtent[]): void {
  const { terms } = entry
  checkArray('terms', terms)
  require(terms.length > 0, 'an empty list of terms')
  terms.forEach((start, i) => {
    checkObject('term', start)
    checkNumber('term', start.term)
    checkNumber('startOffset', start.startOffset)
    if (i === 0) return
    const before = terms[i - 1]
    require(start.term > before.term, 'terms must strictly increase')
    require(start.startOffset > before.startOffset, 'term offsets must strictly increase')
  })
  require(terms[0].startOffset ===
    extents[0].baseOffset, 'the first term must start at the first extent')
  require(terms[terms.length - 1].startOffset <=
    extents[extents.length - 1].lastOffset, 'the last term starts past the last extent')
}

function checkUpdate(update: CompactionUpdate): void {
  checkNumber('expectedEpoch', update.expectedEpoch)
  checkNumber('cleanedAt', update.cleanedAt)
  checkRangeList('cleanedRanges', update.cleanedRanges)
  for (const { hasTombstones } of update.cleanedRanges) {
    require(typeof hasTombstones === 'boolean', 'hasTombstones must be a boolean')
  }
  checkRangeList('removedTombstoneRanges', update.removedTombstoneRanges)
}

type Named = { topicPartition: TopicPartition }

function checkNamedOnce(field: string, entries: readonly Named[]): Set<string> {
  const keys = new Set<string>()
  for (const entry of entries) {
    checkObject(field, entry)
    checkTopicPartition(`${field}.topicPartition`, entry.topicPartition)
    const key = keyOf(entry.topicPartition)
    require(!keys.has(key), `${field} names ${key} twice`)
    keys.add(key)
  }
  return keys
}

function checkSamePartitions(
  field: string,
  entries: readonly Named[],
  extents: ReadonlyMap<string, unknown>,
): void {
  const keys = checkNamedOnce(field, entries)
  for (const key of keys) require(extents.has(key), `${field} names ${key}, which has no extents`)
  for (const key of extents.keys()) require(keys.has(key), `${key} has extents but no ${field}`)
}

function checkNoOverlap(extents: ReadonlyMap<string, PlacedExtent[]>): void {
  for (const [key, list] of extents) {
    for (let i = 1; i < list.length; i++) {
      require(list[i].baseOffset >
        list[i - 1].lastOffset, `extents of ${key} overlap at ${list[i].baseOffset}`)
    }
  }
}
