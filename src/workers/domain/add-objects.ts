/** addObjects: appends extents at the end of their partitions' logs. */
import type { ByteWriter } from '../../codec/bytes.ts'
import { conflict } from '../../codec/errors.ts'
import { keyNumber } from '../../codec/keys.ts'
import {
  decodeTerm,
  encodeExtent,
  encodeTerm,
  OBJECT_STATE,
  type ObjectRow,
  type PartitionRow,
} from '../../codec/rows.ts'
import { formatUuid } from '../../codec/uuid.ts'
import { describeTp, findPartition } from '../../shared/reads/read.ts'
import type { AddObjectsPart, AddPartition, ObjectPart } from '../../shared/writes/parts.ts'
import { ObjectChanges } from './object-changes.ts'
import { contentHash } from './object-content.ts'
import { type PlacedExtent, placeExtents } from './placed-extents.ts'
import {
  keys,
  putPartition,
  refuseRemovedTopic,
  scratch,
  type WriteContext,
} from './write-context.ts'

const NEW_PARTITION: Readonly<PartitionRow> = {
  startOffset: 0,
  nextOffset: 0,
  compactionEpoch: 0,
  sizeBytes: 0,
  extentCount: 0,
}

/** Answers (20 topic partition | varint next offset) for each partition that was corrected. */
export function addObjects(context: WriteContext, request: AddObjectsPart, out: ByteWriter): void {
  const changes = new ObjectChanges(context)
  const hashes = request.objects.map(object => contentHash(object, request.partitions))
  const repeated = knownObjects(changes, request, hashes)
  if (repeated !== undefined) {
    putCorrections(out, request, correctionsOf(repeated))
    return
  }
  for (const { tp } of request.partitions) refuseRemovedTopic(context, tp)
  const placed = placeExtents(request.objects, request.partitions.length)
  /** Next offset of each misaligned partition, by its place. */
  const corrected = new Map<number, number>()
  request.partitions.forEach((partition, place) => {
    const row = findPartition(context.view, partition.tp) ?? NEW_PARTITION
    const extents = placed[place]
    if (extents[0].extent.baseOffset !== row.nextOffset) corrected.set(place, row.nextOffset)
    else appendExtents(context, partition, row, extents)
  })
  request.objects.forEach((object, i) => {
    changes.set(object.id, committedRow(context, request, object, hashes[i], corrected))
  })
  changes.write()
  const byTp = request.partitions.map((_, place) => corrected.get(place))
  putCorrections(out, request, place => byTp[place])
}

/**
 * The rows of all objects, if all were committed before with the same content.
 * @throws CONFLICT when an object is not to be had
 */
function knownObjects(
  changes: ObjectChanges,
  request: AddObjectsPart,
  hashes: readonly (readonly [number, number])[],
): ObjectRow[] | undefined {
  const known: ObjectRow[] = []
  request.objects.forEach((object, i) => {
    const row = changes.stored(object.id)
    if (row === undefined || row.state !== OBJECT_STATE.committed) {
      changes.expectPreregistered(object.id)
      return
    }
    const [first, second] = hashes[i]
    if (row.contentHash[0] !== first || row.contentHash[1] !== second) {
      throw conflict(`object ${formatUuid(object.id)} is already committed with other content`)
    }
    known.push(row)
  })
  if (known.length === 0) return undefined
  if (known.length < request.objects.length) {
    throw conflict('a request cannot mix objects that are already committed with new ones')
  }
  return known
}

/** What the first call answered, put together from the objects' shares. */
function correctionsOf(
  rows: readonly ObjectRow[],
): (place: number, tp: Uint8Array) => number | undefined {
  const shares = new Map<string, number>()
  for (const row of rows) {
    for (const { tp, nextOffset } of row.corrections) shares.set(describeTp(tp), nextOffset)
  }
  return (_, tp) => (shares.size === 0 ? undefined : shares.get(describeTp(tp)))
}

function putCorrections(
  out: ByteWriter,
  request: AddObjectsPart,
  nextOffsetOf: (place: number, tp: Uint8Array) => number | undefined,
): void {
  request.partitions.forEach(({ tp }, place) => {
    const nextOffset = nextOffsetOf(place, tp)
    if (nextOffset !== undefined) out.raw(tp).varint(nextOffset)
  })
}

function appendExtents(
  context: WriteContext,
  partition: AddPartition,
  row: PartitionRow,
  extents: readonly PlacedExtent[],
): void {
  appendTerms(context, partition, row)
  const { tp } = partition
  let { nextOffset, sizeBytes } = row
  for (const { extent, object } of extents) {
    context.rows.put(
      keys.extent(tp, extent.baseOffset),
      encodeExtent(scratch, { ...extent, objectId: object.id }),
    )
    nextOffset = extent.lastOffset + 1
    sizeBytes += extent.sizeBytes
  }
  putPartition(context, tp, {
    startOffset: row.startOffset,
    nextOffset,
    compactionEpoch: row.compactionEpoch,
    sizeBytes,
    extentCount: row.extentCount + extents.length,
  })
}

function appendTerms(context: WriteContext, { tp, terms }: AddPartition, row: PartitionRow): void {
  const known = context.view.cursor(keys.termPrefix(tp))
  known.seekLast()
  const first = terms[0]
  let from = 0
  if (known.valid) {
    const lastTerm = keyNumber(known.key())
    const { startOffset } = decodeTerm(known.key(), known.value())
    if (first.term < lastTerm) {
      throw conflict(`${describeTp(tp)} is at term ${lastTerm}; ${first.term} is older`)
    }
    if (row.extentCount > 0 && first.startOffset <= startOffset) {
      throw conflict(
        `term ${lastTerm} of ${describeTp(tp)} begins at ${startOffset}; a later one cannot ` +
          `begin at ${first.startOffset}`,
      )
    }
    // The term goes on: its old start stays.
    if (first.term === lastTerm) from = 1
  }
  for (let i = from; i < terms.length; i++) {
    context.rows.put(keys.term(tp, terms[i].term), encodeTerm(scratch, terms[i]))
  }
}

function committedRow(
  context: WriteContext,
  request: AddObjectsPart,
  object: ObjectPart,
  hash: readonly [number, number],
  corrected: ReadonlyMap<number, number>,
): ObjectRow {
  const row: ObjectRow = {
    state: OBJECT_STATE.committed,
    footerPosition: object.footerPosition,
    sizeBytes: object.sizeBytes,
    totalDataBytes: 0,
    removedDataBytes: 0,
    liveExtents: 0,
    updatedAt: context.now,
    contentHash: hash,
    corrections: [],
  }
  for (const extent of object.extents) {
    const nextOffset = corrected.get(extent.partition)
    row.totalDataBytes += extent.sizeBytes
    if (nextOffset === undefined) {
      row.liveExtents++
    } else {
      row.removedDataBytes += extent.sizeBytes
      row.corrections.push({ tp: request.partitions[extent.partition].tp, nextOffset })
    }
  }
  return row
}
