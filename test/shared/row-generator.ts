/**
 * Batches of rows that the writer and the reader make from one seed: what a memtable holds at a
 * sequence follows from the sequence alone.
 */
import { KeyBuilder, putU32be, putU64be } from '../../src/codec/keys.ts'
import { Random } from './random.ts'
import { topicPartition } from './row-keys.ts'

/** A row of a list of extents. */
export interface GeneratedRow {
  list: number
  offset: number
  sequence: number
  isDelete: boolean
}

const LISTS = 3000
const BATCH_ROWS_MAX = 40
const TOPIC = Uint8Array.from({ length: 16 }, (_, i) => i * 13)

/** What main gives the thread. */
export interface MemtableThreadData {
  memory: SharedArrayBuffer
  control: SharedArrayBuffer
  seed: number
  firstSequence: number
  lastSequence: number
}

export class RowGenerator {
  readonly #random: Random
  /** Offsets of each list in the order in which they came. */
  readonly #offsets: number[][] = Array.from({ length: LISTS }, () => [])
  readonly #greatest: number[] = new Array<number>(LISTS).fill(0)
  #sequence: number

  constructor(seed: number, firstSequence: number) {
    this.#random = new Random(seed)
    this.#sequence = firstSequence
  }

  /** The next batch: appends, rows in between, new versions and deletes, of each key one. */
  next(): GeneratedRow[] {
    const random = this.#random
    const sequence = this.#sequence++
    const rows: GeneratedRow[] = []
    const seen = new Set<number>()
    const count = 1 + random.below(BATCH_ROWS_MAX)
    for (let i = 0; i < count; i++) {
      const list = this.#drawList()
      const kind = random.below(10)
      const offset = this.#drawOffset(list, kind)
      const id = list * 2 ** 33 + offset
      if (seen.has(id)) continue
      seen.add(id)
      rows.push({ list, offset, sequence, isDelete: kind === 9 })
    }
    return rows
  }

  /** A few lists become long, many stay short. */
  #drawList(): number {
    const random = this.#random
    const kind = random.below(10)
    if (kind < 4) return random.below(3)
    if (kind < 8) return random.below(60)
    return random.below(LISTS)
  }

  #drawOffset(list: number, kind: number): number {
    const random = this.#random
    const known = this.#offsets[list]
    if (kind >= 7 && known.length > 0) return known[random.below(known.length)]
    // Greater than all before, or anywhere among them.
    const isAppend = kind < 4 || known.length === 0
    const greatest = this.#greatest[list]
    const offset = isAppend ? greatest + 1 + random.below(100) : random.below(greatest + 1)
    this.#greatest[list] = Math.max(greatest, offset)
    known.push(offset)
    return offset
  }
}

const keys = new KeyBuilder()
const tps: readonly Uint8Array[] = Array.from({ length: LISTS }, (_, i) =>
  topicPartition(TOPIC, Math.imul(i, 0x9e3779b1) >>> 1),
)

/** Borrowed until the next one. */
export function keyOf(list: number, offset: number): Uint8Array {
  return keys.extent(tps[list], offset)
}

/** Borrowed until the next one. */
export function prefixOf(list: number): Uint8Array {
  return keys.extentPrefix(tps[list])
}

const value = new Uint8Array(20 + 512)

/** Names its row and version, and is filled so that no part of it is that of another one. */
export function valueBytesOf({ list, offset, sequence, isDelete }: GeneratedRow): Uint8Array {
  if (isDelete) return value.subarray(0, 0)
  putU32be(value, 0, list)
  putU64be(value, 4, offset)
  putU64be(value, 12, sequence)
  const mixed = Math.imul(offset + list * 31 + sequence, 0x9e3779b1) >>> 0
  // Most are short; some are past the length where copying is done in another way.
  const length = 20 + (mixed % 50 === 0 ? 300 + (mixed % 200) : mixed % 30)
  for (let at = 20; at < length; at++) value[at] = mixed >>> (at & 7)
  return value.subarray(0, length)
}
