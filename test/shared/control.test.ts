/**
 * Goal: every control word is its own, and sequences of more than 32 bits are whole.
 * Method: all words of one Control are written with different values and read through another one.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Control } from '../../src/shared/control.ts'

const WORKERS = 3
const DOMAINS = 4

describe('control words', () => {
  test('are zero at first', () => {
    const control = Control.create(WORKERS, DOMAINS)
    assert.equal(control.mainDoorbell().count(), 0)
    for (let w = 0; w < WORKERS; w++) assert.equal(control.workerDoorbell(w).count(), 0)
    for (let d = 0; d < DOMAINS; d++) assert.equal(control.visibleSequence(d), 0)
  })

  test('do not disturb one another, and are seen through every mapping', () => {
    const control = Control.create(WORKERS, DOMAINS)
    const other = new Control(control.memory, WORKERS)
    for (let d = 0; d < DOMAINS; d++) control.advanceVisible(d, 2 ** 40 + d)
    control.mainDoorbell().ring()
    for (let w = 0; w < WORKERS; w++) {
      for (let i = 0; i < w + 2; i++) control.workerDoorbell(w).ring()
    }
    assert.equal(other.mainDoorbell().count(), 1)
    for (let w = 0; w < WORKERS; w++) assert.equal(other.workerDoorbell(w).count(), w + 2)
    for (let d = 0; d < DOMAINS; d++) assert.equal(other.visibleSequence(d), 2 ** 40 + d)
  })

  test('hold sequences up to 2^53', () => {
    const control = Control.create(0, 1)
    for (const sequence of [1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      control.advanceVisible(0, sequence)
      assert.equal(control.visibleSequence(0), sequence)
    }
  })
})

describe('a doorbell', () => {
  test('does not let anyone sleep who looked before it rang', async () => {
    const bell = Control.create(1, 0).workerDoorbell(0)
    const seen = bell.count()
    bell.ring()
    bell.wait(seen)
    assert.equal(bell.waitAsync(seen), undefined)
    assert.notEqual(bell.count(), seen)
    const waiting = bell.waitAsync(bell.count())
    assert.ok(waiting instanceof Promise)
    bell.ring()
    // A sleeper does not keep the process alive, so a timer has to.
    const deadline = setTimeout(() => {}, 5000)
    assert.equal(await waiting, 'ok')
    clearTimeout(deadline)
  })

  test('wakes after the timeout when it does not ring', () => {
    const bell = Control.create(1, 0).workerDoorbell(0)
    const start = performance.now()
    bell.wait(bell.count(), 20)
    assert.ok(performance.now() - start >= 15)
  })

  test('rings on past the overflow of its count', () => {
    const control = Control.create(1, 0)
    new Int32Array(control.memory)[0] = -1
    const bell = control.mainDoorbell()
    const seen = bell.count()
    bell.ring()
    assert.equal(bell.count(), 0)
    assert.equal(bell.waitAsync(seen), undefined)
  })
})
