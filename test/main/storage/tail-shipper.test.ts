/**
 * Goal: everything that is committed comes into the bucket in order and once, nothing else does,
 * and the recovery point that is told is never better than the real one; whatever the bucket, a
 * flush, or a change of leaders does meanwhile.
 * Method: a shipper over a log and clock of the test's own; objects are decoded and compared.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { tailKey } from '../../../src/codec/bucket-layout.ts'
import { encodeTail } from '../../../src/codec/tail.ts'
import { ENTRY_KIND } from '../../../src/main/replication/replicated-log.ts'
import { Slots } from '../../../src/main/slots.ts'
import { scriptedPlan, seededPlan } from '../../object-stores/faulty-object-store.ts'
import { batchOf, CLUSTER, DOMAIN, INTERVAL_MS, TailFixture } from './tail-fixture.ts'

const MIB = 1024 * 1024

describe('what is shipped', () => {
  test('each interval an object with what is new, in order; nothing new: no request', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    assert.equal(await fixture.interval(shipper), 0)
    fixture.commit(3)
    assert.equal(await fixture.interval(shipper), 1)
    assert.equal(await fixture.interval(shipper), 0)
    fixture.commit(1)
    assert.equal(await fixture.interval(shipper), 1)
    assert.deepEqual(await fixture.ranges(), [
      [1, 3],
      [4, 4],
    ])
    await fixture.expectWhole()
    // No LIST: nothing was there when the leadership began.
    assert.deepEqual(fixture.tasks, ['putTail', 'putTail'])
    const [{ clusterId, epoch, createdAt }] = await fixture.tails()
    assert.deepEqual([clusterId, epoch, createdAt], [CLUSTER, 7, 100_000 + 2 * INTERVAL_MS])
  })

  test('rows that have not taken effect are not shipped, nor entries of other kinds', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.append(0, new Uint8Array(0))
    fixture.commit(2)
    fixture.append(ENTRY_KIND.freeze, new Uint8Array(8))
    // Proposed and not committed: maybe another leader replaces it.
    fixture.append(ENTRY_KIND.rows, batchOf(3))
    assert.equal(await fixture.interval(shipper), 1)
    assert.deepEqual(await fixture.ranges(), [[1, 2]])
    assert.equal(shipper.recoveryPointMs, 0)
  })

  test('much becomes several objects of bounded size, each read in small parts', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.commit(150, 100 * 1024)
    let turns = 0
    let isCounting = true
    const count = (): void => {
      turns++
      if (isCounting) setImmediate(count)
    }
    setImmediate(count)
    const objects = await fixture.interval(shipper)
    isCounting = false
    assert.equal(objects, 4)
    // 15 MiB in parts of 256 KiB: others had their turns in between.
    assert.ok(turns >= 50, `${turns} turns`)
    for (const { batches } of await fixture.tails()) {
      const sizeBytes = batches.reduce((sum, batch) => sum + batch.length, 0)
      assert.ok(sizeBytes <= 5 * MIB, `${sizeBytes}`)
    }
    await fixture.expectWhole()
    assert.equal(shipper.shippedSequence, 150)
  })

  test('several domains together look into the log once a turn', async () => {
    const logTurns = new Slots(1)
    const fixtures = [new TailFixture(), new TailFixture(), new TailFixture()]
    let [reads, readsOfTurn, most] = [0, 0, 0]
    for (const fixture of fixtures) {
      fixture.commit(20, 100_000)
      fixture.onRead = () => {
        reads++
        most = Math.max(most, ++readsOfTurn)
        if (readsOfTurn === 1) setImmediate(() => (readsOfTurn = 0))
      }
    }
    const shippers = fixtures.map(fixture => fixture.shipper(logTurns))
    const puts = fixtures.map((fixture, i) => fixture.interval(shippers[i]))
    assert.deepEqual(await Promise.all(puts), [1, 1, 1])
    assert.ok(reads >= 3 * 7, `${reads} looks at 2 MB each`)
    assert.equal(most, 1)
  })

  test('what comes while an object is put is for the next interval', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.commit(2)
    fixture.gate = async () => {
      fixture.gate = async () => {}
      fixture.commit(2)
    }
    assert.equal(await fixture.interval(shipper), 1)
    assert.deepEqual(await fixture.ranges(), [[1, 2]])
    assert.equal(await fixture.interval(shipper), 1)
    assert.deepEqual(await fixture.ranges(), [
      [1, 2],
      [3, 4],
    ])
  })

  test('one object at a time: a look meanwhile begins nothing', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.commit(1)
    let release = (): void => {}
    fixture.gate = () => new Promise(resolve => (release = resolve))
    const first = fixture.interval(shipper)
    for (let i = 0; i < 5; i++) await new Promise(setImmediate)
    fixture.commit(1)
    assert.equal(shipper.look(), false)
    fixture.gate = async () => {}
    release()
    assert.equal(await first, 1)
    assert.equal(shipper.look(), true)
  })
})

describe('a bucket that fails', () => {
  test('is asked again later and later, and then gets everything in one', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.fail(() => 'errorBefore')
    fixture.commit(1)
    await assert.rejects(fixture.interval(shipper), { code: 'UNAVAILABLE' })
    const waits: number[] = []
    let waited = 0
    while (waits.length < 8) {
      fixture.commit(1)
      waited++
      fixture.now += INTERVAL_MS
      if (!shipper.look()) continue
      await assert.rejects(shipper.ship(), { code: 'UNAVAILABLE' })
      waits.push(waited)
      waited = 0
    }
    // Half of 1, 2, 4, ... intervals with random() = 0; at most half of 30 s.
    assert.deepEqual(waits, [1, 1, 2, 4, 8, 15, 15, 15])
    assert.equal(shipper.lagMs, (1 + 1 + 2 + 4 + 8 + 15 + 15 + 15) * INTERVAL_MS)
    assert.equal(shipper.recoveryPointMs, shipper.lagMs + INTERVAL_MS)
    fixture.heal()
    for (let i = 0; i < 20; i++) await fixture.interval(shipper)
    assert.deepEqual(await fixture.ranges(), [[1, fixture.committed.length]])
    await fixture.expectWhole()
    assert.deepEqual([shipper.lagMs, shipper.recoveryPointMs], [0, 0])
  })

  test('an answer that was lost: the object is known as its own', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.bucket.plan = scriptedPlan('errorAfter')
    fixture.commit(2)
    assert.equal(await fixture.interval(shipper), 1)
    assert.deepEqual(await fixture.ranges(), [[1, 2]])
    assert.equal(shipper.recoveryPointMs, 0)
  })

  test('an attempt that was given up and done all the same: its name is taken as shipped', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    // The put is done, and neither its answer nor any HEAD comes.
    fixture.fail(({ method }) => (method === 'put' ? 'errorAfter' : 'errorBefore'))
    fixture.commit(2)
    await assert.rejects(fixture.interval(shipper), { code: 'UNAVAILABLE' })
    assert.deepEqual(await fixture.ranges(), [[1, 2]])
    fixture.heal()
    assert.equal(await fixture.interval(shipper), 1)
    assert.deepEqual(await fixture.ranges(), [[1, 2]])
    assert.deepEqual([shipper.shippedSequence, shipper.recoveryPointMs], [2, 0])
  })

  test('a name with other batches is CONFLICT, and never counts as shipped', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.commit(2)
    const name = { domain: DOMAIN, epoch: 7, first: 1, last: 2 }
    const other = { ...name, clusterId: CLUSTER, createdAt: 1, batches: [batchOf(1), batchOf(2)] }
    await fixture.bucket.put(tailKey(name), encodeTail(other, 'none'))
    await assert.rejects(fixture.interval(shipper), { code: 'CONFLICT' })
    assert.equal(shipper.shippedSequence, 0)
    assert.ok(shipper.recoveryPointMs > 0)
  })
})

describe('a flush', () => {
  test('makes shipping unnecessary: nothing is put, also when the log was cut', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.commit(5)
    fixture.flush()
    // Known at once, not with the next interval only.
    assert.deepEqual([shipper.shippedSequence, shipper.recoveryPointMs], [5, 0])
    assert.equal(await fixture.interval(shipper), 0)
    assert.deepEqual([shipper.shippedSequence, shipper.recoveryPointMs], [5, 0])
    fixture.commit(2)
    assert.equal(await fixture.interval(shipper), 1)
    assert.deepEqual(await fixture.ranges(), [[6, 7]])
    await fixture.expectWhole(5)
  })

  test('that overtakes while the log is read: what is left follows without a gap', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.commit(20, 100 * 1024)
    fixture.now += INTERVAL_MS
    assert.ok(shipper.look())
    const shipping = shipper.ship()
    await Promise.resolve()
    fixture.flush()
    fixture.commit(3)
    assert.equal((await shipping).hasMore, true)
    while ((await shipper.ship()).hasMore);
    await fixture.interval(shipper)
    assert.deepEqual((await fixture.ranges()).at(-1), [21, 23])
    await fixture.expectWhole(20)
    assert.equal(shipper.recoveryPointMs, 0)
  })

  test('that overtakes while an object is put', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.commit(2)
    fixture.gate = async () => {
      fixture.commit(2)
      fixture.flush()
      fixture.commit(1)
      shipper.look()
    }
    assert.equal(await fixture.interval(shipper), 1)
    fixture.gate = async () => {}
    assert.equal(await fixture.interval(shipper), 1)
    assert.deepEqual(await fixture.ranges(), [
      [1, 2],
      [5, 5],
    ])
  })

  test('that is committed and not announced covers nothing yet', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.commit(2)
    fixture.domain.manifest = { lastSequence: 2, lastIndex: 2 }
    fixture.committer.isAnnounced = false
    assert.ok(shipper.recoveryPointMs >= 0)
    assert.equal(await fixture.interval(shipper), 1)
    assert.deepEqual(await fixture.ranges(), [[1, 2]])
  })
})

describe('a change of leaders', () => {
  test('the next one goes on where the last one stopped', async () => {
    const fixture = new TailFixture()
    const first = fixture.shipper()
    fixture.commit(3)
    await fixture.interval(first)
    fixture.commit(2)
    await first.close()
    fixture.term = 9
    fixture.append(0, new Uint8Array(0))
    const second = fixture.shipper()
    fixture.commit(1)
    assert.equal(await fixture.interval(second), 1)
    assert.deepEqual(await fixture.ranges(), [
      [1, 3],
      [4, 6],
    ])
    assert.deepEqual(
      (await fixture.tails()).map(({ epoch }) => epoch),
      [7, 9],
    )
    await fixture.interval(second)
    assert.deepEqual(fixture.tasks, ['putTail', 'tailReach', 'putTail'])
  })

  test('everything was shipped: it puts nothing, and knows so', async () => {
    const fixture = new TailFixture()
    const first = fixture.shipper()
    fixture.commit(3)
    await fixture.interval(first)
    await first.close()
    fixture.term = 9
    const second = fixture.shipper()
    assert.ok(second.recoveryPointMs >= 0)
    assert.equal(await fixture.interval(second), 0)
    assert.deepEqual([second.shippedSequence, second.recoveryPointMs], [3, 0])
  })

  test('a LIST that fails: it ships from the manifest on', async () => {
    const fixture = new TailFixture()
    fixture.commit(2)
    fixture.flush()
    fixture.commit(3)
    await fixture.interval(fixture.shipper())
    fixture.term = 9
    fixture.fail(({ method }) => (method === 'list' ? 'throttle' : null))
    const second = fixture.shipper()
    assert.equal(await fixture.interval(second), 1)
    assert.deepEqual(await fixture.ranges(), [
      [3, 5],
      [3, 5],
    ])
    await fixture.expectWhole(2)
  })

  test('what the log does not have is not believed', async () => {
    const fixture = new TailFixture()
    const name = { domain: DOMAIN, epoch: 3, first: 1, last: 4 }
    const batches = [1, 2, 3, 4].map(sequence => batchOf(sequence))
    const lost = { ...name, clusterId: CLUSTER, createdAt: 1, batches }
    await fixture.bucket.put(tailKey(name), encodeTail(lost, 'none'))
    fixture.commit(2)
    const shipper = fixture.shipper()
    fixture.commit(1)
    await fixture.interval(shipper)
    assert.deepEqual(await fixture.ranges(), [
      [1, 4],
      [3, 3],
    ])
  })

  test('a deposed one ends with what is under way, and puts nothing more', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.commit(100, 100 * 1024)
    fixture.now += INTERVAL_MS
    assert.ok(shipper.look())
    const shipping = shipper.ship()
    await Promise.resolve()
    await shipper.close()
    assert.deepEqual(await shipping, { sizeBytes: 0, hasMore: false })
    assert.deepEqual([fixture.tasks, shipper.look()], [[], false])
  })

  test("its failure at the end is nobody's", async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.commit(1)
    fixture.fail(() => 'hang')
    fixture.now += INTERVAL_MS
    assert.ok(shipper.look())
    const shipping = shipper.ship()
    for (let i = 0; i < 3; i++) await new Promise(setImmediate)
    await shipper.close()
    assert.deepEqual(await shipping, { sizeBytes: 0, hasMore: false })
  })
})

describe('the recovery point', () => {
  test('is 0 when all is in the bucket, else since the last time that it was', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    fixture.now += 60_000
    await fixture.interval(shipper)
    const wholeAt = fixture.now
    assert.equal(shipper.recoveryPointMs, 0)
    // Not 0 in the very millisecond either.
    fixture.domain.memtables.unflushedSince = wholeAt
    fixture.commit(1)
    assert.equal(shipper.recoveryPointMs, 1)
    fixture.now += 300
    fixture.domain.memtables.unflushedSince = wholeAt
    fixture.commit(1)
    assert.equal(shipper.recoveryPointMs, 300)
    await fixture.interval(shipper)
    assert.equal(shipper.recoveryPointMs, 0)
  })

  test('while much is on its way it is that of what is still to come', async () => {
    const fixture = new TailFixture()
    const shipper = fixture.shipper()
    const startedAt = fixture.now
    fixture.commit(100, 100 * 1024)
    fixture.now += INTERVAL_MS
    assert.ok(shipper.look())
    await shipper.ship()
    assert.equal(shipper.recoveryPointMs, fixture.now - startedAt)
    // Looks in between do not move the goal away.
    fixture.commit(1)
    const goalAt = fixture.now
    fixture.now += INTERVAL_MS
    assert.ok(shipper.look())
    while ((await shipper.ship()).hasMore);
    assert.equal(shipper.recoveryPointMs, fixture.now - goalAt)
  })

  test('until the pointer names the manifest that this began with, nothing counts', async () => {
    const fixture = new TailFixture()
    fixture.commit(2)
    fixture.flush()
    fixture.committer.announcedSequence = 0
    fixture.committer.isAnnounced = false
    fixture.now += 500
    fixture.domain.memtables.unflushedSince = fixture.now
    fixture.commit(1)
    const shipper = fixture.shipper()
    const startedAt = fixture.now
    await fixture.interval(shipper)
    assert.deepEqual(await fixture.ranges(), [[3, 3]])
    assert.equal(shipper.recoveryPointMs, fixture.now - startedAt)
    fixture.committer.announcedSequence = 2
    fixture.committer.isAnnounced = true
    assert.equal(shipper.recoveryPointMs, 0)
  })
})

test('any history: the bucket has all that is committed, and the figure is never too good', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('commit' as const), count: fc.integer({ min: 1, max: 40 }) }),
    fc.record({ do: fc.constantFrom('interval', 'flush', 'lead', 'freeze') }),
  )
  const run = async (steps: { do: string; count?: number }[], seed: number): Promise<void> => {
    const fixture = new TailFixture()
    const rates = { errorBefore: 0.2, errorAfter: 0.2, throttle: 0.1 }
    fixture.fail(seededPlan(seed, rates))
    let shipper = fixture.shipper()
    let flushed = 0
    const committedAt: number[] = []
    const check = async (): Promise<void> => {
      const safe = Math.max(flushed, shipper.shippedSequence)
      const found = new Set(
        (await fixture.tails()).flatMap(({ first, batches }) => batches.map((_, i) => first + i)),
      )
      for (let sequence = flushed + 1; sequence <= safe; sequence++) assert.ok(found.has(sequence))
      const lost = committedAt[safe]
      if (lost !== undefined) assert.ok(shipper.recoveryPointMs >= fixture.now - lost)
    }
    for (const { do: what, count = 0 } of steps) {
      fixture.now += 10
      if (what === 'commit') {
        fixture.commit(count, 10_000)
        for (let i = 0; i < count; i++) committedAt.push(fixture.now)
      } else if (what === 'freeze') fixture.append(ENTRY_KIND.freeze, new Uint8Array(8))
      else if (what === 'flush') {
        fixture.flush()
        flushed = fixture.committed.length
      } else if (what === 'lead') {
        await shipper.close()
        fixture.term++
        shipper = fixture.shipper()
      } else await fixture.interval(shipper).catch(() => 0)
      await check()
    }
    fixture.heal()
    for (let i = 0; i < 40; i++) await fixture.interval(shipper)
    await fixture.expectWhole(flushed)
    assert.equal(shipper.recoveryPointMs, 0)
  }
  const steps = fc.array(step, { maxLength: 30 })
  await fc.assert(fc.asyncProperty(steps, fc.nat(), run), { numRuns: 40 })
})
