/**
 * Goal: every call is settled once, by its own number.
 * Method: unit tests, and random adds and takes beside a map.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { MetastoreError } from '../../src/codec/errors.ts'
import { type Call, Calls, newCall, unanswered } from '../../src/main/calls.ts'

function call(isWrite = false, reject: (error: Error) => void = () => {}): Call {
  return newCall(
    () => {},
    reject,
    () => undefined,
    isWrite,
  )
}

const closed = new MetastoreError('CLOSED', 'over')

describe('calls', () => {
  test('are taken out once, by the number they were given', () => {
    const calls = new Calls()
    const [first, second] = [call(), call()]
    const numbers = [calls.add(first), calls.add(second)]
    assert.equal(calls.count, 2)
    assert.ok(!numbers.includes(0), '0 means that nobody waits')
    assert.equal(calls.take(numbers[1]), second)
    assert.equal(calls.take(numbers[0]), first)
    assert.equal(calls.count, 0)
    assert.throws(() => calls.take(numbers[0]), /not under way/)
    assert.throws(() => calls.take(0), /not under way/)
    assert.throws(() => calls.take(99), /not under way/)
    assert.equal(calls.count, 0)
  })

  test('have numbers of their own while they are under way', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.constant(-1), fc.nat()), { maxLength: 200 }), actions => {
        const calls = new Calls()
        const model = new Map<number, Call>()
        for (const action of actions) {
          if (action < 0 || model.size === 0) {
            const added = call()
            const number = calls.add(added)
            assert.ok(number > 0 && !model.has(number))
            model.set(number, added)
          } else {
            const number = [...model.keys()][action % model.size]
            assert.equal(calls.take(number), model.get(number))
            model.delete(number)
          }
          assert.equal(calls.count, model.size)
        }
      }),
    )
  })

  test('use the numbers of settled ones again', () => {
    const calls = new Calls()
    const numbers = new Set<number>()
    for (let i = 0; i < 100; i++) {
      const pair = [calls.add(call()), calls.add(call())]
      for (const number of pair) {
        numbers.add(number)
        calls.take(number)
      }
    }
    assert.equal(numbers.size, 2)
  })

  test('all fail together: reads with the reason, writes as indeterminate', () => {
    const calls = new Calls()
    const errors: Error[] = []
    const settled = calls.add(call(false, () => assert.fail('it was settled')))
    calls.add(call(false, error => errors.push(error)))
    calls.add(call(true, error => errors.push(error)))
    calls.take(settled)
    calls.failAll(closed)
    assert.equal(calls.count, 0)
    assert.equal(errors.length, 2)
    assert.equal(errors[0], closed)
    assert.ok(errors[1] instanceof MetastoreError)
    assert.equal(errors[1].code, 'INDETERMINATE')
    assert.equal(errors[1].cause, closed)
    calls.failAll(closed)
    assert.equal(errors.length, 2)
    const next = call()
    assert.equal(calls.take(calls.add(next)), next)
  })

  test('an unanswered write says that it may have been applied', () => {
    assert.equal(unanswered(false, closed), closed)
    assert.match(unanswered(true, closed).message, /may or may not.*over/)
  })
})
