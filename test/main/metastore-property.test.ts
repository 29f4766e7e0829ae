/**
 * Goal: the real store, through rings, workers, log and tables, answers exactly as the plain model
 * in test/model does. Method: random sequences of operations are sent to both, many in flight, with
 * flushes, compactions, reopenings and restores from the bucket in between; every answer and, at
 * the end, an exhaustive set of reads is compared. Both kinds of read path run, and one with no
 * room to keep anything.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import { Metastore, type MetastoreOptions } from '../../src/index.ts'
import {
  type AbstractOperation,
  concretise,
  IDS_PER_OPERATION_MAX,
  operation,
  readCalls,
} from '../model/arbitraries.ts'
import { MetastoreModel } from '../model/metastore-model.ts'
import { type Call, callModel, callStore, type PlainOutcome } from '../model/outcome.ts'
import { ObjectIdPool, partitionNear } from '../model/universe.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const PARTITIONS = 3
/** More by the variable; `npm run test:long` sets it. */
const RUNS = Number(process.env.WAYMARK_PROPERTY_RUNS ?? 10)
const STEPS_MAX = 60
/** Calls sent before their answers are awaited. */
const BURST = 12

type Upheaval = { op: 'flush' } | { op: 'compact' } | { op: 'reopen' } | { op: 'restore' }
type Step = AbstractOperation | Upheaval

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 30, arbitrary: operation },
  { weight: 3, arbitrary: fc.constant<Upheaval>({ op: 'flush' }) },
  { weight: 1, arbitrary: fc.constant<Upheaval>({ op: 'compact' }) },
  { weight: 1, arbitrary: fc.constant<Upheaval>({ op: 'reopen' }) },
  { weight: 1, arbitrary: fc.constant<Upheaval>({ op: 'restore' }) },
)

const steps = fc.array(step, { minLength: 1, maxLength: STEPS_MAX, size: 'max' })

function isUpheaval(step: Step): step is Upheaval {
  return ['flush', 'compact', 'reopen', 'restore'].includes(step.op)
}

class Harness {
  readonly model: MetastoreModel
  readonly ids = new ObjectIdPool()
  readonly history: Call[] = []
  readonly #options: MetastoreOptions
  #directory: string
  #store: Metastore
  #pending: { call: Call; expected: PlainOutcome; actual: Promise<PlainOutcome> }[] = []

  private constructor(options: MetastoreOptions, directory: string, store: Metastore) {
    this.#options = options
    this.#directory = directory
    this.#store = store
    this.model = new MetastoreModel({
      partitions: PARTITIONS,
      now: Date.now,
      newId: randomUUID,
    })
  }

  static async open(variant: Partial<MetastoreOptions>): Promise<Harness> {
    const directory = await temporaryDirectory()
    const options: MetastoreOptions = {
      dataDir: directory,
      objectStore: `memory:${randomUUID()}`,
      partitions: PARTITIONS,
      workers: 2,
      durability: 'os',
      ...variant,
    }
    return new Harness(options, directory, await Metastore.open(options))
  }

  async run(step: Step): Promise<void> {
    if (isUpheaval(step)) {
      await this.settle()
      await this.#upheave(step)
      return
    }
    await this.#fillPool()
    const call = concretise(step, this.model, this.ids, this.history)
    this.history.push(call)
    this.send(call)
    if (this.#pending.length >= BURST) await this.settle()
  }

  send(call: Call): void {
    const expected = callModel(this.model, call)
    this.#pending.push({ call, expected, actual: callStore(this.#store, call) })
  }

  async settle(): Promise<void> {
    const pending = this.#pending
    this.#pending = []
    for (const { call, expected, actual } of pending) {
      assert.deepEqual(await actual, expected, `${call.method} ${JSON.stringify(call.args)}`)
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#pending.map(({ actual }) => actual))
    await this.#store.close()
    await rm(this.#directory, { recursive: true })
  }

  async #upheave({ op }: Upheaval): Promise<void> {
    if (op === 'flush') {
      await this.#store.flush()
      return
    }
    if (op === 'compact') {
      await this.#store.compact()
      return
    }
    if (op === 'restore') await this.#store.flush()
    const { clusterId } = this.#store
    await this.#store.close()
    if (op === 'reopen') {
      this.#store = await Metastore.open(this.#options)
      return
    }
    await rm(this.#directory, { recursive: true })
    this.#store = await Metastore.restore({ ...this.#options, from: { clusterId } })
  }

  async #fillPool(): Promise<void> {
    for (let domain = 0; domain < PARTITIONS; domain++) {
      if (this.ids.available(domain) >= IDS_PER_OPERATION_MAX) continue
      const near = partitionNear(domain, this.model)
      const ids = await this.#store.preregisterObjects(near, 4 * IDS_PER_OPERATION_MAX)
      this.model.adoptPreregistered(near, ids)
      this.ids.put(domain, ids)
    }
  }
}

const VARIANTS: Readonly<Record<string, Partial<MetastoreOptions>>> = {
  'reads on the calling thread': { readPath: 'auto' },
  'reads on the worker': { readPath: 'worker' },
  // Every read of a table is cold.
  'nothing kept': { blockCacheBytesMax: 0, tableMemoryBytesMax: 0, cacheBytesMax: 0 },
}

for (const [name, variant] of Object.entries(VARIANTS)) {
  test(`random operations answer as the model does, ${name}`, async () => {
    await fc.assert(
      fc.asyncProperty(steps, async sequence => {
        const harness = await Harness.open(variant)
        try {
          for (const each of sequence) await harness.run(each)
          for (const call of readCalls(harness.model)) harness.send(call)
          await harness.settle()
        } finally {
          await harness.close()
        }
      }),
      { numRuns: RUNS },
    )
  })
}
