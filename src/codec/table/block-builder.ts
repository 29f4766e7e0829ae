/**
 * Builds the raw bytes of one block after another in the same memory (docs/table-format.md):
 *
 *   entries x { varint shared | varint suffix length | varint 0 delete, else value length + 1 |
 *               varint sequence | suffix of the key | value } |
 *   restarts x u32 offset | u32 restart count
 */
import { ByteWriter } from '../bytes.ts'
import { ENTRY_HEAD_BYTES_MAX, RESTART_INTERVAL_ROWS } from './table-format.ts'

/** Below this many bytes a loop is quicker than a call of set() with its view. */
const LOOP_BYTES_MAX = 48

export class BlockBuilder {
  readonly #out = new ByteWriter(16384)
  readonly #restarts = new ByteWriter(256)
  rowCount = 0

  /** Of the block if it were finished now. */
  get sizeBytes(): number {
    return this.#out.length + this.#restarts.length + 4
  }

  /**
   * Adds the next entry; key and value are copied. `shared` is the number of bytes that the key has
   * in common with the one before, which may stand in the block before.
   */
  add(
    key: Uint8Array,
    shared: number,
    sequence: number,
    isDelete: boolean,
    value: Uint8Array,
  ): void {
    const out = this.#out
    let sharedHere = shared
    if (this.rowCount % RESTART_INTERVAL_ROWS === 0) {
      this.#restarts.u32(out.length)
      sharedHere = 0
    }
    out.reserve(ENTRY_HEAD_BYTES_MAX + key.length + value.length)
    out
      .varint(sharedHere)
      .varint(key.length - sharedHere)
      .varint(isDelete ? 0 : value.length + 1)
      .varint(sequence)
    this.#append(key, sharedHere)
    if (!isDelete) this.#append(value, 0)
    this.rowCount++
  }

  /** The whole block, to be called once a block; borrowed until reset(). */
  finish(): Uint8Array {
    const restarts = this.#restarts
    return this.#out
      .raw(restarts.view())
      .u32(restarts.length >>> 2)
      .view()
  }

  reset(): void {
    this.#out.reset()
    this.#restarts.reset()
    this.rowCount = 0
  }

  /** Room was made by add(). */
  #append(source: Uint8Array, from: number): void {
    const out = this.#out
    if (source.length - from > LOOP_BYTES_MAX) {
      out.bytes.set(from === 0 ? source : source.subarray(from), out.length)
      out.length += source.length - from
      return
    }
    const { bytes } = out
    let at = out.length
    for (let i = from; i < source.length; i++) bytes[at++] = source[i]
    out.length = at
  }
}
