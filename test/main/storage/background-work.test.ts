/**
 * Goal: a background loop does all there is to do, once at a time, tries again what failed, and
 * ends when it is closed. Method: steps that the test controls.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Slots } from '../../../src/main/slots.ts'
import { BackgroundWork } from '../../../src/main/storage/background-work.ts'

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !condition(); i++) await sleep(1)
  assert.ok(condition())
}

test('a wake during a step leads to another step, and two never overlap', async () => {
  let steps = 0
  let underWay = 0
  const work = new BackgroundWork({
    step: async () => {
      assert.equal(++underWay, 1)
      await sleep(2)
      underWay--
      steps++
      return false
    },
    onFailure: error => assert.fail(String(error)),
    random: () => 0,
  })
  work.wake()
  await until(() => underWay === 1)
  work.wake()
  work.wake()
  await until(() => steps === 2)
  await sleep(10)
  assert.equal(steps, 2)
  await work.close()
})

test('goes on while a step says that there is more', async () => {
  let left = 5
  const work = new BackgroundWork({
    step: async () => --left > 0,
    onFailure: error => assert.fail(String(error)),
    random: () => 0,
  })
  work.wake()
  await until(() => left === 0)
  await work.close()
  assert.equal(left, 0)
})

test('a failed step is told of and tried again, and failures count up until one succeeds', async () => {
  const told: number[] = []
  let failing = 3
  let done = 0
  const work = new BackgroundWork({
    step: async () => {
      if (failing-- > 0) throw new Error('not now')
      done++
      return false
    },
    onFailure: (_error, failures) => told.push(failures),
    random: () => 0,
  })
  work.wake()
  await until(() => done === 1)
  assert.deepEqual(told, [0, 1, 2])
  failing = 1
  work.wake()
  await until(() => done === 2)
  assert.deepEqual(told, [0, 1, 2, 0])
  await work.close()
})

test('close() ends a pause at once, and nothing begins after it', async () => {
  let steps = 0
  const work = new BackgroundWork({
    step: async () => {
      steps++
      throw new Error('never')
    },
    onFailure: () => {},
    // The longest pause: the first retry would come after 100 ms and later ones after seconds.
    random: () => 1,
  })
  work.wake()
  await until(() => steps === 1)
  await work.close()
  work.wake()
  await sleep(150)
  assert.equal(steps, 1)
})

test('slots: so many at once, in the order of their coming, also after a failure', async () => {
  const slots = new Slots(2)
  const began: number[] = []
  let underWay = 0
  const run = (i: number): Promise<void> =>
    slots.run(async () => {
      began.push(i)
      assert.ok(++underWay <= 2)
      await sleep(1)
      underWay--
      if (i === 1) throw new Error('one fails')
    })
  const outcomes = await Promise.allSettled([0, 1, 2, 3, 4, 5].map(run))
  assert.deepEqual(began, [0, 1, 2, 3, 4, 5])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled', 'fulfilled'],
  )
})
