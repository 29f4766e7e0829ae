/** preregisterObjects: fresh random ids, a row each, so that a dead uploader's object is known. */
import type { ByteWriter } from '../../codec/bytes.ts'
import { encodeObject, OBJECT_STATE, type ObjectRow } from '../../codec/rows.ts'
import { UUID_BYTES } from '../../codec/uuid.ts'
import { keys, scratch, type WriteContext } from './write-context.ts'

/** Answers 16 id each. */
export function preregisterObjects(context: WriteContext, count: number, out: ByteWriter): void {
  const row: ObjectRow = {
    state: OBJECT_STATE.preregistered,
    footerPosition: 0,
    sizeBytes: 0,
    totalDataBytes: 0,
    removedDataBytes: 0,
    liveExtents: 0,
    updatedAt: context.now,
    contentHash: [0, 0],
    corrections: [],
  }
  const id = new Uint8Array(UUID_BYTES)
  for (let i = 0; i < count; i++) {
    context.newId(id)
    context.rows.put(keys.object(id), encodeObject(scratch, row))
    out.raw(id)
  }
}
