/**
 * Goal: a domain's pointer only goes forward, whoever moves it and whatever becomes of the answers.
 * Method: a memory store behind faults; a deposed leader whose put comes late; random moves side by
 * side under faults.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { committedKey } from '../../src/codec/bucket-layout.ts'
import { decodeCommitted } from '../../src/codec/committed-pointer.ts'
import { isNewerManifest, type ManifestName } from '../../src/codec/manifest.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { moveCommitted } from '../../src/shared/move-committed.ts'
import type { ObjectStore, PutOptions } from '../../src/shared/object-store.ts'
import { FaultyObjectStore, scriptedPlan, seededPlan } from './faulty-object-store.ts'

const DOMAIN = '11111111-2222-4333-8444-555555555555'
const KEY = committedKey(DOMAIN)
const QUICK = { deadlineMs: 5_000, attemptTimeoutMs: 50, baseDelayMs: 1, maxDelayMs: 5 }

const named = (epoch: number, version: number): ManifestName => ({ domain: DOMAIN, epoch, version })

async function pointer(store: ObjectStore): Promise<ManifestName | null> {
  const bytes = await store.get(KEY)
  return bytes === null ? null : decodeCommitted(bytes, KEY)
}

test('moves forward, says so when it is there already, and stays before a newer one', async () => {
  const store = new MemoryObjectStore()
  assert.equal(await moveCommitted(store, named(1, 1), QUICK), 'moved')
  assert.equal(await moveCommitted(store, named(1, 2), QUICK), 'moved')
  assert.equal(await moveCommitted(store, named(1, 2), QUICK), 'moved')
  assert.equal(await moveCommitted(store, named(2, 1), QUICK), 'moved')
  assert.equal(await moveCommitted(store, named(1, 9), QUICK), 'superseded')
  assert.deepEqual(await pointer(store), named(2, 1))
})

test('an answer that was lost is no move by somebody else', async () => {
  const store = new MemoryObjectStore()
  // head, put; then head, get of the second attempt.
  const faulty = new FaultyObjectStore(store, scriptedPlan(null, 'errorAfter'))
  assert.equal(await moveCommitted(faulty, named(1, 1), QUICK), 'moved')
  assert.equal(faulty.calls.filter(({ method }) => method === 'put').length, 1)
})

test("a deposed leader's put that comes late changes nothing", async () => {
  const store = new MemoryObjectStore()
  await moveCommitted(store, named(1, 1), QUICK)
  const held: (() => Promise<unknown>)[] = []
  const deposed: ObjectStore = {
    get: key => store.get(key),
    head: key => store.head(key),
    list: prefix => store.list(prefix),
    delete: keys => store.delete(keys),
    // On its way, where no abort reaches it.
    put: (key: string, body: Uint8Array, { signal: _, ...options }: PutOptions = {}) =>
      new Promise(() => held.push(() => store.put(key, body, options))),
  }
  const late = moveCommitted(deposed, named(1, 2), { ...QUICK, attemptsMax: 1 })
  await assert.rejects(late, { code: 'UNAVAILABLE' })
  await moveCommitted(store, named(2, 1), QUICK)
  for (const put of held) assert.equal(await put(), 'changed')
  assert.deepEqual(await pointer(store), named(2, 1))
})

test('a damaged pointer is replaced: the leader knows what it has to name', async () => {
  const store = new MemoryObjectStore()
  await store.put(KEY, new Uint8Array([1, 2, 3]))
  assert.equal(await moveCommitted(store, named(3, 1), QUICK), 'moved')
  assert.deepEqual(await pointer(store), named(3, 1))
})

test('under faults, and with several movers, it never goes back and ends at the newest', async () => {
  const move = fc.record({ epoch: fc.integer({ min: 1, max: 3 }), version: fc.nat({ max: 5 }) })
  await fc.assert(
    fc.asyncProperty(
      fc.nat(),
      fc.array(move, { minLength: 1, maxLength: 8 }),
      async (seed, all) => {
        const store = new MemoryObjectStore()
        const seen: ManifestName[] = []
        const watched: ObjectStore = {
          get: (key, options) => store.get(key, options),
          head: (key, options) => store.head(key, options),
          list: (prefix, options) => store.list(prefix, options),
          delete: (keys, options) => store.delete(keys, options),
          put: async (key, body, options) => {
            const answer = await store.put(key, body, options)
            if (answer === 'created') seen.push(decodeCommitted(body, key))
            return answer
          },
        }
        const rates = { errorBefore: 0.1, errorAfter: 0.2, late: 0.1 }
        const faulty = new FaultyObjectStore(watched, seededPlan(seed, rates), 20)
        const names = all.map(({ epoch, version }) => named(epoch, version))
        await Promise.all(names.map(name => moveCommitted(faulty, name, QUICK)))
        await faulty.settled()
        const newest = names.reduce((a, b) => (isNewerManifest(b, a) ? b : a))
        assert.deepEqual(await pointer(store), newest)
        for (const [i, name] of seen.entries()) {
          if (i > 0) assert.ok(!isNewerManifest(seen[i - 1], name), 'it went back')
        }
      },
    ),
    { numRuns: 30 },
  )
})
