/**
 * Goal: writes are refused while the disk of the log is full or too much is under way, and taken
 * again when there is room; what a caller is told then is when to come back.
 * Method: a domain with a log of the test's own and a link that only notes what was sent.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ByteReader, ByteWriter } from '../../src/codec/bytes.ts'
import { type Call, Calls } from '../../src/main/calls.ts'
import { DomainHandle } from '../../src/main/domain-handle.ts'
import type { ReplicatedLog } from '../../src/main/replication/replicated-log.ts'
import type { CachedBlocks } from '../../src/main/storage/cached-blocks.ts'
import type { TableStore } from '../../src/main/storage/table-store.ts'
import type { WorkerLink } from '../../src/main/worker-link.ts'
import type { Control } from '../../src/shared/control.ts'
import { REQUEST } from '../../src/shared/messages.ts'

class Fixture {
  readonly sent: number[] = []
  readonly calls: Calls = new Calls()
  requestBytes = 100
  readonly log = { isFull: false }
  readonly domain: DomainHandle

  constructor() {
    const { sent, calls } = this
    const link = {
      admit: () => {},
      begin: (kind: number, _domain: number, call: Call) => {
        sent.push(kind)
        calls.add(call)
        return new ByteWriter()
      },
      send: (call: Call) => {
        call.requestBytes = this.requestBytes
      },
      take: (call: number) => calls.take(call),
    }
    const control = { advanceVisible: () => {} }
    this.domain = new DomainHandle({
      number: 3,
      uuid: '',
      link: link as unknown as WorkerLink,
      control: control as unknown as Control,
      memtableBytesMax: 65536,
      readsHere: false,
      memtables: [],
      tables: {} as TableStore,
      blocks: {} as CachedBlocks,
    })
    this.domain.log = this.log as ReplicatedLog
    this.domain.beginLeading(0)
  }

  write(): Promise<unknown> {
    return this.domain.write(
      () => {},
      () => undefined,
    )
  }
}

test('a write on a full disk is OVERLOADED at once, and nothing of it is sent', async () => {
  const { domain, log, sent } = new Fixture()
  log.isFull = true
  await assert.rejects(
    domain.write(
      () => assert.fail('encoded'),
      () => undefined,
    ),
    {
      code: 'OVERLOADED',
      retryable: true,
      message: 'metastore partition 3: the disk of the log is full',
      details: { retryAfterMs: 1000 },
    },
  )
  assert.deepEqual(sent, [])
  assert.ok(domain.isIdle)
})

test('reads and requests about the domain go on while the disk is full', () => {
  const { domain, log, sent } = new Fixture()
  log.isFull = true
  void domain.reads.read('listPartitions', new Uint8Array(16))
  assert.deepEqual(sent, [REQUEST.read])
})

test('writes go on when there is room again', async () => {
  const fixture = new Fixture()
  fixture.log.isFull = true
  await assert.rejects(fixture.write(), { code: 'OVERLOADED' })
  fixture.log.isFull = false
  void fixture.write()
  assert.deepEqual(fixture.sent, [REQUEST.write])
})

test('writes that wait for the worker are bounded, and taken again when it has answered', async () => {
  const fixture = new Fixture()
  fixture.requestBytes = 8 * 1024 * 1024
  void fixture.write()
  const answered = fixture.write()
  await assert.rejects(fixture.write(), {
    code: 'OVERLOADED',
    message: 'metastore partition 3: 16777216 bytes wait for their worker or their commit',
    details: { retryAfterMs: 20 },
  })
  assert.equal(fixture.sent.length, 2)
  const answer = new ByteWriter().varint(0).u8(0).take()
  fixture.domain.onAnswer(2, new ByteReader(answer, 'answer'))
  await answered
  void fixture.write()
  assert.equal(fixture.sent.length, 3)
})
