/**
 * Goal: a leader that is deposed in the middle of a round deletes nothing more; a round is due
 * again when something has changed or has become old enough, and not before.
 * Method: a collector over a domain, committer and bucket of the test's own.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader, ByteWriter } from '../../../src/codec/bytes.ts'
import {
  GarbageCollector,
  type GarbageCollectorOptions,
} from '../../../src/main/storage/garbage-collector.ts'
import type { CollectableObjects } from '../../../src/shared/reads/object-reads.ts'
import { WRITE_KIND } from '../../../src/shared/writes/write-kinds.ts'
import { DOMAIN_UUID } from '../replication/fake-domain.ts'

const ID = new Uint8Array(16).fill(7)
const TTL_MS = 500
const DELAY_MS = 1000

class Fixture {
  now = 10_000
  leadership = 1
  visibleSequence = 5
  nextTableId = 1
  nextDueAt: number | null = null
  found: Partial<CollectableObjects> = {}
  /** What the bucket and the domain were asked for, in order. */
  readonly asked: string[] = []
  readonly scannedAfter: (Uint8Array | undefined)[] = []
  /** Called before the answer to what was asked. */
  before: (asked: string) => void = () => {}
  readonly collector: GarbageCollector

  constructor() {
    const fixture = this
    const ask = (what: string): void => {
      this.asked.push(what)
      this.before(what)
    }
    const domain = {
      ...{ number: 0, uuid: DOMAIN_UUID, manifest: null, confirm: () => undefined },
      get leadership() {
        return fixture.leadership
      },
      get visibleSequence() {
        return fixture.visibleSequence
      },
      reads: {
        read: async (name: string, { after }: { after: Uint8Array | undefined }) => {
          ask(name)
          this.scannedAfter.push(after)
          return { expired: [], garbage: [], oldestMadeAt: null, next: undefined, ...this.found }
        },
        readUnchanged: async (name: string, ids: unknown[], sequence: number) => {
          ask(`${name} at ${sequence}`)
          return ids.map(() => 'garbage')
        },
      },
      write: async (encode: (out: ByteWriter) => void, decode: (reader: ByteReader) => number) => {
        const out = new ByteWriter(64)
        encode(out)
        const kind = Object.entries(WRITE_KIND).find(([, number]) => number === out.view()[1])
        ask(kind?.[0] ?? 'unknown')
        return decode(new ByteReader(Uint8Array.of(1), 'answer'))
      },
    }
    const committer = {
      get nextTableId() {
        return fixture.nextTableId
      },
      ...{ isAnnounced: true, announce: async () => {} },
      collectable: { committed: null, firstIdUnderWay: 1, firstVersionUnderWay: 1 },
    }
    const io = {
      run: async ({ type }: { type: string }) => {
        ask(type)
        const counts = { tables: 0, manifests: 0, tails: 0, uploads: 0, leases: 0, checkpoints: 0 }
        return { ...counts, relatives: [], sizeBytes: 0, objectsUpTo: 3, nextDueAt: this.nextDueAt }
      },
    }
    const options = {
      ...{ clusterId: DOMAIN_UUID, domain, committer, io, log: { term: () => 2 } },
      ...{ garbageDelayMs: DELAY_MS, preregistrationTtlMs: TTL_MS, now: () => this.now },
    }
    this.collector = new GarbageCollector(options as unknown as GarbageCollectorOptions)
  }
}

test('the object goes before its row, and its row as of a flushed state', async () => {
  const fixture = new Fixture()
  fixture.found = { expired: [ID], garbage: [{ id: ID, sizeBytes: 9 }] }
  const { objects, bytes, expiredPreregistrations } = await fixture.collector.collect(false)
  assert.deepEqual([objects, bytes, expiredPreregistrations], [1, 9, 1])
  assert.deepEqual(fixture.asked, [
    ...['collectGarbage', 'scanCollectable', 'expireObjects'],
    ...['getObjectStates at 3', 'deleteObjects', 'forgetObjects'],
  ])
})

test('a dry run writes and deletes nothing', async () => {
  const fixture = new Fixture()
  fixture.found = { expired: [ID], garbage: [{ id: ID, sizeBytes: 9 }] }
  assert.equal((await fixture.collector.collect(true)).objects, 1)
  const asked = ['collectGarbage', 'scanCollectable', 'getObjectStates at 3']
  assert.deepEqual(fixture.asked, asked)
  assert.ok(fixture.collector.isDue)
})

test('a leader that is deposed in between deletes nothing more', async () => {
  for (const moment of ['scanCollectable', 'getObjectStates at 3', 'deleteObjects']) {
    const fixture = new Fixture()
    fixture.found = { garbage: [{ id: ID, sizeBytes: 9 }] }
    fixture.before = asked => {
      // Also when it leads again by then.
      if (asked === moment) fixture.leadership += 2
    }
    await assert.rejects(fixture.collector.collect(false), { code: 'UNAVAILABLE' })
    const isDeleted = fixture.asked.includes('deleteObjects')
    assert.equal(isDeleted, moment === 'deleteObjects')
    assert.ok(!fixture.asked.includes('forgetObjects') && fixture.collector.isDue)
  }
})

test('a pass that takes long goes on in the next round, where it was', async () => {
  const fixture = new Fixture()
  const { collector } = fixture
  fixture.found = { next: ID, oldestMadeAt: 9000 }
  fixture.before = asked => {
    if (asked === 'scanCollectable') fixture.now += 2_000
  }
  assert.equal((await collector.collect(false)).isDone, false)
  assert.ok(collector.isDue)
  fixture.visibleSequence++
  fixture.found = { oldestMadeAt: 20_000 }
  assert.equal((await collector.collect(false)).isDone, true)
  assert.deepEqual(fixture.scannedAfter, [undefined, ID, ID])
  // It has not seen what was written in between.
  assert.ok(collector.isDue)
  fixture.now = 9000
  await collector.collect(false)
  assert.deepEqual(fixture.scannedAfter, [undefined, ID, ID, undefined])
})

test('a round is due when something has changed or has become old enough', async () => {
  const fixture = new Fixture()
  const { collector } = fixture
  const expectDueAt = async (dueAt: number | undefined): Promise<void> => {
    assert.ok(collector.isDue)
    await collector.collect(false)
    assert.equal(collector.isDue, false)
    if (dueAt === undefined) return
    fixture.now = dueAt - 1
    assert.equal(collector.isDue, false)
    fixture.now = dueAt
  }
  // The first one, of a leader that knows nothing: uploads may have been left before.
  await expectDueAt(fixture.now + DELAY_MS)
  fixture.nextDueAt = fixture.now + 300
  await expectDueAt(fixture.nextDueAt)
  fixture.nextDueAt = null
  fixture.found = { oldestMadeAt: fixture.now - 10 }
  await expectDueAt(fixture.now - 10 + TTL_MS)
  fixture.found = {}
  await expectDueAt(undefined)
  fixture.now += 1_000_000
  assert.equal(collector.isDue, false)
  fixture.visibleSequence++
  await expectDueAt(undefined)
  fixture.nextTableId++
  await expectDueAt(fixture.now + DELAY_MS)
  await expectDueAt(undefined)
})
