/**
 * What garbage collection changes in a domain's rows. Both steps look at each row once more: what
 * was committed since it was found is left alone, and a commit that comes later finds it changed.
 */
import type { ByteWriter } from '../../codec/bytes.ts'
import { encodeObject, OBJECT_STATE } from '../../codec/rows.ts'
import { isGarbage } from '../../shared/reads/object-reads.ts'
import { ObjectChanges } from './object-changes.ts'
import { keys, scratch, type WriteContext } from './write-context.ts'

/**
 * Preregistrations that were made at or before a time become garbage: nobody can commit them any
 * more. Answers varint how many.
 */
export function expireObjects(
  context: WriteContext,
  madeBy: number,
  ids: readonly Uint8Array[],
  out: ByteWriter,
): void {
  const changes = new ObjectChanges(context)
  let expired = 0
  for (const id of ids) {
    const row = changes.stored(id)
    if (row?.state !== OBJECT_STATE.preregistered || row.updatedAt > madeBy) continue
    const gone = { ...row, state: OBJECT_STATE.expired, updatedAt: context.now }
    context.rows.put(keys.object(id), encodeObject(scratch, gone))
    expired++
  }
  out.varint(expired)
}

/** Rows of garbage whose objects are gone from the bucket go as well. Answers varint how many. */
export function forgetObjects(
  context: WriteContext,
  ids: readonly Uint8Array[],
  out: ByteWriter,
): void {
  const changes = new ObjectChanges(context)
  let forgotten = 0
  for (const id of ids) {
    const row = changes.stored(id)
    if (row === undefined || !isGarbage(row)) continue
    context.rows.delete(keys.object(id))
    forgotten++
  }
  out.varint(forgotten)
}
