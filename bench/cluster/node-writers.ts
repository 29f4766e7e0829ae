/**
 * Writers that never rest: one for each of some metastore partitions, each with one put under way.
 * A put that was refused or lost is made again, so they tell how long nobody took anything.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Metastore, MetastoreError, type TopicPartition } from '../../src/index.ts'
import { Answers } from '../answers.ts'
import { recordKey } from '../records.ts'
import { partitionsByDomain } from '../stores.ts'
import { ValueMaker } from '../values.ts'
import type { Share } from './node-loads.ts'
import type { WritingReport } from './node-requests.ts'

/** Rows of the writers are numbered from here on: a range a node, and in it one a partition. */
const ROWS_FROM: number = 2 ** 31
const ROWS_A_NODE: number = 2 ** 28
const ROWS_A_PARTITION: number = 2 ** 22
/** Between a refusal and the next try. */
const RETRY_MS = 2
/** Of a writer's newest rows, so many are read in the end. */
const CHECKED_ROWS = 50

interface Writer {
  topicPartition: TopicPartition
  firstRow: number
  endRow: number
  /** When the first row that was put after `since` was acknowledged. */
  done: Promise<number>
}

export class NodeWriters {
  readonly #store: Metastore
  readonly #share: Share
  readonly #values = new ValueMaker()
  /** By metastore partition: rows that earlier writers have put are not put again. */
  readonly #endRows = new Map<number, number>()
  #writers: Writer[] = []
  /** Milliseconds since the epoch; not known before end() says it. */
  #since = Number.POSITIVE_INFINITY

  constructor(store: Metastore, share: Share) {
    this.#store = store
    this.#share = share
  }

  begin(partitions: readonly number[]): void {
    this.#since = Number.POSITIVE_INFINITY
    const places = partitionsByDomain(1)
    this.#writers = partitions.map(partition => {
      const first = ROWS_FROM + this.#share.index * ROWS_A_NODE + partition * ROWS_A_PARTITION
      const firstRow = this.#endRows.get(partition) ?? first
      const [topicPartition] = places[partition]
      const writer = { topicPartition, firstRow, endRow: firstRow, done: Promise.resolve(0) }
      writer.done = this.#write(writer, partition)
      return writer
    })
  }

  async end(since: number): Promise<WritingReport> {
    this.#since = since
    const acknowledgedAt = await Promise.all(this.#writers.map(({ done }) => done))
    const answers = new Answers()
    for (const writer of this.#writers) await this.#check(writer, answers)
    return { acknowledgedAt, checked: answers.checked, hash: answers.hash }
  }

  async #write(writer: Writer, partition: number): Promise<number> {
    for (;;) {
      const begunAt = now()
      if (!(await this.#put(writer))) {
        await sleep(RETRY_MS)
        continue
      }
      this.#endRows.set(partition, ++writer.endRow)
      if (begunAt > this.#since) return now()
    }
  }

  /** @returns false when it is to be put again */
  async #put({ topicPartition, endRow }: Writer): Promise<boolean> {
    const value = this.#values.of(endRow).slice()
    try {
      await this.#store.records('bench').put(topicPartition, recordKey(endRow), value)
      return true
    } catch (error) {
      if (!(error instanceof MetastoreError)) throw error
      if (error.code === 'UNAVAILABLE' || error.code === 'INDETERMINATE') return false
      throw error
    }
  }

  async #check({ topicPartition, firstRow, endRow }: Writer, answers: Answers): Promise<void> {
    for (let row = Math.max(firstRow, endRow - CHECKED_ROWS); row < endRow; row++) {
      const value = await this.#store.records('bench').get(topicPartition, recordKey(row))
      const isEqual = value !== undefined && Buffer.compare(value, this.#values.of(row)) === 0
      answers.expect(isEqual ? row : -1, row)
    }
  }
}

function now(): number {
  return performance.timeOrigin + performance.now()
}
