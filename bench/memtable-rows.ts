/** The rows of the memtable bench: extent keys of 29 bytes, numbered round robin over partitions. */
import { getU32be, KeyBuilder, putU32be, TP_BYTES } from '../src/codec/keys.ts'
import { UUID_BYTES } from '../src/codec/uuid.ts'
import type { Memtable } from '../src/shared/memtable.ts'
import { MemtableCursor } from '../src/shared/memtable-cursor.ts'
import { SearchKey } from '../src/shared/skip-list.ts'
import { Answers } from './answers.ts'
import { Random } from './random.ts'
import { ValueMaker } from './values.ts'

const PARTITIONS_A_TOPIC = 10
/** From one extent's base offset to the next one's. */
const EXTENT_OFFSETS = 10
const READ_SEED = 2_463_534_242
const EVERYTHING: number = Number.MAX_SAFE_INTEGER

export type ReadKind = 'gets' | 'seeks'

export class MemtableRows {
  readonly #partitions: number
  readonly #tps: Uint8Array[] = []
  readonly #keys = new KeyBuilder()
  readonly #values = new ValueMaker()

  constructor(partitions: number) {
    this.#partitions = partitions
    const random = new Random(88_675_123)
    let topic = new Uint8Array(UUID_BYTES)
    for (let p = 0; p < partitions; p++) {
      if (p % PARTITIONS_A_TOPIC === 0) topic = topic.map(() => random.below(256))
      const tp = new Uint8Array(TP_BYTES)
      tp.set(topic)
      putU32be(tp, UUID_BYTES, p % PARTITIONS_A_TOPIC)
      this.#tps.push(tp)
    }
  }

  /** @param ahead offsets past the row's own. Borrowed until the next call. */
  #key(row: number, ahead = 0): Uint8Array {
    const partitions = this.#partitions
    const extent = Math.floor(row / partitions)
    return this.#keys.extent(this.#tps[row % partitions], extent * EXTENT_OFFSETS + ahead)
  }

  /** Inserts the rows of these numbers, with sequences from `firstSequence` on. */
  insert(memtable: Memtable, order: Uint32Array, firstSequence: number): void {
    for (let i = 0; i < order.length; i++) {
      const key = this.#key(order[i])
      const value = this.#values.of(order[i])
      const sequence = firstSequence + i
      if (!memtable.insert(key, 0, key.length, sequence, false, value, 0, value.length)) {
        throw new Error('the memtable is too small for the bench')
      }
    }
  }

  /** Reads random rows below `rows`, until `count` or until told to stop; values are checked. */
  read(
    memtable: Memtable,
    kind: ReadKind,
    rows: number,
    count: number,
    isStopped: () => boolean = () => false,
  ): Answers {
    const random = new Random(READ_SEED)
    const answers = new Answers()
    const readOne = kind === 'gets' ? this.#getter(memtable) : this.#seeker(memtable)
    for (let i = 0; i < count; i++) {
      const row = random.below(rows)
      answers.expect(readOne(row), row)
      if (i % 1000 === 0 && isStopped()) break
    }
    return answers
  }

  #getter(memtable: Memtable): (row: number) => number {
    const search = new SearchKey()
    return row => {
      const node = memtable.find(this.#key(row), EVERYTHING, search)
      return node === 0 ? -1 : getU32be(memtable.value(node), 0)
    }
  }

  /** As findByOffset seeks: the last extent that begins below an offset. */
  #seeker(memtable: Memtable): (row: number) => number {
    const cursor = new MemtableCursor(memtable, EVERYTHING)
    return row => {
      cursor.seekBefore(this.#key(row, EXTENT_OFFSETS / 2))
      return cursor.valid ? getU32be(cursor.value(), 0) : -1
    }
  }
}

export type InsertOrder = 'random' | 'partition' | 'round robin'

/** The numbers of `rows` rows in the order in which they are inserted. */
export function insertOrder(kind: InsertOrder, rows: number, partitions: number): Uint32Array {
  if (kind === 'random') return new Random(521_288_629).order(rows)
  const order = Uint32Array.from({ length: rows }, (_, i) => i)
  if (kind === 'round robin') return order
  const extents = rows / partitions
  return order.map(i => (i % extents) * partitions + Math.floor(i / extents))
}
