/**
 * Values of rows: 100 bytes of which the first four are the row's number, so that a reader knows
 * whose they are, and about half of the others are random: rows that LZ4 halves, as it does real
 * ones.
 */
import { putU32be } from '../src/codec/keys.ts'
import { Random } from './random.ts'

export const VALUE_BYTES = 100
const RANDOM_BYTES = 48
/** Values are made beforehand, so that taking one costs next to nothing. */
const VALUES = 4096

export class ValueMaker {
  readonly #values: Uint8Array[]

  constructor() {
    const random = new Random(7)
    this.#values = Array.from({ length: VALUES }, () => {
      const value = new Uint8Array(VALUE_BYTES)
      for (let i = 0; i < RANDOM_BYTES; i++) value[4 + i] = random.below(256)
      return value
    })
  }

  /** Borrowed until the next call. */
  of(row: number): Uint8Array {
    const value = this.#values[row % VALUES]
    putU32be(value, 0, row)
    return value
  }
}
