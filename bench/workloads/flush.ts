/**
 * Rows on their way: from the log into memtables when a store is opened again, from memtables into
 * tables, from tables into tables of the deepest level.
 */
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Metastore, MetastoreOptions } from '../../src/index.ts'
import { Answers } from '../answers.ts'
import type { BenchContext } from '../bench-context.ts'
import { callInFlight } from '../in-flight.ts'
import { Latencies } from '../latencies.ts'
import type { Round } from '../measure.ts'
import { BATCH_ROWS, Records, ROW_BYTES } from '../records.ts'
import { openStore } from '../stores.ts'
import { buildBench } from './build-tables.ts'

const LOAD_IN_FLIGHT = 8
/** One job at a time, so that what is measured is one thread's. */
const ONE_THREAD = { ioThreads: { min: 1, max: 1 } } as const
/** So small that loading makes many tables of level 0. */
const SMALL_MEMTABLE_BYTES: number = 4 * 1024 * 1024
const UNIT = { unit: 'rows', operationBytes: ROW_BYTES } as const

export async function runFlush(context: BenchContext): Promise<void> {
  const batches = Math.ceil(context.rows / BATCH_ROWS)
  if (context.wants('flush')) await buildBench(context, batches * BATCH_ROWS)
  const stages = new Stages(context, batches)
  if (context.wants('recover') || context.wants('flush')) await stages.recoverAndFlush()
  if (context.wants('compact')) await stages.compact()
}

class Stages {
  readonly #context: BenchContext
  readonly #batches: number
  readonly #filled: string
  readonly #folder: string

  constructor(context: BenchContext, batches: number) {
    this.#context = context
    this.#batches = batches
    this.#filled = join(context.directory, 'filled')
    this.#folder = join(context.directory, 'round')
  }

  /**
   * close() flushes nothing, so opening brings all rows back from the log, as after a crash. Each
   * round has a copy of the store.
   */
  async recoverAndFlush(): Promise<void> {
    const filled = await openStore(this.#filled, { durability: 'os' })
    await this.#load(filled)
    await filled.close()
    let store: Metastore
    const prepare = (): Promise<void> => cp(this.#filled, this.#folder, { recursive: true })
    const finish = (): Promise<void> => this.#end(store)
    if (this.#context.wants('recover')) {
      await this.#context.measure({
        ...{ ...UNIT, workload: 'recover', variant: 'open with all rows in the log' },
        ...{ prepare, finish },
        run: () =>
          this.#timed(async () => {
            store = await openStore(this.#folder, {})
            return store
          }),
      })
    }
    if (!this.#context.wants('flush')) return
    for (const [variant, options] of [
      ['8 domains into a directory, one I/O thread', ONE_THREAD],
      ['8 domains into a directory, two I/O threads', {}],
    ] as const) {
      await this.#context.measure({
        ...{ ...UNIT, workload: 'flush', variant, finish },
        prepare: async () => {
          await prepare()
          store = await openStore(this.#folder, options)
        },
        run: () =>
          this.#timed(async () => {
            await store.flush()
            return store
          }),
      })
    }
  }

  async compact(): Promise<void> {
    // Blocks are counted where the worker reads, so reads are to be its own.
    const loading: Partial<MetastoreOptions> = {
      readPath: 'worker',
      ...{ durability: 'os', memtableBytesMax: SMALL_MEMTABLE_BYTES },
    }
    let store: Metastore
    await this.#context.measure({
      ...{ ...UNIT, workload: 'compact', variant: 'load, flushing and compacting all the while' },
      prepare: async () => {
        store = await openStore(this.#folder, loading)
      },
      run: async () => {
        const round = await this.#timed(async () => {
          await this.#load(store)
          await store.flush()
          return store
        })
        return { ...round, details: await amplification(store, this.#batches) }
      },
      finish: () => this.#end(store),
    })
    await this.#context.measure({
      ...{ ...UNIT, workload: 'compact', variant: 'compact() after that, one I/O thread' },
      prepare: async () => {
        store = await openStore(this.#folder, loading)
        await this.#load(store)
        await store.close()
        store = await openStore(this.#folder, { ...loading, ...ONE_THREAD })
      },
      run: async () => {
        const { compactedBytes: before } = (await store.status()).storage
        const round = await this.#timed(async () => {
          await store.compact()
          return store
        })
        const { compactedBytes } = (await store.status()).storage
        const written = (compactedBytes - before) / 1e6 / (round.elapsedMs / 1000)
        const { 'blocks a get': blocks } = await amplification(store, this.#batches)
        return { ...round, details: { 'MB/s of tables': written, 'blocks a get': blocks } }
      },
      finish: () => this.#end(store),
    })
  }

  async #load(store: Metastore): Promise<void> {
    const records = new Records(store)
    await callInFlight(this.#batches, LOAD_IN_FLIGHT, new Latencies(), i => records.putBatch(i))
  }

  async #end(store: Metastore): Promise<void> {
    await store.close()
    await rm(this.#folder, { recursive: true })
  }

  /** Times a stage; afterwards the rows must be there. */
  async #timed(stage: () => Promise<Metastore>): Promise<Round> {
    const startedAt = performance.now()
    const store = await stage()
    const elapsedMs = performance.now() - startedAt
    const answers = new Answers()
    await new Records(store).checkBatches(this.#batches, answers)
    return { operations: this.#batches * BATCH_ROWS, elapsedMs, answers }
  }
}

/** What of the rows went into the bucket, and how many blocks a get looks into. */
async function amplification(store: Metastore, batches: number): Promise<Record<string, number>> {
  const { rowBytes, flushedBytes, compactedBytes, ...before } = (await store.status()).storage
  const answers = new Answers()
  await new Records(store).checkBatches(batches, answers)
  const { blockHits, blockMisses } = (await store.status()).storage
  const blocks = blockHits + blockMisses - before.blockHits - before.blockMisses
  return {
    'write amplification': (flushedBytes + compactedBytes) / rowBytes,
    'blocks a get': blocks / answers.checked,
  }
}
