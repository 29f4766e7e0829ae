/**
 * Goal: a queue gives its items in the order they came, however long it gets.
 * Method: random pushes and shifts beside an array, with runs long enough for it to be cut.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Queue } from '../../src/main/queue.ts'

describe('a queue', () => {
  test('is empty at first and again after its last item', () => {
    const queue = new Queue<string>()
    for (let round = 0; round < 3; round++) {
      assert.equal(queue.length, 0)
      assert.equal(queue.peek(), undefined)
      assert.equal(queue.shift(), undefined)
      queue.push('a')
      assert.equal(queue.peek(), 'a')
      assert.equal(queue.length, 1)
      assert.equal(queue.shift(), 'a')
    }
  })

  test('is like an array', () => {
    const stepArbitrary = fc.record({
      pushes: fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 4000 })),
      shifts: fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 4000 })),
    })
    fc.assert(
      fc.property(fc.array(stepArbitrary, { maxLength: 10 }), steps => {
        const queue = new Queue<number>()
        let pushed = 0
        let shifted = 0
        for (const { pushes, shifts } of steps) {
          for (let i = 0; i < pushes; i++) queue.push(pushed++)
          for (let i = 0; i < shifts; i++) {
            const expected = shifted < pushed ? shifted++ : undefined
            assert.equal(queue.peek(), expected)
            assert.equal(queue.shift(), expected)
            assert.equal(queue.length, pushed - shifted)
          }
        }
        while (shifted < pushed) assert.equal(queue.shift(), shifted++)
        assert.equal(queue.length, 0)
      }),
      { numRuns: 100 },
    )
  })

  test('stays in order when it never gets empty', () => {
    const queue = new Queue<number>()
    for (let i = 0; i < 1500; i++) queue.push(i)
    for (let i = 1500; i < 20_000; i++) {
      queue.push(i)
      assert.equal(queue.shift(), i - 1500)
      assert.equal(queue.length, 1500)
    }
  })
})
