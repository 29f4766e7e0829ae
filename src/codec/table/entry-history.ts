/**
 * The entries from a restart up to where a cursor stands, so that steps back need not decode the
 * keys between again. At most one restart interval.
 */
import { RESTART_INTERVAL_ROWS } from './table-format.ts'

export class EntryHistory {
  /** Entries kept. */
  count = 0
  /** The keys, one after another; the key of the entry stepped to begins at keyStart. */
  bytes: Uint8Array = new Uint8Array(1024)
  readonly #starts = new Uint32Array(RESTART_INTERVAL_ROWS)
  readonly #keyEnds = new Uint32Array(RESTART_INTERVAL_ROWS)

  clear(): void {
    this.count = 0
  }

  /** Adds the entry that begins at `start`; its key is copied. */
  add(start: number, key: Uint8Array, keyLength: number): void {
    const keyStart = this.count === 0 ? 0 : this.#keyEnds[this.count - 1]
    const keyEnd = keyStart + keyLength
    if (keyEnd > this.bytes.length) {
      const grown = new Uint8Array(Math.max(keyEnd, this.bytes.length * 2))
      grown.set(this.bytes)
      this.bytes = grown
    }
    const { bytes } = this
    for (let i = 0; i < keyLength; i++) bytes[keyStart + i] = key[i]
    this.#starts[this.count] = start
    this.#keyEnds[this.count] = keyEnd
    this.count++
  }

  /** Forgets the last entry; the one before becomes the last. False when there is none. */
  stepBack(): boolean {
    if (this.count < 2) return false
    this.count--
    return true
  }

  /** Where the last entry begins in its block. */
  get start(): number {
    return this.#starts[this.count - 1]
  }

  get keyStart(): number {
    return this.count === 1 ? 0 : this.#keyEnds[this.count - 2]
  }

  get keyLength(): number {
    return this.#keyEnds[this.count - 1] - this.keyStart
  }
}
