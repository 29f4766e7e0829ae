/**
 * Goal: deadlines pass in time with one timer, which is gone when nobody waits; waits between
 * connections grow and stay apart; the log is not filled by those who are refused.
 * Method: a clock moved by hand.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { backoffMs } from '../../../src/main/net/backoff.ts'
import { Deadlines } from '../../../src/main/net/deadlines.ts'
import { Incidents } from '../../../src/main/net/incidents.ts'
import { ManualClock } from './manual-clock.ts'

test('each deadline passes once, at its time or up to 10 ms later', () => {
  const clock = new ManualClock()
  const deadlines = new Deadlines(clock)
  const late: number[] = []
  const dues = [503, 101, 250, 250, 999, 100]
  for (const afterMs of dues) {
    const dueMs = clock.nowMs() + afterMs
    deadlines.add({ dueMs, expire: () => late.push(clock.nowMs() - dueMs) })
    assert.ok(clock.timerCount === 1)
  }
  clock.advance(2000)
  assert.equal(late.length, dues.length)
  assert.ok(
    late.every(ms => ms >= 0 && ms <= 10),
    `${late}`,
  )
  assert.equal(clock.timerCount, 0)
})

test('what was deleted does not expire, and the last one takes the timer along', () => {
  const clock = new ManualClock()
  const deadlines = new Deadlines(clock)
  const expired: string[] = []
  const first = { dueMs: clock.nowMs() + 100, expire: () => expired.push('first') }
  const second = { dueMs: clock.nowMs() + 200, expire: () => expired.push('second') }
  deadlines.add(first)
  deadlines.add(second)
  deadlines.delete(first)
  clock.advance(300)
  assert.deepEqual(expired, ['second'])
  deadlines.add({ ...first, dueMs: clock.nowMs() + 50 })
  const third = { ...first, dueMs: clock.nowMs() + 40 }
  deadlines.add(third)
  deadlines.delete(third)
  clock.advance(100)
  assert.deepEqual(expired, ['second', 'first'])
  deadlines.add(second)
  deadlines.delete(second)
  assert.equal(clock.timerCount, 0)
})

test('a thousand deadlines close together fire the timer a few times', () => {
  const clock = new ManualClock()
  const deadlines = new Deadlines(clock)
  let expired = 0
  for (let i = 0; i < 1000; i++) {
    deadlines.add({ dueMs: clock.nowMs() + 100 + i / 10, expire: () => expired++ })
  }
  clock.advance(1000)
  assert.equal(expired, 1000)
  assert.ok(clock.delaysMs.length < 20, `${clock.delaysMs.length} timers`)
})

test('waits double up to the longest one, and are spread over the upper half', () => {
  const least = [1, 2, 3, 4, 5, 6, 7, 100].map(failures => backoffMs(failures, 50, 2000, 0))
  assert.deepEqual(least, [25, 50, 100, 200, 400, 800, 1000, 1000])
  const most = [1, 2, 100].map(failures => backoffMs(failures, 50, 2000, 1))
  assert.deepEqual(most, [50, 100, 2000])
})

test('of one kind of incident a line is logged in ten seconds, with how many there were', () => {
  const clock = new ManualClock()
  const lines: object[] = []
  const logger = {
    debug() {},
    info() {},
    error() {},
    warn: (details: object) => lines.push(details),
  }
  const incidents = new Incidents(logger, clock)
  for (let i = 0; i < 100; i++) incidents.count('secret', { address: 'a' })
  incidents.count('malformed', { address: 'b' })
  assert.deepEqual(lines, [
    { incident: 'secret', times: 1, address: 'a' },
    { incident: 'malformed', times: 1, address: 'b' },
  ])
  clock.advance(10_000)
  incidents.count('secret', { address: 'c' })
  assert.deepEqual(lines[2], { incident: 'secret', times: 100, address: 'c' })
  assert.equal(incidents.counts().secret, 101)
  assert.equal(incidents.counts().tls, 0)
})
