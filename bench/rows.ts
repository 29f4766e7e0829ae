/**
 * The rows that all stores are given: keys of 32 bytes, values of 100. A key is a topic (16 bytes),
 * a partition (4), the last offset of an extent (8) and zeros; so the first key at or after an
 * offset is that of the extent with this offset. Row numbers are in key order.
 */
import { putU32be, putU64be } from '../src/codec/keys.ts'
import { Random } from './random.ts'
import { VALUE_BYTES, ValueMaker } from './values.ts'

const KEY_BYTES = 32
const TOPIC_BYTES = 16
const OFFSET_AT = 20
export const ROW_BYTES: number = KEY_BYTES + VALUE_BYTES
const PARTITIONS_A_TOPIC = 10
const ROWS_A_PARTITION = 1000
const EXTENT_OFFSETS = 100

/** Random: as if from everywhere. Partition: one partition's rows after the other's. */
export const ROW_ORDERS = ['random', 'partition'] as const
export type RowOrder = (typeof ROW_ORDERS)[number]

export interface Row {
  key: Buffer
  value: Buffer
}

export class Rows {
  readonly count: number
  /** All keys and all values, one after the other: a row of it is a view, not made anew. */
  readonly #keys: Buffer
  readonly #values: Buffer

  constructor(count: number) {
    this.count = count
    this.#keys = Buffer.alloc(count * KEY_BYTES)
    this.#values = Buffer.alloc(count * VALUE_BYTES)
    const values = new ValueMaker()
    const topics = sortedTopics(Math.ceil(count / ROWS_A_PARTITION / PARTITIONS_A_TOPIC))
    for (let row = 0; row < count; row++) {
      const partition = Math.floor(row / ROWS_A_PARTITION)
      const at = row * KEY_BYTES
      this.#keys.set(topics[Math.floor(partition / PARTITIONS_A_TOPIC)], at)
      putU32be(this.#keys, at + TOPIC_BYTES, partition % PARTITIONS_A_TOPIC)
      putU64be(this.#keys, at + OFFSET_AT, lastOffset(row))
      this.#values.set(values.of(row), row * VALUE_BYTES)
    }
  }

  /** A view. */
  key(row: number): Buffer {
    return this.#keys.subarray(row * KEY_BYTES, (row + 1) * KEY_BYTES)
  }

  /** A view. Its first four bytes are the row's number. */
  value(row: number): Buffer {
    return this.#values.subarray(row * VALUE_BYTES, (row + 1) * VALUE_BYTES)
  }

  row(row: number): Row {
    return { key: this.key(row), value: this.value(row) }
  }

  /** A key that no row has, before the key of `row` and after the one before. */
  keyBefore(row: number, offsets: number): Buffer {
    const key = Buffer.from(this.key(row))
    putU64be(key, OFFSET_AT, lastOffset(row) - offsets)
    return key
  }

  /** Row numbers in the order in which they are to be loaded. */
  order(order: RowOrder): Uint32Array {
    if (order === 'random') return new Random(521_288_629).order(this.count)
    return Uint32Array.from({ length: this.count }, (_, row) => row)
  }
}

function lastOffset(row: number): number {
  return (row % ROWS_A_PARTITION) * EXTENT_OFFSETS + EXTENT_OFFSETS - 1
}

function sortedTopics(count: number): Buffer[] {
  const random = new Random(88_675_123)
  const topics = Array.from({ length: count }, () =>
    Buffer.from(Uint8Array.from({ length: TOPIC_BYTES }, () => random.below(256))),
  )
  return topics.sort(Buffer.compare)
}
