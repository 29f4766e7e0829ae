/**
 * Goal: putOnce knows whose object it is after every kind of lost answer, and writes it once.
 * Method: a memory store behind scripted and seeded faults, with short real pauses.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { PUT_ID_NAME, type PutOnceOptions, putOnce } from '../../src/shared/conditional-put.ts'
import { bytes } from './contract.ts'
import { type Fault, FaultyObjectStore, scriptedPlan, seededPlan } from './faulty-object-store.ts'

const FAST: PutOnceOptions = {
  deadlineMs: 5_000,
  attemptTimeoutMs: 30,
  baseDelayMs: 1,
  maxDelayMs: 4,
}

function storeWith(...faults: (Fault | null)[]) {
  const inner = new MemoryObjectStore()
  return { inner, store: new FaultyObjectStore(inner, scriptedPlan(...faults)) }
}

describe('putOnce', () => {
  test('a plain put is created, with a put id and the caller\u2019s metadata', async () => {
    const { inner, store } = storeWith()
    const options = { ...FAST, metadata: { kind: 'manifest' } }
    assert.equal(await putOnce(store, 'k', bytes(5), options), 'created')
    const { metadata } = (await inner.head('k')) ?? assert.fail('no object')
    const { kind, [PUT_ID_NAME]: putId } = metadata
    assert.equal(kind, 'manifest')
    assert.match(putId, /^[0-9a-f-]{36}$/)
    assert.equal(store.calls.length, 1)
  })

  test('a lost race is exists, and the winner\u2019s object stays', async () => {
    const { inner, store } = storeWith()
    await putOnce(inner, 'k', bytes(5, 1), FAST)
    assert.equal(await putOnce(store, 'k', bytes(5, 2), FAST), 'exists')
    assert.deepEqual(await inner.get('k'), bytes(5, 1))
  })

  test('an object without a put id is another\u2019s', async () => {
    const { inner, store } = storeWith()
    await inner.put('k', bytes(5))
    assert.equal(await putOnce(store, 'k', bytes(6), FAST), 'exists')
  })

  test('an error after success is created, without a second put', async () => {
    const { store } = storeWith('errorAfter')
    assert.equal(await putOnce(store, 'k', bytes(5), FAST), 'created')
    assert.deepEqual(
      store.calls.map(call => call.method),
      ['put', 'head'],
    )
  })

  test('an error after success whose HEAD fails too is created by the retry', async () => {
    const { store } = storeWith('errorAfter', 'errorBefore')
    assert.equal(await putOnce(store, 'k', bytes(5), FAST), 'created')
    assert.deepEqual(
      store.calls.map(call => call.method),
      ['put', 'head', 'put', 'head'],
    )
  })

  test('an error of a put that met another\u2019s object is exists', async () => {
    const { inner, store } = storeWith('errorAfter')
    await putOnce(inner, 'k', bytes(5, 1), FAST)
    assert.equal(await putOnce(store, 'k', bytes(5, 2), FAST), 'exists')
  })

  test('a put that commits after its attempt was given up is recognised', async () => {
    const inner = new MemoryObjectStore()
    const store = new FaultyObjectStore(inner, scriptedPlan('late', 'errorBefore'), 50)
    const options = { ...FAST, baseDelayMs: 80, maxDelayMs: 80, random: () => 0.9 }
    assert.equal(await putOnce(store, 'k', bytes(5), options), 'created')
    await store.settled()
    assert.deepEqual(await inner.get('k'), bytes(5))
  })

  test('an object that vanishes between put and HEAD is put again', async () => {
    const { inner, store } = storeWith()
    await inner.put('k', bytes(1))
    const head = inner.head.bind(inner)
    inner.head = async key => {
      await inner.delete([key])
      return await head(key)
    }
    assert.equal(await putOnce(store, 'k', bytes(5), FAST), 'created')
    assert.deepEqual(await inner.get('k'), bytes(5))
  })

  test('a store that stays down is UNAVAILABLE at the deadline, with the cause', async () => {
    const store = new FaultyObjectStore(new MemoryObjectStore(), () => 'throttle')
    const call = putOnce(store, 'k', bytes(5), { ...FAST, deadlineMs: 60 })
    await assert.rejects(call, { code: 'UNAVAILABLE', message: /throttled/ })
    assert.ok(store.calls.length > 2)
  })

  test('an invalid key fails at once', async () => {
    const { store } = storeWith()
    await assert.rejects(putOnce(store, '../k', bytes(5), FAST), { code: 'INVALID_REQUEST' })
    assert.equal(store.calls.length, 1)
  })

  test('an abort stops it at once', async () => {
    const { inner, store } = storeWith('hang')
    const abort = new AbortController()
    const reason = new Error('closing')
    const options = { ...FAST, attemptTimeoutMs: 60_000, signal: abort.signal }
    const call = putOnce(store, 'k', bytes(5), options)
    abort.abort(reason)
    await assert.rejects(call, error => error === reason)
    assert.equal(store.calls.length, 1)
    assert.equal(await inner.head('k'), null)
  })

  test('under any faults one of several writers creates, and it is the one stored', async () => {
    const rates = { errorBefore: 0.2, errorAfter: 0.2, throttle: 0.1, delay: 0.1, late: 0.05 }
    const property = fc.asyncProperty(fc.integer(), async seed => {
      const store = new FaultyObjectStore(new MemoryObjectStore(), seededPlan(seed, rates), 3)
      const writers = [1, 2, 3, 4]
      const answers = await Promise.all(
        writers.map(writer => putOnce(store, 'k', bytes(9, writer), FAST)),
      )
      await store.settled()
      store.plan = () => null
      assert.deepEqual(
        answers.filter(answer => answer === 'created'),
        ['created'],
      )
      assert.deepEqual(await store.get('k'), bytes(9, writers[answers.indexOf('created')]))
    })
    await fc.assert(property, { numRuns: 25 })
  })
})
