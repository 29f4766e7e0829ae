/**
 * Least and greatest timestamp of each block, two f64 a block (docs/table-format.md). A block
 * without a timestamp holds the empty range, +Infinity to -Infinity.
 */
import { ByteWriter } from '../bytes.ts'
import { corruption } from '../errors.ts'
import { TIMESTAMPS_LINE_BYTES } from './table-format.ts'

/** Both inclusive, in milliseconds since the epoch. */
export interface TimestampBounds {
  readonly least: number
  readonly greatest: number
}

export class TimestampBoundsBuilder {
  readonly #out = new ByteWriter(1024)
  #least = Infinity
  #greatest = -Infinity

  get sizeBytes(): number {
    return this.#out.length
  }

  /** Adds the timestamp of a row of the current block; a safe integer. */
  add(timestamp: number): void {
    if (timestamp < this.#least) this.#least = timestamp
    if (timestamp > this.#greatest) this.#greatest = timestamp
  }

  finishBlock(): void {
    const line = new DataView(new ArrayBuffer(TIMESTAMPS_LINE_BYTES))
    line.setFloat64(0, this.#least, true)
    line.setFloat64(8, this.#greatest, true)
    this.#out.raw(new Uint8Array(line.buffer))
    this.#least = Infinity
    this.#greatest = -Infinity
  }

  /** A view; valid until the next block is finished. */
  finish(): Uint8Array {
    return this.#out.view()
  }
}

/**
 * Decodes the section into pairs of least and greatest, two numbers a block.
 * @throws CORRUPTION when it is not that of `blockCount` blocks.
 */
export function decodeTimestampBounds(section: Uint8Array, blockCount: number): Float64Array {
  if (section.length !== blockCount * TIMESTAMPS_LINE_BYTES) {
    throw corruption(`timestamps of ${blockCount} blocks in ${section.length} bytes`)
  }
  const view = new DataView(section.buffer, section.byteOffset, section.length)
  const pairs = new Float64Array(blockCount * 2)
  for (let i = 0; i < pairs.length; i++) pairs[i] = view.getFloat64(i * 8, true)
  for (let i = 0; i < pairs.length; i += 2) {
    if (!isBounds(pairs[i], pairs[i + 1])) {
      throw corruption(`timestamps from ${pairs[i]} to ${pairs[i + 1]} in block ${i / 2}`)
    }
  }
  return pairs
}

function isBounds(least: number, greatest: number): boolean {
  if (least === Infinity) return greatest === -Infinity
  return Number.isSafeInteger(least) && Number.isSafeInteger(greatest) && least <= greatest
}
