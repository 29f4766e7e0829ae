/** Abstract operations (arbitraries.ts) to concrete API calls, by the model's present state. */
import type { NewObject, PartitionTerms, TopicPartition } from '../../src/shared/api.ts'
import type {
  AbstractAdd,
  AbstractCommit,
  AbstractMalformed,
  AbstractOperation,
  AbstractReplace,
  AbstractReplacement,
  AbstractResend,
  AbstractStart,
  IdFault,
  RequestNumber,
} from './arbitraries.ts'
import { concreteUpdate, newRangesFor, type PartitionRanges } from './concrete-ranges.ts'
import { keyOf } from './domains.ts'
import { malformationFor } from './malformations.ts'
import type { MetastoreModel } from './metastore-model.ts'
import { copyObject } from './object-model.ts'
import type { Call } from './outcome.ts'
import {
  numberedUuid,
  type ObjectIdPool,
  partitionOf,
  SLOTS,
  topicOf,
  UNKNOWN_OBJECT,
  UNKNOWN_TOPIC,
} from './universe.ts'

const REQUEST_TAG = 3

/**
 * @param history the calls made so far, oldest first: what 'retry' repeats
 * @throws RangeError when the pool has no id of a domain left
 */
export function concretise(
  operation: AbstractOperation,
  model: MetastoreModel,
  ids: ObjectIdPool,
  history: readonly Call[],
): Call {
  switch (operation.op) {
    case 'add':
      return addCall(operation, model, ids)
    case 'resend':
      return resendCall(operation, model, ids)
    case 'replace':
    case 'compact':
      return rewriteCall(operation, model, ids)
    case 'commit':
      return commitCall(operation, model)
    case 'start':
      return startCall(operation, model)
    case 'remove': {
      const topics = operation.topics.map(slot => topicOf(model, slot))
      return call('removeTopics', operation.unknown ? [...topics, UNKNOWN_TOPIC] : topics)
    }
    case 'retry':
      return history[Math.max(history.length - 1 - operation.back, 0)] ?? plainAdd(0, model, ids)
    case 'malformed':
      return malformedCall(operation, model, ids, history)
  }
}

function addCall(operation: AbstractAdd, model: MetastoreModel, ids: ObjectIdPool): Call {
  const terms: PartitionTerms[] = []
  const ranges = operation.partitions.map((entry, i): PartitionRanges => {
    const tp = partitionOf(model, entry.slot, operation.late && i === 0)
    const known = model.partition(tp)
    const base = Math.max(0, (known?.nextOffset ?? 0) + entry.shift)
    let next = base
    const list = entry.lengths.map(length => {
      next += length
      return { baseOffset: next - length, lastOffset: next - 1 }
    })
    const term = Math.max(0, (known?.terms.at(-1)?.term ?? 0) + entry.termStep)
    const count = 1 + Math.min(entry.extraTerms, next - base - 1)
    const starts = Array.from({ length: count }, (_, n) => ({
      term: term + n,
      startOffset: base + n,
    }))
    terms.push({ topicPartition: tp, terms: starts })
    return { topicPartition: tp, ranges: list }
  })
  const objects = objectsFor(ranges, operation.numbers, model, ids)
  spoilId(objects, operation.idFault, model, ids)
  return call('addObjects', { objects, terms }, operation.request)
}

/** One extent at the end of a partition. */
function plainAdd(slot: number, model: MetastoreModel, ids: ObjectIdPool): Call {
  const partition = { slot, lengths: [3], shift: 0, termStep: 0, extraTerms: 0 }
  return addCall(
    {
      op: 'add',
      partitions: [partition],
      numbers: [7],
      idFault: 'none',
      late: false,
      request: null,
    },
    model,
    ids,
  )
}

function resendCall(operation: AbstractResend, model: MetastoreModel, ids: ObjectIdPool): Call {
  const committed = model.objects().filter(row => row.commit !== null)
  if (committed.length === 0) return plainAdd(operation.pick % SLOTS, model, ids)
  const { domain, commit } = committed[operation.pick % committed.length]
  const objects = committed.flatMap(row =>
    row.domain === domain && row.commit !== null && row.commit.sequence === commit?.sequence
      ? [copyObject(row.commit.content)]
      : [],
  )
  changeContent(objects, operation.change)
  const request = { objects, terms: termsFor(objects, operation.change === 'terms' ? 5 : 1) }
  if (operation.mixWithNew) {
    const slot = freeSlot(domain, request.terms, model)
    if (slot !== undefined) {
      const extra = plainAdd(slot, model, ids).args[0] as typeof request
      request.objects.push(...extra.objects)
      request.terms.push(...extra.terms)
    }
  }
  return call('addObjects', request, operation.request)
}

function changeContent(objects: NewObject[], change: AbstractResend['change']): void {
  const [first] = objects
  if (change === 'footer') first.footerPosition++
  if (change === 'size') first.sizeBytes++
  if (change === 'extent') first.extents[0].maxTimestamp++
  if (change !== 'order') return
  objects.reverse()
  for (const object of objects) object.extents.reverse()
}

function termsFor(objects: readonly NewObject[], term: number): PartitionTerms[] {
  const starts = new Map<string, { topicPartition: TopicPartition; startOffset: number }>()
  for (const { topicPartition, baseOffset } of objects.flatMap(object => object.extents)) {
    const key = keyOf(topicPartition)
    const startOffset = Math.min(starts.get(key)?.startOffset ?? baseOffset, baseOffset)
    starts.set(key, { topicPartition, startOffset })
  }
  return [...starts.values()].map(({ topicPartition, startOffset }) => ({
    topicPartition,
    terms: [{ term, startOffset }],
  }))
}

/** A slot of the domain that the terms do not name. */
function freeSlot(
  domain: number,
  terms: readonly PartitionTerms[],
  model: MetastoreModel,
): number | undefined {
  const taken = new Set(terms.map(entry => keyOf(entry.topicPartition)))
  for (let slot = 0; slot < SLOTS; slot++) {
    const tp = partitionOf(model, slot)
    if (model.domainOf(tp) === domain && !taken.has(keyOf(tp))) return slot
  }
  return undefined
}

/** Without the entries of unknown partitions that may go; never empty. */
function mostlyKnown(
  entries: readonly AbstractReplacement[],
  model: MetastoreModel,
): AbstractReplacement[] {
  const isKnown = (slot: number): boolean => model.partition(partitionOf(model, slot)) !== undefined
  const kept = entries.filter(entry => entry.keepUnknown || isKnown(entry.slot))
  if (kept.length > 0) return kept
  const slots = Array.from({ length: SLOTS }, (_, i) => (entries[0].slot + i) % SLOTS)
  return [{ ...entries[0], slot: slots.find(isKnown) ?? entries[0].slot }]
}

function rewriteCall(operation: AbstractReplace, model: MetastoreModel, ids: ObjectIdPool): Call {
  const partitions = mostlyKnown(operation.partitions, model)
  const ranges = partitions.map(entry => newRangesFor(entry, model))
  const objects = objectsFor(ranges, operation.numbers, model, ids)
  spoilId(objects, operation.idFault, model, ids)
  if (operation.op === 'replace') {
    const expectedEpochs = partitions.map(entry => ({
      topicPartition: partitionOf(model, entry.slot),
      epoch: (model.partition(partitionOf(model, entry.slot))?.epoch ?? 0) + entry.epochDelta,
    }))
    return call('replaceObjects', { objects, expectedEpochs }, operation.request)
  }
  const updates = partitions.map((entry, i) => {
    const list = ranges[i].ranges
    const last = list[list.length - 1].lastOffset
    return concreteUpdate(entry, model, { baseOffset: list[0].baseOffset, lastOffset: last })
  })
  return call('compactObjects', { objects, updates }, operation.request)
}

function commitCall(operation: AbstractCommit, model: MetastoreModel): Call {
  const partitions = mostlyKnown(operation.partitions, model)
  const updates = partitions.map(entry => concreteUpdate(entry, model, spanOf(entry)))
  return call('commitCompaction', { updates }, operation.request)

  function spanOf(entry: AbstractReplacement): { baseOffset: number; lastOffset: number } {
    const known = model.partition(partitionOf(model, entry.slot))
    const past = Math.max(0, entry.intervals[0].lastShift)
    const baseOffset = entry.reach === 'stale' ? 0 : (known?.startOffset ?? 0)
    return { baseOffset, lastOffset: (known?.nextOffset ?? 5) - 1 + past }
  }
}

function startCall({ slot, to, at }: AbstractStart, model: MetastoreModel): Call {
  const tp = partitionOf(model, slot)
  const known = model.partition(tp)
  if (known === undefined) return call('setStartOffset', tp, at)
  const { startOffset, nextOffset, extents } = known
  const offsets = {
    inside: startOffset + (at % (nextOffset - startOffset + 1)),
    boundary: extents.length === 0 ? startOffset : extents[at % extents.length].baseOffset,
    next: nextOffset,
    beyond: nextOffset + 1 + at,
    back: Math.max(0, startOffset - at),
  }
  return call('setStartOffset', tp, offsets[to])
}

function malformedCall(
  { base, fault }: AbstractMalformed,
  model: MetastoreModel,
  ids: ObjectIdPool,
  history: readonly Call[],
): Call {
  const { method, args } = concretise(base, model, ids, history)
  const spoiled = structuredClone(args)
  malformationFor(method, fault).spoil(spoiled)
  return { method, args: spoiled }
}

/** Spreads the ranges over objects, a partition's nth range in its domain's nth object. */
function objectsFor(
  partitions: readonly PartitionRanges[],
  numbers: readonly number[],
  model: MetastoreModel,
  ids: ObjectIdPool,
): NewObject[] {
  const objects = new Map<string, NewObject>()
  let drawn = 0
  const draw = (): number => numbers[drawn++ % numbers.length]
  for (const { topicPartition, ranges } of partitions) {
    const domain = model.domainOf(topicPartition)
    ranges.forEach(({ baseOffset, lastOffset }, n) => {
      const key = `${domain}/${n}`
      const object = objects.get(key) ?? {
        objectId: ids.take(domain),
        footerPosition: 0,
        sizeBytes: 0,
        extents: [],
      }
      objects.set(key, object)
      const sizeBytes = draw()
      const maxTimestamp = 1000 + 10 * draw()
      const position = object.footerPosition
      object.extents.push({
        topicPartition,
        baseOffset,
        lastOffset,
        maxTimestamp,
        position,
        sizeBytes,
      })
      object.footerPosition += sizeBytes
      object.sizeBytes = object.footerPosition + 64
    })
  }
  return [...objects.values()]
}

function spoilId(
  objects: readonly NewObject[],
  fault: IdFault,
  model: MetastoreModel,
  ids: ObjectIdPool,
): void {
  if (fault === 'none') return
  const [first] = objects
  const domain = model.domainOf(first.extents[0].topicPartition)
  const other = (domain + 1) % model.partitions
  const committed = model.objects().find(row => row.domain === domain && row.state === 'committed')
  if (fault === 'unknown') first.objectId = UNKNOWN_OBJECT
  if (fault === 'committed') first.objectId = committed?.objectId ?? UNKNOWN_OBJECT
  if (fault === 'foreign') first.objectId = other === domain ? UNKNOWN_OBJECT : ids.take(other)
}

/** `rest` is the second argument or, for writes with options, the request's number. */
function call(method: string, first: unknown, rest: RequestNumber | undefined = undefined): Call {
  if (method === 'setStartOffset') return { method, args: [first, rest] }
  if (rest === null || rest === undefined) return { method, args: [first] }
  return { method, args: [first, { requestId: numberedUuid(REQUEST_TAG, 0, rest) }] }
}
