/**
 * Goal: a worker that waits for a memtable goes on when its domain begins anew, with memtables of
 * the new life only.
 * Method: a worker thread at its link; the test is main.
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteReader } from '../../src/codec/bytes.ts'
import { RowBatchBuilder } from '../../src/codec/row-batch.ts'
import { uuidBytes } from '../../src/codec/uuid.ts'
import { newCall } from '../../src/main/calls.ts'
import { WorkerLink } from '../../src/main/worker-link.ts'
import { Control } from '../../src/shared/control.ts'
import { Memtable } from '../../src/shared/memtable.ts'
import { type MemtableMessage, REQUEST, RESPONSE } from '../../src/shared/messages.ts'
import { BlockCache } from '../../src/shared/tables/block-cache.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const UUID = '00000000-0000-4000-8000-000000000007'
const MEMTABLE_BYTES = 65_536
const VALUE_BYTES = 20_000

class Fixture implements AsyncDisposable {
  readonly directory: string
  readonly link: WorkerLink
  /** Ids of memtables that were frozen. */
  readonly frozen: number[] = []
  readonly failures: string[] = []
  readonly #done: number[] = []

  private constructor(directory: string) {
    this.directory = directory
    const settings = {
      clusterId: UUID,
      domains: [{ domain: 0, uuid: UUID }],
      memtableBytesMax: MEMTABLE_BYTES,
      cacheDirectory: directory,
      blockCache: BlockCache.create(0),
    }
    const memtables = [1, 2].map(id => memtableOf(0, id))
    const onFailure = (error: Error): number => this.failures.push(error.message)
    this.link = new WorkerLink(0, 1, Control.create(1, 1), settings, memtables, onFailure)
  }

  static async start(): Promise<Fixture> {
    return new Fixture(await temporaryDirectory())
  }

  /** A committed batch of one row, too large for more than three in a memtable. */
  apply(sequence: number): void {
    const rows = new RowBatchBuilder().begin(uuidBytes(UUID), sequence)
    rows.put(Uint8Array.of(1, sequence), new Uint8Array(VALUE_BYTES).fill(sequence))
    this.link.begin(REQUEST.apply, 0, undefined).raw(rows.finish())
    this.link.send(undefined)
  }

  send(kind: number, life?: number): void {
    const call = newCall(
      () => {},
      () => {},
      () => undefined,
      false,
    )
    const out = this.link.begin(kind, 0, call)
    if (life !== undefined) out.varint(life)
    this.link.send(call)
  }

  async until(isDone: () => boolean): Promise<void> {
    for (let i = 0; i < 1000 && !isDone(); i++) {
      this.#drain()
      await sleep(2)
    }
    assert.ok(isDone())
  }

  get answers(): number {
    return this.#done.length
  }

  #drain(): void {
    this.link.drain((bytes, start, end) => {
      const reader = new ByteReader(bytes, 'response', start, end)
      const kind = reader.u8()
      reader.varint()
      const call = reader.varint()
      if (kind === RESPONSE.frozen) this.frozen.push(reader.varint())
      else if (kind === RESPONSE.done) {
        this.link.take(call)
        this.#done.push(call)
      } else this.failures.push(`response ${kind}`)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.link.stop(5000)
    await rm(this.directory, { recursive: true })
  }
}

function memtableOf(life: number, memtableId: number): MemtableMessage {
  return { domain: 0, life, memtableId, memory: new SharedArrayBuffer(MEMTABLE_BYTES * 2) }
}

test('a worker that has no memtable waits, and goes on when one comes', async () => {
  await using fixture = await Fixture.start()
  for (let sequence = 1; sequence <= 20; sequence++) fixture.apply(sequence)
  fixture.send(REQUEST.sync)
  await fixture.until(() => fixture.frozen.length === 1)
  await sleep(50)
  assert.equal(fixture.answers, 0)
  for (let id = 3; id < 10; id++) fixture.link.postMemtable(memtableOf(0, id))
  await fixture.until(() => fixture.answers === 1)
  assert.deepEqual(fixture.failures, [])
})

test('a worker that waits when its domain begins anew lets go, and takes nothing of the next life', async () => {
  await using fixture = await Fixture.start()
  for (let sequence = 1; sequence <= 20; sequence++) fixture.apply(sequence)
  fixture.send(REQUEST.sync)
  await fixture.until(() => fixture.frozen.length === 1)
  const next = [memtableOf(1, 3), memtableOf(1, 4)]
  for (const memtable of next) fixture.link.postMemtable(memtable)
  fixture.send(REQUEST.reset, 1)
  // What was on its way in the life before counts for nothing, whatever its sequence.
  await fixture.until(() => fixture.answers === 2)
  assert.deepEqual(fixture.frozen, [1])
  for (const { memory } of next) assert.equal(new Memtable(memory).rowCount, 0)
  fixture.apply(1)
  fixture.send(REQUEST.sync)
  await fixture.until(() => fixture.answers === 3)
  assert.equal(new Memtable(next[0].memory).rowCount, 1)
  assert.deepEqual(fixture.failures, [])
})
