/**
 * What a bucket takes and gives in a second, as a metastore uses it: tasks of the I/O pool, with the
 * stores, conditions and repetitions of production.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { manifestKey, tableKey } from '../../src/codec/bucket-layout.ts'
import type { TableDescription } from '../../src/codec/manifest.ts'
import { RowBatchBuilder } from '../../src/codec/row-batch.ts'
import { uuidBytes } from '../../src/codec/uuid.ts'
import { IoPool } from '../../src/main/io-pool.ts'
import { packBatches } from '../../src/shared/packed-batches.ts'
import { Answers } from '../answers.ts'
import { type BenchContext, sized } from '../bench-context.ts'
import type { BenchBucket } from '../buckets.ts'
import { callInFlight } from '../in-flight.ts'
import { Latencies } from '../latencies.ts'
import type { Case, Round } from '../measure.ts'
import { Random } from '../random.ts'
import { recordKey } from '../records.ts'
import { ValueMaker } from '../values.ts'

const MIB = 1024 * 1024
/** The default's most, and many. */
const THREADS = 2
const MANY_THREADS = 8
const WARM_UP_MS = 5000
/** How many tasks wait or run at a time. */
const IN_FLIGHT = 16
/** The object that ranges are fetched of, as large as tables get. */
const FETCHED_BYTES: number = 64 * MIB
const SMALL_FETCHED_BYTES: number = 2 * MIB
/** Of a manifest with some ten tables. */
const MANIFEST_BYTES = 2048
/** Of an interval with a hundred commits of a row each. */
const TAIL_BATCHES = 100

export async function runBucket(context: BenchContext): Promise<void> {
  const rates = await Promise.all(
    context.buckets.flatMap(bucket =>
      [THREADS, MANY_THREADS].map(threads => BucketRates.open(context, bucket, threads)),
    ),
  )
  try {
    const all = rates.map(one => one.cases())
    // Buckets are compared: case by case, they take turns.
    for (const i of all[0].keys()) await context.measure(...all.map(cases => cases[i]))
  } finally {
    for (const one of rates) await one.close()
  }
}

interface Ranges {
  name: string
  length: number
  count: number
}

class BucketRates {
  readonly #context: BenchContext
  readonly #name: string
  readonly #io: IoPool
  readonly #cacheDirectory: string
  readonly #table: TableDescription
  /** Random, so that nothing on the way makes them smaller. */
  readonly #body: Uint8Array
  readonly #words: Uint32Array

  private constructor(context: BenchContext, bucket: BenchBucket, threads: number) {
    this.#context = context
    this.#name = `${bucket.name}, ${threads} threads`
    const folder = `threads-${threads}`
    this.#io = new IoPool(bucket.location(folder), { min: threads, max: threads })
    this.#cacheDirectory = join(context.directory, `cache-${bucket.name}-${folder}`)
    const sizeBytes = sized(context, FETCHED_BYTES, SMALL_FETCHED_BYTES)
    this.#table = tableOf(sizeBytes)
    // Shared: it goes to a thread without a copy; tables are made where they are put.
    this.#words = new Uint32Array(new SharedArrayBuffer(sizeBytes))
    const random = new Random(7)
    for (let i = 0; i < this.#words.length; i++) this.#words[i] = random.below(2 ** 32)
    this.#body = new Uint8Array(this.#words.buffer)
  }

  static async open(
    context: BenchContext,
    bucket: BenchBucket,
    threads: number,
  ): Promise<BucketRates> {
    const rates = new BucketRates(context, bucket, threads)
    const key = tableKey(rates.#table)
    await rates.#io.run({ type: 'create', key, bytes: rates.#body })
    await rates.#warmUp(threads, key)
    return rates
  }

  /** Threads start, and load the SDK and connect, when they get their first tasks. */
  async #warmUp(threads: number, key: string): Promise<void> {
    const endsAt = performance.now() + sized(this.#context, WARM_UP_MS, 0)
    while (performance.now() < endsAt) {
      const asks = Array.from({ length: threads }, () =>
        this.#io.run({ type: 'sizes', keys: [key] }),
      )
      await Promise.all(asks)
    }
  }

  close(): Promise<void> {
    return this.#io.close()
  }

  cases(): Case[] {
    const { isSmall } = this.#context
    const large = isSmall ? 2 * MIB : 64 * MIB
    return [
      this.#puts('tables of 8 MiB', isSmall ? MIB : 8 * MIB, isSmall ? 2 : 16),
      this.#puts('tables of 64 MiB', large, isSmall ? 2 : 4),
      this.#puts('manifests of 2 KiB', MANIFEST_BYTES, isSmall ? 10 : 500),
      this.#tails(isSmall ? 10 : 500),
      this.#fetches({ name: 'ranges of 8 KiB', length: 8192, count: isSmall ? 20 : 2000 }),
      this.#fetches({ name: 'ranges of 512 KiB', length: 512 * 1024, count: isSmall ? 4 : 200 }),
    ]
  }

  #puts(what: string, sizeBytes: number, count: number): Case {
    const bytes = this.#body.subarray(0, sizeBytes)
    const domain = randomUUID()
    const keys = Array.from({ length: count }, (_, i) =>
      manifestKey({ domain, epoch: 1, version: i + 1 }),
    )
    return {
      ...{ workload: 'bucket', variant: `${this.#name}: put ${what}`, unit: 'objects' },
      operationBytes: sizeBytes,
      run: async () => {
        const answers = new Answers()
        const round = await this.#calls(count, answers, async i => {
          const put = await this.#io.run({ type: 'create', key: keys[i], bytes })
          answers.expect(Number(put === 'created'), 1)
        })
        for (const size of await this.#io.run({ type: 'sizes', keys })) {
          answers.expect(size ?? 0, sizeBytes)
        }
        return round
      },
      finish: async () => {
        await this.#io.run({ type: 'remove', keys })
      },
    }
  }

  /** Encoded on the thread, as they are. */
  #tails(count: number): Case {
    const batches = packBatches(rowBatches(TAIL_BATCHES))
    let domain: string
    return {
      ...{ workload: 'bucket', unit: 'objects', operationBytes: batches.length },
      variant: `${this.#name}: put tails of ${Math.round(batches.length / 1024)} KiB`,
      prepare: () => {
        domain = randomUUID()
      },
      run: () => {
        const answers = new Answers()
        return this.#calls(count, answers, async i => {
          const first = i * TAIL_BATCHES + 1
          const name = { domain, epoch: 1, first, last: first + TAIL_BATCHES - 1 }
          const task = {
            name,
            clusterId: domain,
            createdAt: i,
            batches,
            compression: 'lz4' as const,
          }
          answers.expect(Number((await this.#io.run({ type: 'putTail', ...task })) > 0), 1)
        })
      },
    }
  }

  #fetches({ name, length, count }: Ranges): Case {
    const cacheDirectory = this.#cacheDirectory
    const places = Math.floor(this.#body.length / length)
    return {
      ...{ workload: 'bucket', variant: `${this.#name}: fetch ${name}`, unit: 'ranges' },
      operationBytes: length,
      run: round => {
        const answers = new Answers()
        const random = new Random(round + 1)
        const offsets = Array.from({ length: count }, () => random.below(places) * length)
        return this.#calls(count, answers, async i => {
          const offset = offsets[i]
          const task = { table: this.#table, offset, length, cacheDirectory }
          const words = new Uint32Array(await this.#io.run({ type: 'fetchBlocks', ...task }))
          answers.expect(words[0], this.#words[offset / 4])
          answers.expect(words[words.length - 1], this.#words[offset / 4 + words.length - 1])
        })
      },
    }
  }

  async #calls(
    count: number,
    answers: Answers,
    call: (i: number) => Promise<void>,
  ): Promise<Round> {
    const latencies = new Latencies()
    const elapsedMs = await callInFlight(count, IN_FLIGHT, latencies, call)
    return { operations: count, elapsedMs, answers, latencies }
  }
}

function rowBatches(count: number): Uint8Array[] {
  const domain = uuidBytes(randomUUID())
  const [builder, values] = [new RowBatchBuilder(), new ValueMaker()]
  return Array.from({ length: count }, (_, row) => {
    builder.begin(domain, row + 1).put(recordKey(row), values.of(row))
    return builder.finish().slice()
  })
}

/** Only its name and size matter to who fetches of it. */
function tableOf(sizeBytes: number): TableDescription {
  return {
    ...{ domain: randomUUID(), epoch: 1, id: 1, level: 0, sizeBytes, checksum: '0'.repeat(16) },
    ...{ rows: 1, deletes: 0, smallestSequence: 1, greatestSequence: 1 },
    ...{ smallestKey: new Uint8Array(1), greatestKey: new Uint8Array(1) },
  }
}
