/** Rows of a caller's own: keys of 32 bytes, values of 100, spread over partitions. */
import { putU32be } from '../src/codec/keys.ts'
import type { Metastore, RecordStore, TopicPartition } from '../src/index.ts'
import type { Answers } from './answers.ts'
import { Random } from './random.ts'
import { partitionsByDomain } from './stores.ts'
import { VALUE_BYTES, ValueMaker } from './values.ts'

const KEY_BYTES = 32
export const ROW_BYTES: number = KEY_BYTES + VALUE_BYTES
const PARTITIONS_PER_DOMAIN = 8
export const BATCH_ROWS = 1000
const SAMPLE_ROWS = 1000

export class Records {
  readonly #store: RecordStore
  readonly #partitions: TopicPartition[] = partitionsByDomain(PARTITIONS_PER_DOMAIN).flat()
  readonly #values = new ValueMaker()

  constructor(metastore: Metastore) {
    this.#store = metastore.records('bench')
  }

  /** Rows of a batch are neighbours, and go to one partition. */
  #partitionOf(row: number): TopicPartition {
    return this.#partitions[Math.floor(row / BATCH_ROWS) % this.#partitions.length]
  }

  async put(row: number): Promise<void> {
    const topicPartition = this.#partitions[row % this.#partitions.length]
    await this.#store.put(topicPartition, recordKey(row), this.#values.of(row))
  }

  /** The i-th batch of 1000 rows. */
  async putBatch(i: number): Promise<void> {
    const first = i * BATCH_ROWS
    const operations = Array.from({ length: BATCH_ROWS }, (_, at) => ({
      type: 'put' as const,
      key: recordKey(first + at),
      value: this.#values.of(first + at).slice(),
    }))
    await this.#store.batch(this.#partitionOf(first), operations)
  }

  /** Reads some of the rows that put() has put, of numbers [from, to). */
  async checkPuts(from: number, to: number, answers: Answers): Promise<void> {
    await this.#check(from, to, answers, row => this.#partitions[row % this.#partitions.length])
  }

  /** Reads some of the rows of the first `batches` batches. */
  async checkBatches(batches: number, answers: Answers): Promise<void> {
    await this.#check(0, batches * BATCH_ROWS, answers, row => this.#partitionOf(row))
  }

  async #check(
    from: number,
    to: number,
    answers: Answers,
    partitionOf: (row: number) => TopicPartition,
  ): Promise<void> {
    const random = new Random(123_456_789)
    for (let i = 0; i < SAMPLE_ROWS; i++) {
      const row = from + random.below(to - from)
      const value = await this.#store.get(partitionOf(row), recordKey(row))
      const isEqual = value !== undefined && Buffer.compare(value, this.#values.of(row)) === 0
      answers.expect(isEqual ? row : -1, row)
    }
  }
}

/** Random to look at, so that rows come in no order, and different for every row. */
export function recordKey(row: number): Uint8Array {
  const key = new Uint8Array(KEY_BYTES)
  let word = row
  for (let at = 0; at < KEY_BYTES; at += 4) {
    word = Math.imul(word, 0x9e3779b1)
    word ^= word >>> 15
    putU32be(key, at, word)
  }
  return key
}
