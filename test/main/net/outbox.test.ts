/**
 * Goal: a socket that takes what it was given is told from one that does not, so that a slow network
 * is not taken for a dead peer, nor the other way round.
 * Method: a stream that takes a write when the test says so.
 */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import test from 'node:test'
import { emptyFrame, FRAME_PING } from '../../../src/codec/frame-format.ts'
import { Outbox } from '../../../src/main/net/outbox.ts'
import { Traffic } from '../../../src/main/net/traffic.ts'
import { message } from '../../../src/main/raft/message.ts'

const PING = emptyFrame(FRAME_PING)

/** Takes nothing until takeOne() is called. */
class StuckStream extends Duplex {
  readonly #waiting: (() => void)[] = []

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    this.#waiting.push(done)
  }

  takeOne(): void {
    this.#waiting.shift()?.()
  }
}

function outboxOf(stream: Duplex): Outbox {
  // Of a socket it uses no more than a stream has.
  return new Outbox(stream as Socket, 1, new Traffic())
}

const nextTurn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('a write that had to wait and was taken is a sign of life', async () => {
  const stream = new StuckStream()
  const outbox = outboxOf(stream)
  for (let i = 0; i < 3; i++) outbox.addFrame(PING)
  await nextTurn()
  assert.equal(outbox.hasMoved(), false, 'nothing had to wait before')
  assert.equal(outbox.hasMoved(), false, 'nothing was taken')
  stream.takeOne()
  await nextTurn()
  assert.equal(outbox.hasMoved(), true)
  assert.equal(outbox.hasMoved(), false, 'nothing more was taken')
  assert.equal(outbox.backlogBytes, 2 * PING.length)
  stream.takeOne()
  stream.takeOne()
  await nextTurn()
  assert.equal(outbox.hasMoved(), true)
  assert.equal(outbox.backlogBytes, 0)
})

test('writes that are taken at once are none: the system takes them for a dead peer too', async () => {
  const stream = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  const outbox = outboxOf(stream)
  for (let i = 0; i < 3; i++) {
    outbox.addFrame(PING)
    await nextTurn()
    assert.equal(outbox.hasMoved(), false)
  }
})

test('what waits counts before the turn ends: frames, and messages of a frame to come', async () => {
  const stream = new StuckStream()
  const outbox = outboxOf(stream)
  outbox.addFrame(PING)
  assert.equal(outbox.backlogBytes, PING.length)
  outbox.addMessage(0, message('timeoutNow', 2, { from: 1, term: 300 }))
  const withMessage = outbox.backlogBytes
  assert.ok(withMessage > PING.length)
  outbox.flush()
  assert.equal(stream.writableLength, withMessage)
  assert.equal(outbox.backlogBytes, withMessage)
  await nextTurn()
  assert.equal(outbox.backlogBytes, withMessage, 'the turn has nothing left to send')
})
