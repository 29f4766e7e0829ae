/**
 * Values of rows: 100 bytes of which the first four are the row's number, so that a reader knows
 * whose they are, and about half of the others are random: rows that LZ4 halves, as it does real
 * ones.
 */
import { putU32be } from '../src/codec/keys.ts'
import { Random } from './random.ts'

export const VALUE_BYTES = 100
const RANDOM_BYTES = 48
/** Random bytes are cut from here, so that making a value costs next to nothing. */
const POOL_BYTES = 65_536

export class ValueMaker {
  readonly #pool: Uint8Array
  readonly #value = new Uint8Array(VALUE_BYTES)

  constructor() {
    const random = new Random(7)
    this.#pool = Uint8Array.from({ length: POOL_BYTES + RANDOM_BYTES }, () => random.below(256))
  }

  /** Borrowed until the next call. */
  of(row: number): Uint8Array {
    const value = this.#value
    const pool = this.#pool
    const from = Math.imul(row, 0x9e3779b1) >>> 16
    putU32be(value, 0, row)
    for (let i = 0; i < RANDOM_BYTES; i++) value[4 + i] = pool[from + i]
    return value
  }
}
