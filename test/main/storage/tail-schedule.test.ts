/**
 * Goal: every domain has its turn, few at a time, and what fails or ends holds up no other one.
 * Method: sources of our own, whose shipments the test ends.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import {
  type Shipment,
  TailSchedule,
  type TailSource,
} from '../../../src/main/storage/tail-schedule.ts'

class Source implements TailSource {
  isDue = false
  shipments = 0
  #settle: { resolve: (done: Shipment) => void; reject: (error: Error) => void } | undefined

  look(): boolean {
    return this.isDue && this.#settle === undefined
  }

  ship(): Promise<Shipment> {
    this.shipments++
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
  }

  async end(hasMore = false): Promise<void> {
    this.isDue = hasMore
    this.#settle?.resolve({ sizeBytes: 100, hasMore })
    this.#settle = undefined
    await turns()
  }

  async fail(): Promise<void> {
    this.#settle?.reject(new Error('no bucket'))
    this.#settle = undefined
    await turns()
  }
}

async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve()
}

class Fixture {
  now = 0
  readonly sources: (Source | undefined)[] = [new Source(), new Source(), new Source()]
  readonly failures: number[] = []
  readonly schedule: TailSchedule = new TailSchedule({
    sourceOf: domain => this.sources[domain],
    domains: 3,
    tailIntervalMs: 1000,
    atOnceMax: 1,
    now: () => this.now,
    onFailure: domain => this.failures.push(domain),
  })

  get shipments(): (number | undefined)[] {
    return this.sources.map(source => source?.shipments)
  }
}

test('those that are due have their turns, one at a time; the others are left alone', async () => {
  const fixture = new Fixture()
  const { schedule } = fixture
  const [first, , third] = fixture.sources
  assert.ok(first && third)
  first.isDue = true
  third.isDue = true
  schedule.look()
  schedule.look()
  assert.deepEqual(fixture.shipments, [1, 0, 0])
  first.isDue = false
  await first.end()
  assert.deepEqual(fixture.shipments, [1, 0, 1])
  await third.end()
  schedule.look()
  assert.deepEqual(fixture.shipments, [1, 0, 1])
})

test('one with more to ship stands in line again, behind the others', async () => {
  const fixture = new Fixture()
  const [first, second] = fixture.sources
  assert.ok(first && second)
  first.isDue = true
  second.isDue = true
  fixture.schedule.look()
  await first.end(true)
  assert.deepEqual(fixture.shipments, [1, 1, 0])
  await second.end()
  assert.deepEqual(fixture.shipments, [2, 1, 0])
  await first.end()
  assert.deepEqual(fixture.shipments, [2, 1, 0])
})

test('one that took longer than the interval is looked at again at once', async () => {
  const fixture = new Fixture()
  const [first, second] = fixture.sources
  assert.ok(first && second)
  first.isDue = true
  fixture.schedule.look()
  fixture.schedule.look()
  const ended = first.end()
  first.isDue = true
  await ended
  assert.deepEqual(fixture.shipments, [2, 0, 0])
  // Not late this time.
  await first.end()
  assert.deepEqual(fixture.shipments, [2, 0, 0])
  // Late, and there is nothing new.
  first.isDue = true
  fixture.schedule.look()
  fixture.schedule.look()
  await first.end()
  assert.deepEqual(fixture.shipments, [3, 0, 0])
})

test('a failure is told, and the next one has its turn', async () => {
  const fixture = new Fixture()
  const [first, second] = fixture.sources
  assert.ok(first && second)
  first.isDue = true
  second.isDue = true
  fixture.schedule.look()
  await first.fail()
  assert.deepEqual([fixture.failures, fixture.shipments], [[0], [1, 1, 0]])
  await second.end()
  const { puts, bytes, failures } = fixture.schedule
  assert.deepEqual([puts, bytes, failures], [1, 100, 1])
  fixture.now = 60_000
  assert.equal(fixture.schedule.putsAnHour, 60)
})

test('one that is led elsewhere by now is passed over, and after the end nothing begins', async () => {
  const fixture = new Fixture()
  const [first, second, third] = fixture.sources
  assert.ok(first && second && third)
  for (const source of [first, second, third]) source.isDue = true
  fixture.schedule.look()
  fixture.sources[1] = undefined
  await first.end(true)
  assert.equal(second.shipments, 0)
  assert.equal(third.shipments, 1)
  fixture.schedule.close()
  await third.end()
  assert.deepEqual([first.shipments, second.shipments, third.shipments], [1, 0, 1])
})
