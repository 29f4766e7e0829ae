/**
 * A domain's tail shipper over a log, a bucket, a clock and a manifest of the test's own. Objects
 * are made and put by the real tasks, on this thread.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { tailOfKey, tailPrefix } from '../../../src/codec/bucket-layout.ts'
import { RowBatchBuilder } from '../../../src/codec/row-batch.ts'
import { decodeTail, type Tail } from '../../../src/codec/tail.ts'
import { uuidBytes } from '../../../src/codec/uuid.ts'
import type { IoRunner } from '../../../src/main/io-pool.ts'
import { MemoryObjectStore } from '../../../src/main/object-stores/memory-object-store.ts'
import type { Entry } from '../../../src/main/raft/entry.ts'
import { ENTRY_KIND } from '../../../src/main/replication/replicated-log.ts'
import { Slots } from '../../../src/main/slots.ts'
import { TailShipper, type TailShipperOptions } from '../../../src/main/storage/tail-shipper.ts'
import type { IoTask } from '../../../src/shared/io-tasks.ts'
import { runIoTask } from '../../../src/workers/io/run-io-task.ts'
import { type FaultPlan, FaultyObjectStore } from '../../object-stores/faulty-object-store.ts'

export const CLUSTER = '00112233-4455-6677-8899-aabbccddeeff'
export const DOMAIN = '11111111-2222-4333-8444-555555555555'
export const INTERVAL_MS = 1000
/** Of a task, by the real clock: of a bucket that answers, and of one from which no answer comes. */
const DEADLINE_MS = 60_000
const SHORT_DEADLINE_MS = 250

export function batchOf(sequence: number, valueBytes = 1): Uint8Array {
  const batch = new RowBatchBuilder().begin(uuidBytes(DOMAIN), sequence)
  // Nothing that LZ4 could make small.
  batch.put(Uint8Array.of(1), randomBytes(valueBytes))
  return batch.finish().slice()
}

interface FakeDomain {
  readonly number: number
  readonly uuid: string
  manifest: { lastSequence: number; lastIndex: number } | null
  visibleSequence: number
  sequenceBefore: number
  readonly progress: { index: number }
  readonly memtables: { unflushedSince: number | undefined }
}

/** What a node has committed, and how far the bucket is. */
export class TailFixture {
  now = 100_000
  term = 7
  readonly bucket: FaultyObjectStore
  readonly tasks: IoTask['type'][] = []
  /** By sequence: every batch that was committed. */
  readonly committed: Uint8Array[] = []
  readonly domain: FakeDomain = {
    number: 0,
    uuid: DOMAIN,
    manifest: null,
    visibleSequence: 0,
    sequenceBefore: 0,
    progress: { index: 0 },
    memtables: { unflushedSince: undefined },
  }
  readonly committer: { announcedSequence: number; isAnnounced: boolean } = {
    ...{ announcedSequence: 0, isAnnounced: true },
  }
  /** Before a task begins. */
  gate: () => Promise<void> = () => Promise.resolve()
  #deadlineMs = DEADLINE_MS
  /** Told of each look into the log. */
  onRead: () => void = () => {}
  readonly #entries: Entry[] = []
  #firstIndex = 1

  constructor(bucket: MemoryObjectStore = new MemoryObjectStore()) {
    this.bucket = new FaultyObjectStore(bucket, () => null)
  }

  /** From now on the bucket fails, and tasks soon give up. */
  fail(plan: FaultPlan): void {
    this.bucket.plan = plan
    this.#deadlineMs = SHORT_DEADLINE_MS
  }

  /** From now on it does not, however busy the machine is. */
  heal(): void {
    this.bucket.plan = () => null
    this.#deadlineMs = DEADLINE_MS
  }

  /** A leadership begins. */
  shipper(logTurns: Slots = new Slots(1)): TailShipper {
    this.domain.sequenceBefore = this.committed.length
    const io = {
      run: async (task: IoTask) => {
        this.tasks.push(task.type)
        await this.gate()
        const noCache = (): never => assert.fail('tails are not cached')
        return runIoTask(task, {
          ...{ bucket: this.bucket, deadlineMs: this.#deadlineMs, cacheOf: noCache },
        })
      },
    } as IoRunner
    const log = {
      term: () => this.term,
      entries: (_: number, from: number, to: number, bytesMax: number) => {
        this.onRead()
        return this.#read(Math.max(from, this.#firstIndex), to, bytesMax)
      },
    }
    const { domain, committer } = this
    return new TailShipper({
      ...{ domain, committer, log, logTurns, io, clusterId: CLUSTER, compression: 'lz4' },
      ...{ tailIntervalMs: INTERVAL_MS, now: () => this.now, random: () => 0 },
      logger: { debug() {}, info() {}, warn() {}, error() {} },
    } as unknown as TailShipperOptions)
  }

  /** Rows are committed and take effect. */
  commit(count: number, valueBytes = 1): void {
    for (let i = 0; i < count; i++) {
      const batch = batchOf(this.committed.length + 1, valueBytes)
      this.committed.push(batch)
      this.append(ENTRY_KIND.rows, batch)
    }
    this.takeEffect()
  }

  append(kind: number, payload: Uint8Array): void {
    this.#entries.push({ term: this.term, index: this.#entries.length + 1, kind, payload })
  }

  takeEffect(): void {
    this.domain.progress.index = this.#entries.length
    this.domain.visibleSequence = this.committed.length
    this.domain.memtables.unflushedSince ??= this.now
  }

  /** A flush of everything: freeze, manifest, pointer, cut. */
  flush(): void {
    this.append(ENTRY_KIND.freeze, new Uint8Array(8))
    const lastIndex = this.#entries.length
    this.append(ENTRY_KIND.manifest, new Uint8Array(8))
    const lastSequence = this.committed.length
    this.domain.manifest = { lastSequence, lastIndex }
    this.domain.progress.index = this.#entries.length
    this.domain.memtables.unflushedSince = undefined
    this.committer.announcedSequence = lastSequence
    this.#firstIndex = lastIndex + 1
  }

  /** A look, and all the objects that it leads to. @returns their count */
  async interval(shipper: TailShipper): Promise<number> {
    this.now += INTERVAL_MS
    if (!shipper.look()) return 0
    for (let count = 0; ; ) {
      const { sizeBytes, hasMore } = await shipper.ship()
      if (sizeBytes > 0) count++
      if (!hasMore) return count
    }
  }

  async tails(): Promise<Tail[]> {
    const plan = this.bucket.plan
    this.bucket.plan = () => null
    const { objects } = await this.bucket.list(tailPrefix(DOMAIN))
    const tails: Tail[] = []
    for (const { key } of objects) {
      const bytes = await this.bucket.get(key)
      assert.ok(bytes)
      const tail = decodeTail(bytes, key)
      const { domain, epoch, first, last } = tail
      assert.deepEqual(tailOfKey(key), { domain, epoch, first, last })
      tails.push(tail)
    }
    this.bucket.plan = plan
    return tails
  }

  /** First and last of each object, by name. */
  async ranges(): Promise<[number, number][]> {
    return (await this.tails()).map(({ first, last }) => [first, last])
  }

  /** Every batch after `after` is in the bucket, and none that was not committed. */
  async expectWhole(after = 0): Promise<void> {
    const found = new Map<number, Uint8Array>()
    for (const { first, batches } of await this.tails()) {
      for (const [i, batch] of batches.entries()) found.set(first + i, batch)
    }
    for (const [i, batch] of this.committed.entries()) {
      if (i >= after) assert.deepEqual(found.get(i + 1), batch, `sequence ${i + 1}`)
    }
    assert.ok(Math.max(0, ...found.keys()) <= this.committed.length)
  }

  #read(from: number, to: number, bytesMax: number): Entry[] {
    const found: Entry[] = []
    let sum = 0
    for (const entry of this.#entries.slice(from - 1, to - 1)) {
      sum += entry.payload.length
      if (found.length > 0 && sum > bytesMax) break
      found.push(entry)
    }
    return found
  }
}
