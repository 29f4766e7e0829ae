/**
 * Goal: each fault does what its table says, and a seed repeats a run.
 * Method: one call a fault over a memory store; and the contract with no faults and with delays.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { bytes, objectStoreContract } from './contract.ts'
import { FaultyObjectStore, scriptedPlan, seededPlan } from './faulty-object-store.ts'

objectStoreContract('faulty store that only delays', async () => ({
  store: new FaultyObjectStore(new MemoryObjectStore(), seededPlan(1, { delay: 0.3 }), 1),
  close: async () => {},
}))

describe('faulty object store', () => {
  test('an error before leaves the store alone, an error after does not', async () => {
    const inner = new MemoryObjectStore()
    const store = new FaultyObjectStore(inner, scriptedPlan('errorBefore', 'errorAfter'))
    await assert.rejects(store.put('before', bytes(1)), { code: 'UNAVAILABLE' })
    await assert.rejects(store.put('after', bytes(1)), { code: 'UNAVAILABLE' })
    assert.equal(await inner.get('before'), null)
    assert.deepEqual(await inner.get('after'), bytes(1))
  })

  test('throttling is UNAVAILABLE because of SlowDown', async () => {
    const store = new FaultyObjectStore(new MemoryObjectStore(), scriptedPlan('throttle'))
    await assert.rejects(store.get('k'), error => {
      return ((error as Error).cause as Error).name === 'SlowDown'
    })
  })

  test('a truncated get is half the body', async () => {
    const store = new FaultyObjectStore(new MemoryObjectStore(), scriptedPlan(null, 'truncate'))
    await store.put('k', bytes(9))
    assert.deepEqual(await store.get('k'), bytes(4))
    assert.deepEqual(await store.get('k'), bytes(9))
  })

  test('a late put is done although it was aborted; one that hangs never is', async () => {
    const inner = new MemoryObjectStore()
    const store = new FaultyObjectStore(inner, scriptedPlan('late', 'hang'))
    const signal = AbortSignal.timeout(1)
    await assert.rejects(store.put('late', bytes(1), { signal }), { name: 'TimeoutError' })
    await assert.rejects(store.put('hang', bytes(1), { signal }), { name: 'TimeoutError' })
    await store.settled()
    assert.deepEqual(await inner.get('late'), bytes(1))
    assert.equal(await inner.get('hang'), null)
  })

  test('the same seed gives the same faults', async () => {
    const rates = { errorBefore: 0.3, delay: 0.3, truncate: 0.1 }
    const faultsOf = (seed: number) => {
      const plan = seededPlan(seed, rates)
      return Array.from({ length: 100 }, (_, index) => plan({ method: 'get', key: 'k', index }))
    }
    assert.deepEqual(faultsOf(5), faultsOf(5))
    assert.notDeepEqual(faultsOf(5), faultsOf(6))
    assert.deepEqual(new Set(faultsOf(5)), new Set(['errorBefore', 'delay', 'truncate', null]))
  })
})
