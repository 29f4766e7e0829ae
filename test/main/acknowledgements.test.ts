/**
 * Goal: answers come once what they saw is committed, in order; while the throttle slows, those of
 * writes come later, and never are lost. Method: calls that note their outcome, a clock of our own.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MetastoreError } from '../../src/codec/errors.ts'
import { Acknowledgements } from '../../src/main/acknowledgements.ts'
import { type Call, newCall } from '../../src/main/calls.ts'
import { L0_STOP_TABLES, WriteThrottle } from '../../src/main/storage/write-throttle.ts'

class Fixture {
  readonly throttle = new WriteThrottle(() => performance.now())
  readonly answers = new Acknowledgements(this.throttle, () => performance.now())
  readonly released: string[] = []

  call(name: string, isWrite: boolean): Call {
    if (isWrite) this.answers.writesUnderWay++
    return newCall(
      value => this.released.push(`${name}: ${value}`),
      error => this.released.push(`${name}: ${(error as MetastoreError).code}`),
      () => undefined,
      isWrite,
    )
  }
}

test('answers wait for the commit of what they saw, refusals and reads too', () => {
  const fixture = new Fixture()
  const { answers, released } = fixture
  const call = (name: string, isWrite: boolean): Call => fixture.call(name, isWrite)
  answers.proposed(1, call('write 1', true), 'ok', 10)
  answers.answered(1, call('read', false), 'row', 0)
  answers.proposed(2, call('write 2', true), new MetastoreError('CONFLICT', 'no'), 10)
  assert.deepEqual(released, [])
  assert.equal(answers.waitingCount, 3)
  answers.committed(1)
  assert.deepEqual(released, ['write 1: ok', 'read: row'])
  assert.equal(answers.unacknowledgedBytes, 10)
  answers.committed(2)
  assert.equal(released.at(-1), 'write 2: CONFLICT')
  assert.equal(answers.writesUnderWay, 0)
  assert.equal(answers.unacknowledgedBytes, 0)
  // What is committed already waits for nothing.
  answers.answered(2, call('read 2', false), 'row', 2)
  assert.equal(released.at(-1), 'read 2: row')
  assert.ok(answers.isEmpty)
})

test('while the throttle slows, writes are acknowledged at its pace, reads at once', async () => {
  const fixture = new Fixture()
  const { answers, released, throttle } = fixture
  throttle.update(L0_STOP_TABLES, 0)
  // A mebibyte a second: this takes some 30 ms.
  answers.proposed(1, fixture.call('write', true), 'ok', 32_768)
  answers.answered(1, fixture.call('read', false), 'row', 0)
  answers.committed(1)
  assert.deepEqual(released, ['read: row'])
  assert.equal(answers.writesUnderWay, 1)
  assert.equal(answers.isEmpty, false)
  for (let i = 0; i < 2000 && !answers.isEmpty; i++) await sleep(1)
  assert.deepEqual(released, ['read: row', 'write: ok'])
  assert.equal(answers.unacknowledgedBytes, 0)
})

test('held acknowledgements come at once at the end, as successes also in a failure', () => {
  const fixture = new Fixture()
  const { answers, released, throttle } = fixture
  throttle.update(L0_STOP_TABLES, 0)
  answers.proposed(1, fixture.call('held', true), 'ok', 1_000_000)
  answers.committed(1)
  answers.proposed(2, fixture.call('uncommitted', true), 'ok', 10)
  answers.fail(new MetastoreError('UNAVAILABLE', 'the disk is gone'))
  assert.deepEqual(released, ['held: ok', 'uncommitted: INDETERMINATE'])
})
