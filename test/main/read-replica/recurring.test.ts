/**
 * Goal: recurring work runs on its timer, later after failures, one run at a time, and not after
 * its close. Method: a clock moved by hand, and work that ends when the test says so.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetastoreError } from '../../../src/codec/errors.ts'
import { Recurring } from '../../../src/main/read-replica/recurring.ts'
import { ManualClock } from '../net/manual-clock.ts'

class Work {
  readonly clock = new ManualClock()
  readonly failures: number[] = []
  readonly recurring: Recurring
  runs = 0
  #end: (error?: Error) => void = () => {}

  constructor() {
    this.recurring = new Recurring({
      work: () =>
        new Promise((resolve, reject) => {
          this.runs++
          this.#end = error => (error === undefined ? resolve() : reject(error))
        }),
      ...{ intervalMs: 100, intervalMsMax: 1000, clock: this.clock },
      random: () => 1,
      onFailure: (_, failures) => this.failures.push(failures),
    })
  }

  async end(error?: Error): Promise<void> {
    this.#end(error)
    for (let i = 0; i < 10; i++) await Promise.resolve()
  }
}

test('runs after the interval, counted from the end of the run before', async () => {
  const work = new Work()
  work.recurring.start()
  work.clock.advance(99)
  assert.equal(work.runs, 0)
  work.clock.advance(1)
  assert.equal(work.runs, 1)
  work.clock.advance(500)
  assert.equal(work.runs, 1)
  await work.end()
  work.clock.advance(100)
  assert.equal(work.runs, 2)
})

test('failures lengthen the pause up to its limit, and a success ends that', async () => {
  const work = new Work()
  const failed = new Error('no')
  for (let i = 0; i < 7; i++) {
    const run = work.recurring.run()
    const isTold = assert.rejects(run, failed)
    await work.end(failed)
    await isTold
  }
  await Promise.all([work.recurring.run(), work.end()])
  assert.deepEqual(work.clock.delaysMs, [100, 200, 400, 800, 1000, 1000, 1000, 100])
  assert.deepEqual(work.failures, [1, 2, 3, 4, 5, 6, 7])
})

test('who asks during a run gets the one after it, and shares that', async () => {
  const work = new Work()
  const first = work.recurring.run()
  const [second, third] = [work.recurring.run(), work.recurring.run()]
  assert.equal(second, third)
  assert.equal(work.runs, 1)
  // The first one's failure is not theirs.
  const isTold = assert.rejects(first)
  await work.end(new Error('no'))
  await isTold
  assert.equal(work.runs, 2)
  await work.end()
  await Promise.all([second, third])
  assert.equal(work.runs, 2)
})

test('after close() nothing runs, no timer is left, and who waits is told', async () => {
  const work = new Work()
  const first = work.recurring.run()
  const second = work.recurring.run()
  let isClosed = false
  const closing = work.recurring.close().then(() => {
    isClosed = true
  })
  const isClosedError = (error: unknown): boolean =>
    error instanceof MetastoreError && error.code === 'CLOSED'
  const isTold = assert.rejects(second, isClosedError)
  await Promise.resolve()
  assert.equal(isClosed, false)
  await work.end()
  await Promise.all([first, closing, isTold])
  await assert.rejects(work.recurring.run(), isClosedError)
  assert.deepEqual([work.runs, work.clock.timerCount], [1, 0])
})
