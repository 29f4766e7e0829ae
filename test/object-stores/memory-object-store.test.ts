/**
 * Goal: the memory store keeps the contract, and a name means one store.
 * Method: the contract suite, and the registry asked twice.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { memoryObjectStore } from '../../src/main/object-stores/memory-registry.ts'
import { bytes, keysOf, objectStoreContract } from './contract.ts'

objectStoreContract('memory', async () => ({
  store: new MemoryObjectStore(),
  close: async () => {},
}))

test('the same name gives the same store, another name another one', async () => {
  await memoryObjectStore('one').put('k', bytes(3))
  assert.deepEqual(await memoryObjectStore('one').get('k'), bytes(3))
  assert.deepEqual(await keysOf(memoryObjectStore('two'), ''), [])
})

test('modifiedAt comes from the clock that was passed in', async () => {
  const store = new MemoryObjectStore(() => 1234)
  await store.put('k', bytes(1))
  assert.equal((await store.head('k'))?.modifiedAt, 1234)
})

test('a key may lie below another object', async () => {
  const store = new MemoryObjectStore()
  await store.put('a', bytes(1))
  await store.put('a/b', bytes(2))
  assert.deepEqual(await keysOf(store, ''), ['a', 'a/b'])
})
