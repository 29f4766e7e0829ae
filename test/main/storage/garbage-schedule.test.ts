/**
 * Goal: garbage is looked for every interval, where something may be found, one round at a time,
 * and never after the end. Method: collectors of our own and looks by hand; a mocked timer.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import {
  GarbageSchedule,
  type ScheduledCollector,
} from '../../../src/main/storage/garbage-schedule.ts'

class Collector implements ScheduledCollector {
  isDue = true
  isDone = true
  rounds = 0
  settle: (error?: Error) => void = () => {}

  collect(isDryRun: boolean): Promise<{ isDone: boolean }> {
    assert.equal(isDryRun, false)
    this.rounds++
    return new Promise((resolve, reject) => {
      this.settle = error => {
        if (error === undefined) resolve({ isDone: this.isDone })
        else reject(error)
      }
    })
  }
}

class Fixture {
  readonly collectors: (Collector | undefined)[] = [new Collector(), undefined, new Collector()]
  readonly failures: unknown[] = []
  readonly schedule: GarbageSchedule

  constructor(intervalMs: number | null = 1000) {
    this.schedule = new GarbageSchedule({
      collectorOf: domain => this.collectors[domain],
      domains: this.collectors.length,
      intervalMs,
      onFailure: error => this.failures.push(error),
    })
  }

  get rounds(): (number | undefined)[] {
    return this.collectors.map(collector => collector?.rounds)
  }

  async settle(domain: number, error?: Error): Promise<void> {
    this.collectors[domain]?.settle(error)
    for (let i = 0; i < 5; i++) await Promise.resolve()
  }
}

test('domains are collected one after the other, and a look under way is not joined', async () => {
  const fixture = new Fixture()
  const look = fixture.schedule.look()
  await fixture.schedule.look()
  assert.deepEqual(fixture.rounds, [1, undefined, 0])
  const error = new Error('the bucket fails')
  await fixture.settle(0, error)
  assert.deepEqual(fixture.failures, [error])
  assert.deepEqual(fixture.rounds, [1, undefined, 1], 'others go on')
  await fixture.settle(2)
  await look
  void fixture.schedule.look()
  assert.deepEqual(fixture.rounds, [2, undefined, 1])
})

test('a domain that is not done has the next round as well', async () => {
  const fixture = new Fixture()
  const [first] = fixture.collectors
  if (first !== undefined) first.isDone = false
  void fixture.schedule.look()
  await fixture.settle(0)
  if (first !== undefined) first.isDone = true
  await fixture.settle(0)
  assert.deepEqual(fixture.rounds, [2, undefined, 1])
})

test('a domain in which nothing has changed is passed over', async () => {
  const fixture = new Fixture()
  for (const collector of fixture.collectors) if (collector !== undefined) collector.isDue = false
  await fixture.schedule.look()
  assert.deepEqual(fixture.rounds, [0, undefined, 0])
})

test('nothing begins after the end', async () => {
  const fixture = new Fixture()
  const look = fixture.schedule.look()
  fixture.schedule.close()
  await fixture.settle(0, new Error('closed'))
  await look
  assert.deepEqual([fixture.rounds, fixture.failures], [[1, undefined, 0], []])
})

test('it looks every interval until it is closed, or never', async context => {
  context.mock.timers.enable({ apis: ['setInterval'] })
  const never = new Fixture(null)
  never.schedule.start()
  const fixture = new Fixture()
  fixture.schedule.start()
  context.mock.timers.tick(999)
  assert.deepEqual(fixture.rounds, [0, undefined, 0])
  context.mock.timers.tick(1)
  assert.deepEqual(fixture.rounds, [1, undefined, 0])
  await fixture.settle(0)
  await fixture.settle(2)
  fixture.schedule.close()
  context.mock.timers.tick(10_000)
  assert.deepEqual(fixture.rounds, [1, undefined, 1])
  assert.deepEqual(never.rounds, [0, undefined, 0])
})
