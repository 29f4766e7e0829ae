/**
 * Goal: a replica of a bucket that has everything answers as the plain model in test/model does,
 * whatever it has seen of the way there. Method: random sequences of writes to a live metastore, with
 * flushes, compactions, tail objects that come, come late or twice over from another leader,
 * refreshes and new replicas in between; at the end, and now and then, all is shipped and an
 * exhaustive set of reads is compared.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ReadReplica, ReadReplicaOptions } from '../../../src/index.ts'
import { MemoryObjectStore } from '../../../src/main/object-stores/memory-object-store.ts'
import {
  type AbstractOperation,
  concretise,
  IDS_PER_OPERATION_MAX,
  operation,
  readCalls,
} from '../../model/arbitraries.ts'
import { MetastoreModel } from '../../model/metastore-model.ts'
import { type Call, callModel, callStore } from '../../model/outcome.ts'
import { ObjectIdPool, partitionNear } from '../../model/universe.ts'
import { ReplicaFixture } from './replica-fixture.ts'

const PARTITIONS = 2
const RUNS = Number(process.env.WAYMARK_PROPERTY_RUNS ?? 4)
const STEPS_MAX = 40

type Upheaval =
  | { op: 'flush' }
  | { op: 'compact' }
  | { op: 'refresh' }
  | { op: 'check' }
  | { op: 'newReplica' }
  | { op: 'newLeader' }
  | { op: 'ship' }
  /** As ship, but the objects are on their way until the release. */
  | { op: 'shipLate' }
  | { op: 'release' }
type Step = AbstractOperation | Upheaval

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 30, arbitrary: operation },
  { weight: 2, arbitrary: fc.constant<Upheaval>({ op: 'flush' }) },
  { weight: 1, arbitrary: fc.constant<Upheaval>({ op: 'compact' }) },
  { weight: 4, arbitrary: fc.constant<Upheaval>({ op: 'refresh' }) },
  { weight: 2, arbitrary: fc.constant<Upheaval>({ op: 'check' }) },
  { weight: 1, arbitrary: fc.constant<Upheaval>({ op: 'newReplica' }) },
  { weight: 1, arbitrary: fc.constant<Upheaval>({ op: 'newLeader' }) },
  { weight: 3, arbitrary: fc.constant<Upheaval>({ op: 'ship' }) },
  { weight: 2, arbitrary: fc.constant<Upheaval>({ op: 'shipLate' }) },
  { weight: 1, arbitrary: fc.constant<Upheaval>({ op: 'release' }) },
)

const OPS: ReadonlySet<string> = new Set([
  ...['flush', 'compact', 'refresh', 'check', 'newReplica'],
  ...['newLeader', 'ship', 'shipLate', 'release'],
])
const isUpheaval = (step: Step): step is Upheaval => OPS.has(step.op)

class Harness {
  readonly #fixture: ReplicaFixture
  readonly #replicaOptions: Partial<ReadReplicaOptions>
  readonly #model = new MetastoreModel({
    ...{ partitions: PARTITIONS, now: Date.now, newId: randomUUID },
  })
  readonly #ids = new ObjectIdPool()
  readonly #history: Call[] = []
  readonly #onTheirWay = new MemoryObjectStore()
  #replica: ReadReplica

  private constructor(
    fixture: ReplicaFixture,
    replica: ReadReplica,
    options: Partial<ReadReplicaOptions>,
  ) {
    this.#fixture = fixture
    this.#replica = replica
    this.#replicaOptions = options
  }

  static async open(options: Partial<ReadReplicaOptions>): Promise<Harness> {
    const fixture = await ReplicaFixture.open({ partitions: PARTITIONS })
    return new Harness(fixture, await fixture.openReplica(options), options)
  }

  async run(step: Step): Promise<void> {
    if (isUpheaval(step)) await this.#upheave(step)
    else {
      await this.#fillPool()
      const call = concretise(step, this.#model, this.#ids, this.#history)
      this.#history.push(call)
      const expected = callModel(this.#model, call)
      assert.deepEqual(await callStore(this.#fixture.store, call), expected)
    }
  }

  /** Everything is in the bucket, and the replica answers as the model does. */
  async check(): Promise<void> {
    await this.#release()
    await this.#fixture.shipAll()
    await this.#replica.refresh()
    const calls = readCalls(this.#model).filter(({ method }) => method in this.#replica)
    assert.ok(calls.length > 10)
    for (const call of calls) {
      const message = `${call.method} ${JSON.stringify(call.args)}`
      assert.deepEqual(await callStore(this.#replica, call), callModel(this.#model, call), message)
    }
  }

  close(): Promise<void> {
    return this.#fixture.close()
  }

  async #upheave(step: Upheaval): Promise<void> {
    const { store } = this.#fixture
    if (step.op === 'flush') await store.flush()
    else if (step.op === 'compact') await store.compact()
    else if (step.op === 'refresh') await this.#replica.refresh()
    else if (step.op === 'check') await this.check()
    else if (step.op === 'newReplica') {
      await this.#replica.close()
      this.#replica = await this.#fixture.openReplica(this.#replicaOptions)
    } else if (step.op === 'newLeader') this.#fixture.newLeader()
    else if (step.op === 'ship') await this.#fixture.shipAll()
    else if (step.op === 'shipLate') await this.#fixture.shipAll(this.#onTheirWay)
    else await this.#release()
  }

  async #release(): Promise<void> {
    const { objects } = await this.#onTheirWay.list('domain/')
    for (const { key } of objects) {
      const bytes = await this.#onTheirWay.get(key)
      if (bytes !== null) await this.#fixture.bucket.put(key, bytes)
    }
    await this.#onTheirWay.delete(objects.map(({ key }) => key))
  }

  async #fillPool(): Promise<void> {
    for (let domain = 0; domain < PARTITIONS; domain++) {
      if (this.#ids.available(domain) >= IDS_PER_OPERATION_MAX) continue
      const near = partitionNear(domain, this.#model)
      const ids = await this.#fixture.store.preregisterObjects(near, 4 * IDS_PER_OPERATION_MAX)
      this.#model.adoptPreregistered(near, ids)
      this.#ids.put(domain, ids)
    }
  }
}

const VARIANTS: Readonly<Record<string, Partial<ReadReplicaOptions>>> = {
  'refreshed by hand': {},
  // Refreshes and rotations come between everything, and every read of a table is cold.
  'refreshed all the time, nothing kept': {
    ...{ refreshIntervalMs: 1, workers: 2, memtableBytesMax: 65_536 },
    ...{ blockCacheBytesMax: 0, tableMemoryBytesMax: 0, cacheBytesMax: 0 },
  },
}

for (const [name, options] of Object.entries(VARIANTS)) {
  test(`a replica answers as the model does, ${name}`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: STEPS_MAX, size: 'max' }),
        async steps => {
          const harness = await Harness.open(options)
          try {
            for (const each of steps) await harness.run(each)
            await harness.check()
          } finally {
            await harness.close()
          }
        },
      ),
      { numRuns: RUNS },
    )
  })
}
