/**
 * Goal: nothing waits while flushes and compactions keep up; the pace falls smoothly as they fall
 * behind, and recovers at once. Method: a throttle with a clock of our own.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import {
  FROZEN_SLOW,
  FROZEN_STOP,
  L0_SLOW_TABLES,
  L0_STOP_TABLES,
  WriteThrottle,
} from '../../../src/main/storage/write-throttle.ts'

const MIB = 1024 * 1024

class Fixture {
  now = 1000
  readonly throttle = new WriteThrottle(() => this.now)

  /** Milliseconds that a mebibyte takes at a state of things. */
  msPerMib(level0: number, frozen: number): number {
    this.throttle.update(0, 0)
    this.throttle.update(level0, frozen)
    return this.throttle.dueAt(MIB) - this.now
  }
}

test('below the limits nothing is slowed', () => {
  const fixture = new Fixture()
  assert.equal(fixture.msPerMib(L0_SLOW_TABLES - 1, FROZEN_SLOW - 1), 0)
  assert.equal(fixture.throttle.isSlowing, false)
  assert.equal(fixture.throttle.delayMs, 0)
})

test('every further table or memtable slows more, up to a mebibyte a second', () => {
  const fixture = new Fixture()
  const byTables = Array.from({ length: L0_STOP_TABLES - L0_SLOW_TABLES + 1 }, (_, i) =>
    fixture.msPerMib(L0_SLOW_TABLES + i, 0),
  )
  const byMemtables = Array.from({ length: FROZEN_STOP - FROZEN_SLOW + 1 }, (_, i) =>
    fixture.msPerMib(0, FROZEN_SLOW + i),
  )
  for (const paces of [byTables, byMemtables]) {
    assert.ok(paces[0] > 0)
    for (let i = 1; i < paces.length; i++) assert.ok(paces[i] >= paces[i - 1], `${paces}`)
    assert.ok(Math.abs((paces.at(-1) ?? 0) - 1000) < 1)
  }
  // Smooth: no step slows by more than half again of a halving.
  for (let i = 1; i < byTables.length; i++) assert.ok(byTables[i] / byTables[i - 1] < 1.5)
})

test('the worse of the two counts', () => {
  const fixture = new Fixture()
  const both = fixture.msPerMib(L0_STOP_TABLES - 1, FROZEN_SLOW)
  const tables = fixture.msPerMib(L0_STOP_TABLES - 1, 0)
  assert.equal(both, tables)
})

test('promises queue up one behind the other, and time pays them off', () => {
  const fixture = new Fixture()
  const { throttle } = fixture
  throttle.update(L0_STOP_TABLES, 0)
  const first = throttle.dueAt(MIB)
  const second = throttle.dueAt(MIB)
  assert.ok(Math.abs(second - first - 1000) < 1)
  assert.ok(Math.abs(throttle.delayMs - 2000) < 1)
  fixture.now += 1500
  assert.ok(Math.abs(throttle.delayMs - 500) < 1)
  fixture.now += 10_000
  assert.equal(throttle.delayMs, 0)
})

test('once nothing is behind, no promise is left over', () => {
  const fixture = new Fixture()
  const { throttle } = fixture
  throttle.update(L0_STOP_TABLES, 0)
  throttle.dueAt(100 * MIB)
  throttle.update(0, 0)
  assert.equal(throttle.delayMs, 0)
  assert.equal(throttle.dueAt(MIB), fixture.now)
  throttle.update(L0_SLOW_TABLES, 0)
  assert.ok(throttle.dueAt(1) - fixture.now < 1)
})
