/**
 * Goal: no more work at once than there are slots, in order; a failure begins nothing more and
 * leaves nothing behind. Method: work that takes random turns of the event loop.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { inParallel, Slots } from '../../src/main/slots.ts'

test('so many at a time, begun in order, with what came of each in its place', async () => {
  const runs = fc.record({
    turns: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 12 }),
    atOnce: fc.integer({ min: 1, max: 5 }),
  })
  await fc.assert(
    fc.asyncProperty(runs, async ({ turns, atOnce }) => {
      const begun: number[] = []
      let [underWay, most] = [0, 0]
      const results = await inParallel(turns, atOnce, async (count, i) => {
        begun.push(i)
        most = Math.max(most, ++underWay)
        for (let turn = 0; turn < count; turn++) await nextTurn()
        underWay--
        return `${i}: ${count}`
      })
      assert.deepEqual(
        results,
        turns.map((count, i) => `${i}: ${count}`),
      )
      assert.deepEqual(begun, [...turns.keys()])
      assert.ok(most <= atOnce)
      if (turns.length >= atOnce) assert.equal(most, atOnce)
    }),
  )
})

test('the first failure is told, what has begun goes on, and nothing else begins', async () => {
  const begun: number[] = []
  let ended = 0
  const work = inParallel([0, 1, 2, 3, 4], 2, async i => {
    begun.push(i)
    if (i === 0) throw new Error('the first')
    await nextTurn()
    ended++
  })
  await assert.rejects(work, /the first/)
  await nextTurn()
  assert.deepEqual(begun, [0, 1])
  await nextTurn()
  assert.equal(ended, 1)
})

test('a slot whose work has failed is free again', async () => {
  const slots = new Slots(1)
  await assert.rejects(slots.run(() => Promise.reject(new Error('no'))))
  assert.equal(await slots.run(async () => 'yes'), 'yes')
})
