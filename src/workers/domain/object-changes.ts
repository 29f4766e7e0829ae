/** The object rows that one batch changes: read once, changed many times, written once. */
import { conflict, invalidRequest } from '../../codec/errors.ts'
import { decodeObject, encodeObject, OBJECT_STATE, type ObjectRow } from '../../codec/rows.ts'
import { formatUuid } from '../../codec/uuid.ts'
import { objectOf } from '../../shared/reads/read.ts'
import { keys, scratch, type WriteContext } from './write-context.ts'

export class ObjectChanges {
  readonly #context: WriteContext
  readonly #changed = new Map<string, { id: Uint8Array; row: ObjectRow }>()

  constructor(context: WriteContext) {
    this.#context = context
  }

  /** The row as the view has it; undefined when there is none. */
  stored(id: Uint8Array): ObjectRow | undefined {
    const key = keys.object(id)
    const value = this.#context.view.get(key)
    return value === undefined ? undefined : decodeObject(key, value)
  }

  /** @throws CONFLICT unless `id` is preregistered and not yet committed */
  expectPreregistered(id: Uint8Array): void {
    const row = this.stored(id)
    if (row === undefined) throw conflict(`object ${formatUuid(id)} is not preregistered here`)
    if (row.state === OBJECT_STATE.expired) {
      throw conflict(`the preregistration of object ${formatUuid(id)} has expired`)
    }
    if (row.state === OBJECT_STATE.committed) {
      throw conflict(`object ${formatUuid(id)} is already committed`)
    }
  }

  /** @throws INVALID_REQUEST when the object's extents are too many bytes to count */
  set(id: Uint8Array, row: ObjectRow): void {
    if (row.totalDataBytes > Number.MAX_SAFE_INTEGER) {
      throw invalidRequest(`the extents of object ${formatUuid(id)} are more than 2^53 - 1 bytes`)
    }
    this.#changed.set(idText(id), { id, row })
  }

  /** One extent of an object goes. @throws CORRUPTION when the object has no row */
  removeExtent(id: Uint8Array, sizeBytes: number): void {
    const text = idText(id)
    let change = this.#changed.get(text)
    if (change === undefined) {
      change = { id: id.slice(), row: objectOf(this.#context.view, id) }
      this.#changed.set(text, change)
    }
    change.row.removedDataBytes += sizeBytes
    change.row.liveExtents -= 1
    change.row.updatedAt = this.#context.now
  }

  /** Appends the changed rows to the batch. */
  write(): void {
    for (const { id, row } of this.#changed.values()) {
      this.#context.rows.put(keys.object(id), encodeObject(scratch, row))
    }
  }
}

function idText(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1')
}
