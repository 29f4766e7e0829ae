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
const SAMPLE_SEED = 123_456_789

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
    // A copy: in a cluster a put may have to be sent once more.
    await this.#store.put(topicPartition, recordKey(row), this.#values.of(row).slice())
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
  async checkPuts(
    from: number,
    to: number,
    answers: Answers,
    count: number = SAMPLE_ROWS,
  ): Promise<void> {
    const random = new Random(SAMPLE_SEED)
    for (let i = 0; i < count; i++) {
      const row = from + random.below(to - from)
      await this.#check(this.#partitions[row % this.#partitions.length], row, answers)
    }
  }

  /** Reads some of the rows of the first `batches` batches. */
  async checkBatches(batches: number, answers: Answers): Promise<void> {
    const random = new Random(SAMPLE_SEED)
    for (let i = 0; i < SAMPLE_ROWS; i++) {
      await this.checkBatchRow(random.below(batches * BATCH_ROWS), answers)
    }
  }

  /** Reads a row that putBatch() has put. */
  async checkBatchRow(row: number, answers: Answers): Promise<void> {
    await this.#check(this.#partitionOf(row), row, answers)
  }

  async #check(topicPartition: TopicPartition, row: number, answers: Answers): Promise<void> {
    const value = await this.#store.get(topicPartition, recordKey(row))
    const isEqual = value !== undefined && Buffer.compare(value, this.#values.of(row)) === 0
    answers.expect(isEqual ? row : -1, row)
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
