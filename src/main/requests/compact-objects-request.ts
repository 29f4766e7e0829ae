/** compactObjects and commitCompaction: checks that need no state, and the request by domain. */
import { invalidRequest } from '../../codec/errors.ts'
import type { CompactionUpdate, NewObject, OffsetRange } from '../../shared/api.ts'
import type { CompactObjectsPart, UpdatePartition } from '../../shared/writes/parts.ts'
import type { Router } from '../router.ts'
import { checkArray, checkBoolean, checkNumber, checkObject, LAST_OFFSET_MAX } from './checks.ts'
import {
  type NamedPartition,
  nameOf,
  RequestPartitions,
  splitByDomain,
} from './request-partitions.ts'

type Update = Omit<UpdatePartition, 'tp'>

export interface CompactObjectsRequest {
  objects: NewObject[]
  updates: CompactionUpdate[]
}

/** @throws INVALID_REQUEST */
export function checkCompactObjects(
  router: Router,
  request: CompactObjectsRequest,
): Map<number, CompactObjectsPart> {
  checkObject(request, 'request')
  const partitions = nameUpdates(router, request.updates)
  const objects = partitions.takeObjects(request.objects, 'compaction update')
  for (const named of partitions.values()) checkCleanedWithin(named)
  return splitByDomain(partitions, objects, updatePart)
}

/** @throws INVALID_REQUEST */
export function checkCommitCompaction(
  router: Router,
  request: { updates: CompactionUpdate[] },
): Map<number, CompactObjectsPart> {
  checkObject(request, 'request')
  if (checkArray(request.updates, 'updates').length === 0) throw invalidRequest('updates is empty')
  return splitByDomain(nameUpdates(router, request.updates), [], updatePart)
}

function updatePart({ routed, part }: NamedPartition<Update>): UpdatePartition {
  return { tp: routed.tp, ...part }
}

function nameUpdates(
  router: Router,
  updates: readonly CompactionUpdate[],
): RequestPartitions<Update> {
  const partitions = new RequestPartitions<Update>(router)
  checkArray(updates, 'updates').forEach((update, i) => {
    const field = `updates[${i}]`
    checkObject(update, field)
    partitions.name(update.topicPartition, field, checkUpdate(update, field))
  })
  return partitions
}

function checkUpdate(update: CompactionUpdate, field: string): Update {
  const cleaned = checkRanges(update.cleanedRanges, `${field}.cleanedRanges`)
  return {
    expectedEpoch: checkNumber(update.expectedEpoch, `${field}.expectedEpoch`),
    cleanedAt: checkNumber(update.cleanedAt, `${field}.cleanedAt`),
    cleanedRanges: cleaned.map((range, i) => {
      const where = `${field}.cleanedRanges[${i}].hasTombstones`
      const hasTombstones = checkBoolean(update.cleanedRanges[i].hasTombstones, where)
      return { ...range, hasTombstones }
    }),
    removedTombstoneRanges: checkRanges(
      update.removedTombstoneRanges,
      `${field}.removedTombstoneRanges`,
    ),
  }
}

/** Sorted and disjoint. */
function checkRanges(ranges: readonly OffsetRange[], field: string): OffsetRange[] {
  return checkArray(ranges, field).map((range, i) => {
    const where = `${field}[${i}]`
    checkObject(range, where)
    const baseOffset = checkNumber(range.baseOffset, `${where}.baseOffset`)
    const lastOffset = checkNumber(range.lastOffset, `${where}.lastOffset`, LAST_OFFSET_MAX)
    if (baseOffset > lastOffset) {
      throw invalidRequest(`${where} is inverted: [${baseOffset}, ${lastOffset}]`)
    }
    if (i > 0 && baseOffset <= ranges[i - 1].lastOffset) {
      throw invalidRequest(
        `${where} begins at ${baseOffset}, not after the end of the one before it at ` +
          `${ranges[i - 1].lastOffset}`,
      )
    }
    return { baseOffset, lastOffset }
  })
}

/** Cleaned ranges lie within what the new extents span. */
function checkCleanedWithin({ routed, part, extents }: NamedPartition<Update>): void {
  if (part.cleanedRanges.length === 0) return
  const first = extents[0].baseOffset
  const last = extents[extents.length - 1].lastOffset
  const { baseOffset } = part.cleanedRanges[0]
  const { lastOffset } = part.cleanedRanges[part.cleanedRanges.length - 1]
  if (baseOffset < first || lastOffset > last) {
    throw invalidRequest(
      `cleaned ranges of ${nameOf(routed)} reach over [${baseOffset}, ${lastOffset}], its new ` +
        `extents only over [${first}, ${last}]`,
    )
  }
}
