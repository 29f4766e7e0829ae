/**
 * Bloom filters over byte strings: u32 probe count, then the bits, bit i being bit i % 8 of byte
 * i >> 3 (docs/table-format.md). Two hashes make all the probes of a key (Kirsch and Mitzenmacher,
 * "Less Hashing, Same Performance"). A filter without keys has no bits and holds nothing.
 */
import { getU32, putU32 } from '../bytes.ts'
import { corruption } from '../errors.ts'
import { hash32 } from '../hash.ts'
import {
  FILTER_BITS_PER_KEY,
  FILTER_PROBES,
  FILTER_PROBES_MAX,
  FILTER_SEEDS,
} from './table-format.ts'

const HEAD_BYTES = 4
const BITS_MIN = 64
const [SEED_FIRST, SEED_STEP] = FILTER_SEEDS

/** Collects hashes, eight bytes a key, because the size of the filter is known only at the end. */
export class BloomFilterBuilder {
  #hashes: Uint32Array = new Uint32Array(1024)
  #used = 0

  get keyCount(): number {
    return this.#used >>> 1
  }

  /** Size of the section that finish() would make. */
  get sizeBytes(): number {
    return HEAD_BYTES + bitBytes(this.keyCount)
  }

  /** Adds bytes [0, length) of `key`. Adding one twice costs its bits twice and harms nothing. */
  add(key: Uint8Array, length: number): void {
    if (this.#used === this.#hashes.length) this.#grow()
    this.#hashes[this.#used++] = hash32(key, 0, length, SEED_FIRST)
    this.#hashes[this.#used++] = hash32(key, 0, length, SEED_STEP)
  }

  finish(): Uint8Array {
    const section = new Uint8Array(this.sizeBytes)
    putU32(section, 0, FILTER_PROBES)
    const bitCount = (section.length - HEAD_BYTES) * 8
    for (let i = 0; i < this.#used; i += 2) {
      let hash = this.#hashes[i]
      const step = this.#hashes[i + 1]
      for (let probe = 0; probe < FILTER_PROBES; probe++) {
        const bit = hash % bitCount
        section[HEAD_BYTES + (bit >>> 3)] |= 1 << (bit & 7)
        hash = (hash + step) >>> 0
      }
    }
    return section
  }

  #grow(): void {
    const grown = new Uint32Array(this.#hashes.length * 2)
    grown.set(this.#hashes)
    this.#hashes = grown
  }
}

export class BloomFilter {
  readonly #section: Uint8Array
  readonly #probes: number

  /**
   * Takes over `section`.
   * @throws CORRUPTION when it is not a filter.
   */
  constructor(section: Uint8Array) {
    const probes = section.length < HEAD_BYTES ? 0 : getU32(section, 0)
    if (probes < 1 || probes > FILTER_PROBES_MAX) {
      throw corruption(`a filter of ${section.length} bytes asks for ${probes} probes`)
    }
    this.#section = section
    this.#probes = probes
  }

  get memoryBytes(): number {
    return this.#section.length
  }

  /** What it was made of. */
  get section(): Uint8Array {
    return this.#section
  }

  /** False: never added. True: added, or by chance (about one key in a hundred). */
  mayContain(key: Uint8Array): boolean {
    const section = this.#section
    const bitCount = (section.length - HEAD_BYTES) * 8
    if (bitCount === 0) return false
    let hash = hash32(key, 0, key.length, SEED_FIRST)
    const step = hash32(key, 0, key.length, SEED_STEP)
    for (let probe = 0; probe < this.#probes; probe++) {
      const bit = hash % bitCount
      if ((section[HEAD_BYTES + (bit >>> 3)] & (1 << (bit & 7))) === 0) return false
      hash = (hash + step) >>> 0
    }
    return true
  }
}

function bitBytes(keyCount: number): number {
  if (keyCount === 0) return 0
  return Math.ceil(Math.max(keyCount * FILTER_BITS_PER_KEY, BITS_MIN) / 8)
}
