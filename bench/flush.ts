/**
 * Rows on their way: in batches into log and memtables, from the log into memtables when a store is
 * opened again, from memtables into tables. The three stages share one folder a round.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Metastore } from '../src/index.ts'
import { Answers } from './answers.ts'
import { type BenchContext, sized } from './bench-context.ts'
import { buildBench } from './build-tables.ts'
import { callInFlight } from './in-flight.ts'
import { Latencies } from './latencies.ts'
import type { Round } from './measure.ts'
import { BATCH_ROWS, Records, ROW_BYTES } from './records.ts'
import { openStore } from './stores.ts'

/** Enough to keep log and workers busy. */
const LOAD_IN_FLIGHT = 8

export async function runFlush(context: BenchContext): Promise<void> {
  const batches = sized(context, 1000, 8)
  await buildBench(context, batches * BATCH_ROWS)
  const stages = new Stages(context, batches)
  await stages.load()
  await stages.recover()
  await stages.flush()
}

class Stages {
  readonly #context: BenchContext
  readonly #batches: number
  #store: Metastore | undefined

  constructor(context: BenchContext, batches: number) {
    this.#context = context
    this.#batches = batches
  }

  load(): Promise<void> {
    return this.#context.measure({
      ...{ workload: 'load', variant: `batches of ${BATCH_ROWS}, os` },
      ...{ unit: 'rows', operationBytes: ROW_BYTES },
      prepare: async round => {
        await this.#open(round)
      },
      run: () =>
        this.#timed(async () => {
          const records = new Records(this.#opened)
          await callInFlight(this.#batches, LOAD_IN_FLIGHT, new Latencies(), i =>
            records.putBatch(i),
          )
        }),
      finish: () => this.#opened.close(),
    })
  }

  /** close() flushes nothing, so opening brings all rows back from the log, as after a crash. */
  recover(): Promise<void> {
    return this.#context.measure({
      ...{ workload: 'recover', variant: 'open with all rows in the log' },
      ...{ unit: 'rows', operationBytes: ROW_BYTES },
      run: round => this.#timed(() => this.#open(round)),
      finish: () => this.#opened.close(),
    })
  }

  flush(): Promise<void> {
    return this.#context.measure({
      ...{ workload: 'flush', variant: 'memtables to tables in a directory' },
      ...{ unit: 'rows', operationBytes: ROW_BYTES },
      prepare: async round => {
        await this.#open(round)
      },
      run: () => this.#timed(() => this.#opened.flush()),
      finish: async round => {
        await this.#opened.close()
        await rm(this.#folder(round), { recursive: true })
      },
    })
  }

  get #opened(): Metastore {
    if (this.#store === undefined) throw new Error('the store is not open')
    return this.#store
  }

  #folder(round: number): string {
    return join(this.#context.directory, `flush-${round}`)
  }

  async #open(round: number): Promise<void> {
    this.#store = await openStore(this.#folder(round), { durability: 'os' })
  }

  /** Times a stage; afterwards the rows must be there. */
  async #timed(stage: () => Promise<void>): Promise<Round> {
    const startedAt = performance.now()
    await stage()
    const elapsedMs = performance.now() - startedAt
    const answers = new Answers()
    await new Records(this.#opened).checkBatches(this.#batches, answers)
    return { operations: this.#batches * BATCH_ROWS, elapsedMs, answers }
  }
}
