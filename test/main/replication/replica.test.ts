/**
 * Goal: a domain's part in its group stays whole through changes of role, rebuilds, cuts of the log
 * and restarts, whatever is under way to the worker and back.
 * Method: a Replica over a log in memory; the worker is the test, and answers when the test says.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteReader } from '../../../src/codec/bytes.ts'
import { MetastoreError } from '../../../src/codec/errors.ts'
import { ENTRY_KIND } from '../../../src/main/replication/replicated-log.ts'
import { REQUEST } from '../../../src/shared/messages.ts'
import { manifestOf, ReplicaFixture } from './replica-fixture.ts'

const readRecord = { tp: new Uint8Array(20), kind: new Uint8Array(1), key: new Uint8Array(1) }

describe('a restart', () => {
  test('has all that its manifest stands for, before anything else is committed', async () => {
    const manifest = manifestOf({ lastSequence: 5, lastIndex: 8 })
    const { fake } = new ReplicaFixture(manifest, 10)
    const reached = fake.domain.progress.reached(10)
    await fake.work()
    await reached
    assert.equal(fake.domain.visibleSequence, 5)
  })

  test('gives nothing that the manifest stands for, and what comes behind it once', async () => {
    const fixture = new ReplicaFixture(manifestOf({ lastSequence: 3, lastIndex: 13 }), 10)
    const { fake } = fixture
    fixture.commit(1, 2, 3, 4, 5)
    await fake.work()
    assert.equal(fake.domain.visibleSequence, 5)
    assert.deepEqual(fixture.failures, [])
  })
})

test('a worker that takes nothing is waited for without looking again and again', async () => {
  const fixture = new ReplicaFixture()
  const { fake, replica } = fixture
  fake.worker.isBacklogged = true
  fixture.commit(1, 2)
  assert.ok(replica.isBehind)
  const { looks } = fake.worker
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  assert.equal(fake.worker.looks, looks)
  fake.worker.isBacklogged = false
  await fake.work()
  assert.ok(!replica.isBehind)
  assert.equal(fake.domain.visibleSequence, 2)
})

describe('a rebuild', () => {
  test('goes on where the log was cut while it was under way', async () => {
    const fixture = new ReplicaFixture()
    const { fake, replica } = fixture
    fixture.commit(1, 2, 3, 4)
    replica.onCommitted([
      fixture.append(ENTRY_KIND.manifest, manifestOf({ lastSequence: 2, lastIndex: 2 })),
    ])
    await fake.work()
    fake.worker.isBacklogged = true
    replica.onRefused()
    // The worker has the manifest, and not yet what comes behind it.
    await fake.work()
    fixture.cutIndex = 2
    fake.worker.isBacklogged = false
    await fake.work()
    assert.deepEqual(fixture.failures, [])
    assert.equal(fake.domain.visibleSequence, 4)
    await fake.domain.progress.reached(5)
  })

  test('is one for any number of writes that were on their way', async () => {
    const fixture = new ReplicaFixture()
    const { fake, replica } = fixture
    await fixture.lead()
    const writes = [fake.write(), fake.write(), fake.write()]
    for (const write of writes) write.catch(() => {})
    replica.onRole('follower', 2)
    for (const sequence of [1, 2, 3]) fake.propose(sequence)
    assert.equal(fake.worker.kinds.filter(kind => kind === 'reset').length, 1)
    for (const write of writes) await assert.rejects(write, { code: 'UNAVAILABLE' })
  })

  test('lets a read that was under way be answered behind it', async () => {
    const fixture = new ReplicaFixture()
    const { fake, replica } = fixture
    fixture.commit(1)
    await fake.work()
    const reading = fake.domain.reads.read('getRecord', readRecord)
    const early = fake.worker.sent.filter(({ kind }) => kind === REQUEST.read)
    replica.onRefused()
    await fake.work()
    // The worker answers it with what it was before.
    const answer = Uint8Array.of(1, 0, 1, 1, 65)
    fake.worker.sent.length = 0
    fake.domain.onAnswer(early[0].call, new ByteReader(answer, 'answer'))
    await fake.work()
    const again = fake.worker.sent.filter(({ kind }) => kind === REQUEST.read)
    assert.equal(again.length, 1)
    fake.domain.onAnswer(again[0].call, new ByteReader(answer, 'answer'))
    await reading
  })

  test('has memtables of its own life', async () => {
    const fixture = new ReplicaFixture()
    const { fake, replica } = fixture
    await fixture.lead()
    replica.onRefused()
    const [first, second] = fake.worker.posted.slice(-2)
    assert.deepEqual([first.life, second.life], [1, 1])
    const reset = fake.worker.sent.find(({ kind }) => kind === REQUEST.reset)
    assert.deepEqual(reset?.bytes, Uint8Array.of(1))
  })
})

describe('a deposed leader', () => {
  test('ends the memtable of its own rows with the next leader, and begins not anew', async () => {
    const fixture = new ReplicaFixture()
    const { fake, replica } = fixture
    await fixture.lead()
    const written = fake.write()
    fake.propose(1)
    fixture.commitProposed([1])
    assert.equal(await written, 'written')
    replica.onRole('follower', 2)
    fixture.freeze(1)
    fake.domain.frozeMemtable(1, 1)
    await fake.work()
    assert.deepEqual(fixture.proposed, [])
    assert.ok(!fake.worker.kinds.includes('reset'))
    const [frozen] = fake.domain.memtables.frozen
    assert.deepEqual([frozen.id, frozen.lastSequence, frozen.index], [1, 1, 2])
  })

  test('has room for what is committed, however many memtables wait for the bucket', async () => {
    const fixture = new ReplicaFixture()
    const { fake, replica } = fixture
    await fixture.lead()
    for (let id = 1; fake.worker.posted.length + 2 > id; id++) fake.domain.frozeMemtable(id, id)
    // The last one is active, and none is left to rotate to.
    const before = fake.worker.posted.length
    replica.onRole('follower', 2)
    assert.equal(fake.worker.posted.length, before + 1)
  })

  test('cuts its log by the manifest that it has installed as the leader', async () => {
    const fixture = new ReplicaFixture()
    const { fake, replica } = fixture
    fixture.commit(1, 2)
    await fixture.lead()
    const manifest = manifestOf({ lastSequence: 2, lastIndex: 2 })
    replica.onCommitted([fixture.append(ENTRY_KIND.manifest, manifest)])
    await fake.work()
    assert.deepEqual(fixture.covered, [])
    replica.onRole('follower', 2)
    assert.deepEqual(fixture.covered, [3])
  })

  test('reads what is committed while nobody knows what becomes of its writes', async () => {
    const fixture = new ReplicaFixture()
    const { fake, replica } = fixture
    await fixture.lead()
    fake.write().catch(() => {})
    fake.propose(1)
    replica.onRole('follower', 2)
    void fake.domain.reads.read('getRecord', readRecord)
    const read = fake.worker.sent.find(({ kind }) => kind === REQUEST.read)
    // At sequence 0, not at the newest: one more than it.
    assert.equal(read?.bytes[0], 1)
  })
})

describe('a leader', () => {
  test('whose worker cannot reach the bucket tries again to be ready', async () => {
    const fixture = new ReplicaFixture()
    const { fake, replica } = fixture
    await fake.work()
    replica.onRole('leader', 1)
    replica.onCommitted([fixture.append(0)])
    const recovered = fake.worker.sent.find(({ kind }) => kind === REQUEST.recovered)
    assert.ok(recovered)
    fake.worker.sent.splice(fake.worker.sent.indexOf(recovered), 1)
    fake.refuse(recovered.call, new MetastoreError('UNAVAILABLE', 'the bucket is away'))
    await fake.work()
    assert.deepEqual([fixture.failures, replica.isLeading], [[], false])
    await sleep(300)
    await fake.work()
    assert.ok(replica.isLeading)
  })

  test('that closes before its worker was ready leads nothing, and has not failed', async () => {
    const fixture = new ReplicaFixture()
    const { fake, replica } = fixture
    await fake.work()
    replica.onRole('leader', 1)
    replica.onCommitted([fixture.append(0)])
    const recovered = fake.worker.sent.find(({ kind }) => kind === REQUEST.recovered)
    assert.ok(recovered)
    fake.worker.sent.splice(fake.worker.sent.indexOf(recovered), 1)
    fake.refuse(recovered.call, new MetastoreError('CLOSED', 'the metastore is closed'))
    await fake.work()
    assert.deepEqual([fixture.failures, replica.isLeading], [[], false])
  })

  test('answers what changed nothing only when it is certain to lead', async () => {
    const fixture = new ReplicaFixture()
    const { fake } = fixture
    let confirm: () => void = () => {}
    fake.domain.confirm = () =>
      new Promise<void>(resolve => {
        confirm = resolve
      })
    await fixture.lead()
    let isAnswered = false
    const first = fake.write().finally(() => {
      isAnswered = true
    })
    fake.answer(0)
    await fake.work()
    assert.ok(!isAnswered)
    confirm()
    assert.equal(await first, 'written')

    const second = fake.write()
    fake.answer(0, new MetastoreError('CONFLICT', 'stale'))
    fixture.replica.onRole('follower', 2)
    // Somebody else leads, and the answer may have been another one there.
    confirm()
    await assert.rejects(second, { code: 'UNAVAILABLE' })
  })
})

describe('a manifest', () => {
  test('of another history is not offered in a snapshot', async () => {
    const fixture = new ReplicaFixture()
    const { fake, replica } = fixture
    fixture.commit(1)
    const newer = manifestOf({ epoch: 3, lastSequence: 1, lastIndex: 1 })
    const older = manifestOf({ epoch: 2, version: 7, lastSequence: 1, lastIndex: 1 })
    replica.onCommitted([fixture.append(ENTRY_KIND.manifest, newer)])
    replica.onCommitted([fixture.append(ENTRY_KIND.manifest, older)])
    replica.onCommitted([fixture.append(ENTRY_KIND.manifest, newer)])
    await fake.work()
    assert.ok(fixture.offered.length > 0)
    for (const { manifest } of fixture.offered) assert.deepEqual(manifest, newer)
  })
})
