/**
 * Goal: rows are flushed when they have waited for the interval, and the domain that keeps the log
 * too long is flushed or moved forward. Method: candidates and a clock of our own.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { type FlushCandidate, FlushSchedule } from '../../../src/main/storage/flush-schedule.ts'

class Candidate implements FlushCandidate {
  unflushedSince: number | undefined
  lastFlushAt = 0
  readonly calls: string[] = []
  readonly #settlers: { resolve: () => void; reject: (error: Error) => void }[] = []

  flush(): Promise<void> {
    return this.#call('flush')
  }

  moveForward(): Promise<void> {
    return this.#call('moveForward')
  }

  async settle(error?: Error): Promise<void> {
    const settler = this.#settlers.shift()
    if (error === undefined) settler?.resolve()
    else settler?.reject(error)
    for (let i = 0; i < 5; i++) await Promise.resolve()
  }

  #call(name: string): Promise<void> {
    this.calls.push(name)
    return new Promise((resolve, reject) => this.#settlers.push({ resolve, reject }))
  }
}

class Fixture {
  now = 0
  readonly log = { sizeBytes: 0, pinned: undefined as number | undefined }
  readonly candidates = [new Candidate(), new Candidate()]
  readonly failures: unknown[] = []
  readonly schedule: FlushSchedule

  constructor() {
    const { log } = this
    this.schedule = new FlushSchedule({
      candidateOf: domain => this.candidates[domain],
      domains: this.candidates.length,
      log: {
        get sizeBytes() {
          return log.sizeBytes
        },
        pinningGroup: () => log.pinned,
      },
      flushIntervalMs: 1000,
      logBytesMax: 100,
      now: () => this.now,
      onFailure: error => this.failures.push(error),
    })
  }
}

test('a domain with rows is flushed when the interval has passed since its last flush', () => {
  const fixture = new Fixture()
  const [first, second] = fixture.candidates
  first.unflushedSince = 900
  second.unflushedSince = 900
  second.lastFlushAt = 500
  fixture.now = 999
  fixture.schedule.look()
  assert.deepEqual([first.calls, second.calls], [[], []])
  fixture.now = 1000
  fixture.schedule.look()
  assert.deepEqual([first.calls, second.calls], [['flush'], []])
  fixture.now = 1500
  fixture.schedule.look()
  assert.deepEqual([first.calls, second.calls], [['flush'], ['flush']])
})

test('a row that came while the last flush went on waits no longer than the interval', () => {
  const fixture = new Fixture()
  const [first] = fixture.candidates
  first.unflushedSince = 100
  first.lastFlushAt = 700
  // Looks are 125 ms apart.
  fixture.now = 975
  fixture.schedule.look()
  assert.deepEqual(first.calls, [])
  fixture.now = 1099
  fixture.schedule.look()
  assert.deepEqual(first.calls, ['flush'])
})

test('without rows nothing is flushed however long ago the last flush was', () => {
  const fixture = new Fixture()
  fixture.now = 1_000_000
  fixture.schedule.look()
  assert.deepEqual(fixture.candidates[0].calls, [])
})

test('one flush of a domain at a time; a failure is told and tried again', async () => {
  const fixture = new Fixture()
  const [candidate] = fixture.candidates
  candidate.unflushedSince = 0
  fixture.now = 2000
  fixture.schedule.look()
  fixture.schedule.look()
  assert.deepEqual(candidate.calls, ['flush'])
  await candidate.settle(new Error('no bucket'))
  assert.equal(fixture.failures.length, 1)
  fixture.schedule.look()
  assert.deepEqual(candidate.calls, ['flush', 'flush'])
})

test('a log that is too long: the domain that holds its oldest part is flushed', async () => {
  const fixture = new Fixture()
  const [first, second] = fixture.candidates
  second.unflushedSince = 0
  fixture.log.pinned = 1
  fixture.log.sizeBytes = 100
  fixture.schedule.look()
  assert.deepEqual(second.calls, [])
  fixture.log.sizeBytes = 101
  fixture.schedule.look()
  assert.deepEqual(second.calls, ['flush'])
  assert.deepEqual(first.calls, [])
  // Without rows its manifest is moved to the end of the log instead.
  await second.settle()
  second.unflushedSince = undefined
  fixture.schedule.look()
  assert.deepEqual(second.calls, ['flush', 'moveForward'])
})
