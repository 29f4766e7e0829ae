/**
 * Goal: writes are refused while the disk of the log is full, and taken again when it has room;
 * what a caller is told then is when to come back.
 * Method: a domain with a stub log and a link that only notes what was sent.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { ByteWriter } from '../../src/codec/bytes.ts'
import { DomainHandle } from '../../src/main/domain-handle.ts'
import type { ReplicatedLog } from '../../src/main/replication/replicated-log.ts'
import type { CachedBlocks } from '../../src/main/storage/cached-blocks.ts'
import type { TableStore } from '../../src/main/storage/table-store.ts'
import type { WorkerLink } from '../../src/main/worker-link.ts'
import type { Control } from '../../src/shared/control.ts'
import { REQUEST } from '../../src/shared/messages.ts'

class Fixture {
  readonly sent: number[] = []
  readonly log = { isFull: false }
  readonly domain: DomainHandle

  constructor() {
    const { sent } = this
    const link = {
      admit: () => {},
      begin: (kind: number) => {
        sent.push(kind)
        return new ByteWriter()
      },
      send: () => {},
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
    this.domain.beginLeading()
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
  void domain.read('listPartitions', new Uint8Array(16))
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
