/**
 * The contract that every object store keeps, as tests that any implementation can run.
 * Method: each test gets a fresh, empty store from `makeStore` and only uses the interface.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MetastoreError } from '../../src/codec/errors.ts'
import type { ObjectStore } from '../../src/shared/object-store.ts'
import { withRetry } from '../../src/shared/retry.ts'

export interface TestedStore {
  readonly store: ObjectStore
  /** Removes the store and what it keeps alive. */
  close(): Promise<void>
}

export type MakeStore = () => Promise<TestedStore>

export const INVALID_KEYS: readonly string[] = [
  '',
  '/a',
  'a/',
  'a//b',
  '.',
  '..',
  '../a',
  'a/../b',
  'a/./b',
  'a\\b',
  'a\0b',
  'a\nb',
  'caf\u00e9',
  '.tmp/a',
  'a/.tmp-b',
  'k'.repeat(256),
  Array.from({ length: 206 }, () => 'abcd').join('/'),
]

/** Each is greater than the one before; several differ around the slash. */
const NASTY_ORDER: readonly string[] = [
  ' ',
  '!/x',
  '-',
  'A',
  'a!',
  'a-/b',
  'a-b',
  'a-b-/c',
  'a.',
  'a.b/c',
  'a/-',
  'a/a',
  'a/b-',
  'a/b/c',
  'a/b0',
  'a0',
  'a0-/a',
  'aa/~',
  'b',
  '~',
]

const MIB = 1024 * 1024

/** Registers the contract's tests for the stores that `makeStore` makes. */
export function objectStoreContract(name: string, makeStore: MakeStore): void {
  function check(claim: string, body: (store: ObjectStore) => Promise<void>): void {
    test(claim, async () => {
      const { store, close } = await makeStore()
      try {
        await body(store)
      } finally {
        await close()
      }
    })
  }
  describe(`object store contract: ${name}`, () => {
    puttingAndGetting(check)
    listingAndDeleting(check)
    refusals(check)
  })
}

type Check = (claim: string, body: (store: ObjectStore) => Promise<void>) => void

function puttingAndGetting(check: Check): void {
  check('an object is there as soon as its put has resolved', async store => {
    assert.equal(await store.put('a/b', bytes(5)), 'created')
    assert.deepEqual(await store.get('a/b'), bytes(5))
    assert.equal((await store.head('a/b'))?.sizeBytes, 5)
    assert.deepEqual(await keysOf(store, ''), ['a/b'])
  })

  check('an unconditional put replaces body and metadata together', async store => {
    await store.put('k', bytes(100), { metadata: { one: '1' } })
    assert.equal(await store.put('k', bytes(3, 9), { metadata: { two: '2' } }), 'created')
    assert.deepEqual(await store.get('k'), bytes(3, 9))
    assert.deepEqual((await store.head('k'))?.metadata, { two: '2' })
    await store.put('k', bytes(1))
    assert.deepEqual((await store.head('k'))?.metadata, {})
  })

  check('a conditional put leaves an existing object alone', async store => {
    const first = { ifNoneMatch: true, metadata: { who: 'first' } }
    assert.equal(await store.put('k', bytes(4), first), 'created')
    const second = { ifNoneMatch: true, metadata: { who: 'second' } }
    assert.equal(await store.put('k', bytes(8), second), 'exists')
    assert.deepEqual(await store.get('k'), bytes(4))
    assert.deepEqual((await store.head('k'))?.metadata, { who: 'first' })
    await store.delete(['k'])
    assert.equal(await store.put('k', bytes(8), second), 'created')
  })

  check('of fifty racing conditional puts exactly one creates the object', async store => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        store.put('race/k', bytes(100, i), { ifNoneMatch: true, metadata: { who: `${i}` } }),
      ),
    )
    const winner = answers.indexOf('created')
    assert.equal(answers.filter(answer => answer === 'created').length, 1)
    assert.deepEqual(await store.get('race/k'), bytes(100, winner))
    assert.deepEqual((await store.head('race/k'))?.metadata, { who: `${winner}` })
  })

  check('a put that has to match replaces just the version that it names', async store => {
    const versionOf = async (): Promise<string> => (await store.head('k'))?.version ?? ''
    assert.equal(await store.put('k', bytes(4), { ifMatch: 'none' }), 'changed')
    assert.equal(await store.head('k'), null)
    await store.put('k', bytes(4))
    const first = await versionOf()
    await store.put('k', bytes(5, 1))
    assert.equal(await store.put('k', bytes(6), { ifMatch: first }), 'changed')
    assert.deepEqual(await store.get('k'), bytes(5, 1))
    const options = { ifMatch: await versionOf(), metadata: { who: 'third' } }
    assert.equal(await store.put('k', bytes(6), options), 'created')
    assert.deepEqual(await store.get('k'), bytes(6))
    assert.deepEqual((await store.head('k'))?.metadata, { who: 'third' })
    await store.delete(['k'])
    assert.equal(await store.put('k', bytes(6), { ifMatch: await versionOf() }), 'changed')
  })

  check('of twenty racing puts that have to match exactly one does', async store => {
    await store.put('race/m', bytes(99))
    const ifMatch = (await store.head('race/m'))?.version ?? ''
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        // A store may refuse what races, undecided; asked again it knows.
        withRetry({ deadlineMs: 30_000 }, () => store.put('race/m', bytes(100, i), { ifMatch })),
      ),
    )
    assert.equal(answers.filter(answer => answer === 'changed').length, 19)
    assert.deepEqual(await store.get('race/m'), bytes(100, answers.indexOf('created')))
  })

  check('a range is cut to the object, and empty past its end', async store => {
    const body = bytes(1000)
    await store.put('k', body)
    const ranges = [
      [0, 1000],
      [0, 10],
      [10, 0],
      [990, 10],
      [990, 11],
      [999, Number.MAX_SAFE_INTEGER],
      [1000, 1],
      [5000, 7],
    ]
    for (const [offset, length] of ranges) {
      const expected = body.slice(offset, offset + length)
      assert.deepEqual(await store.get('k', { offset, length }), expected, `${offset}+${length}`)
    }
    assert.deepEqual(await store.get('k', { offset: 400 }), body.slice(400))
    assert.deepEqual(await store.get('k', { length: 3 }), body.slice(0, 3))
  })

  check('an object that is not there is a value, not an error', async store => {
    assert.equal(await store.get('none/k'), null)
    assert.equal(await store.get('none/k', { offset: 5, length: 5 }), null)
    assert.equal(await store.head('none/k'), null)
    await store.delete(['none/k'])
    assert.deepEqual(await store.list('none/'), { objects: [], next: null })
  })

  check('an empty body is an object', async store => {
    assert.equal(await store.put('k', bytes(0), { ifNoneMatch: true }), 'created')
    assert.deepEqual(await store.get('k'), bytes(0))
    assert.equal((await store.head('k'))?.sizeBytes, 0)
    assert.equal(await store.put('k', bytes(0), { ifNoneMatch: true }), 'exists')
  })

  check('a body of 10 MiB comes back whole and in ranges', async store => {
    const body = new Uint8Array(10 * MIB)
    new Uint32Array(body.buffer).forEach((_, i, words) => {
      words[i] = Math.imul(i, 0x9e3779b1)
    })
    await store.put('large', body)
    // Buffer.compare, because a deepEqual of megabytes takes seconds.
    const whole = (await store.get('large')) ?? bytes(0)
    assert.equal(Buffer.compare(whole, body), 0)
    const range = { offset: 5 * MIB - 3, length: MIB }
    const part = (await store.get('large', range)) ?? bytes(0)
    assert.equal(Buffer.compare(part, body.subarray(range.offset, range.offset + MIB)), 0)
  })

  check('a body may be a view of shared or larger memory', async store => {
    const shared = new Uint8Array(new SharedArrayBuffer(64))
    shared.set(bytes(64))
    await store.put('shared', shared.subarray(10, 30))
    const pooled = Buffer.from(bytes(64)).subarray(5, 15)
    await store.put('pooled', pooled)
    shared.fill(0)
    pooled.fill(0)
    assert.deepEqual(await store.get('shared'), bytes(64).slice(10, 30))
    assert.deepEqual(await store.get('pooled'), bytes(64).slice(5, 15))
  })

  check('what a get returns is the caller\u2019s own', async store => {
    await store.put('k', bytes(10))
    const first = await store.get('k')
    assert.ok(first?.buffer instanceof ArrayBuffer)
    first.fill(0)
    assert.deepEqual(await store.get('k'), bytes(10))
  })

  check('head tells size, time and metadata', async store => {
    const before = Date.now()
    const metadata = { 'put-id': 'x y=z', other: '' }
    await store.put('k', bytes(7), { metadata })
    const info = await store.head('k')
    assert.equal(info?.sizeBytes, 7)
    assert.deepEqual(info.metadata, metadata)
    // A store's clock may be a coarse one, and another one than ours.
    assert.ok(Math.abs(info.modifiedAt - before) < 60_000, `${info.modifiedAt} is near ${before}`)
  })
}

function listingAndDeleting(check: Check): void {
  check('a listing is in byte order of the whole keys', async store => {
    await putAll(store, NASTY_ORDER.toReversed())
    assert.deepEqual(await keysOf(store, ''), [...NASTY_ORDER])
    for (const prefix of ['a', 'a/', 'a/b', 'a-', 'a-b', 'b', 'zz', 'a/b/', 'a/b/c', 'a/b/c/']) {
      const expected = NASTY_ORDER.filter(key => key.startsWith(prefix))
      assert.deepEqual(await keysOf(store, prefix), expected, `prefix ${prefix}`)
    }
  })

  check('pages of any size join to the whole listing', async store => {
    await putAll(store, NASTY_ORDER)
    for (let limit = 1; limit <= NASTY_ORDER.length + 1; limit++) {
      assert.deepEqual(await keysOf(store, '', limit), [...NASTY_ORDER], `limit ${limit}`)
    }
  })

  check('a listing begins after any text, also one that is no key', async store => {
    await putAll(store, NASTY_ORDER)
    for (const after of [...NASTY_ORDER, 'a', 'a/', 'a/b', 'a/b/', 'a/b/zz', 'a//', 'zzz', '']) {
      const { objects, next } = await store.list('a', { after })
      const expected = NASTY_ORDER.filter(key => key.startsWith('a') && key > after)
      assert.deepEqual(
        objects.map(object => object.key),
        expected,
        `after ${after}`,
      )
      assert.equal(next, null)
    }
  })

  check('hundreds of keys are listed in full pages, with sizes and times', async store => {
    const keys = Array.from({ length: 300 }, (_, i) => `d${i % 7}/${(i * 7919) % 1000}/${i}`)
    await putAll(store, keys)
    const page = await store.list('', { limit: 100 })
    assert.equal(page.objects.length, 100)
    assert.equal(page.next, page.objects[99].key)
    assert.deepEqual(await keysOf(store, '', 100), keys.toSorted())
    assert.deepEqual(await keysOf(store, '', 299), keys.toSorted())
    assert.equal((await store.list('', { limit: 300 })).next, null)
    const first = page.objects[0]
    const info = await store.head(first.key)
    assert.equal(first.sizeBytes, first.key.length)
    assert.equal(first.modifiedAt, info?.modifiedAt)
  })

  check('paging goes on while what was listed is deleted', async store => {
    const keys = Array.from({ length: 60 }, (_, i) => `k/${String(i).padStart(3, '0')}`)
    await putAll(store, keys)
    const seen: string[] = []
    let after = ''
    for (;;) {
      const { objects, next } = await store.list('k/', { after, limit: 7 })
      seen.push(...objects.map(object => object.key))
      await store.delete(objects.map(object => object.key))
      if (next === null) break
      after = next
    }
    assert.deepEqual(seen, keys)
    assert.deepEqual(await keysOf(store, ''), [])
  })

  check('a delete removes many keys at once and minds none that is missing', async store => {
    const keys = Array.from({ length: 200 }, (_, i) => `many/${i % 3}/${i}`)
    await putAll(store, keys)
    await store.delete([...keys.slice(0, 199), 'many/none', 'none/at/all', keys[0]])
    assert.deepEqual(await keysOf(store, ''), [keys[199]])
    assert.equal(await store.get(keys[0]), null)
    await store.delete([])
    await store.put(keys[0], bytes(2))
    assert.deepEqual(await store.get(keys[0]), bytes(2))
  })
}

function refusals(check: Check): void {
  check('an invalid key is INVALID_REQUEST, and the message names it', async store => {
    for (const key of INVALID_KEYS) {
      const calls = [
        () => store.put(key, bytes(1)),
        () => store.get(key),
        () => store.head(key),
        () => store.delete(['fine', key]),
      ]
      for (const call of calls) {
        await assert.rejects(call, error => {
          assert.ok(error instanceof MetastoreError, String(error))
          assert.equal(error.code, 'INVALID_REQUEST', error.message)
          return error.message.includes(JSON.stringify(key))
        })
      }
    }
    assert.deepEqual(await keysOf(store, ''), [])
  })

  check('invalid prefixes, ranges, limits and metadata are INVALID_REQUEST', async store => {
    const calls = [
      () => store.list('/'),
      () => store.list('../'),
      () => store.list('a/../b'),
      () => store.list('a\\'),
      () => store.list('', { limit: 0 }),
      () => store.list('', { limit: 1.5 }),
      () => store.get('k', { offset: -1 }),
      () => store.get('k', { length: 0.5 }),
      () => store.put('k', bytes(1), { metadata: { Name: 'upper case' } }),
      () => store.put('k', bytes(1), { metadata: { name: 'line\nbreak' } }),
      () => store.put('k', bytes(1), { metadata: { name: 'x'.repeat(3000) } }),
    ]
    for (const [i, call] of calls.entries()) {
      await assert.rejects(call, { code: 'INVALID_REQUEST' }, `call ${i}`)
    }
  })

  check('an aborted signal stops every call with its reason', async store => {
    await store.put('there', bytes(3))
    const reason = new Error('stop now')
    const signal = AbortSignal.abort(reason)
    const calls = [
      () => store.put('k', bytes(1), { signal }),
      () => store.get('there', { signal }),
      () => store.head('there', { signal }),
      () => store.list('', { signal }),
      () => store.delete(['there'], { signal }),
    ]
    for (const call of calls) await assert.rejects(call, error => error === reason)
    assert.deepEqual(await keysOf(store, ''), ['there'])
  })

  check('an abort during a put leaves the whole object or none', async store => {
    const body = bytes(2 * MIB)
    for (let i = 0; i < 10; i++) {
      const abort = new AbortController()
      const put = store.put(`k${i}`, body, { signal: abort.signal }).then(
        () => 'done',
        () => 'aborted',
      )
      for (let turn = 0; turn < i; turn++) await new Promise(setImmediate)
      abort.abort()
      const outcome = await put
      const found = await store.get(`k${i}`)
      if (outcome === 'done') assert.ok(found !== null, `k${i} was acknowledged`)
      if (found !== null) assert.equal(Buffer.compare(found, body), 0)
    }
  })
}

/** `count` bytes that differ from one another and, with another `seed`, from other bodies. */
export function bytes(count: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => (i + 1) * 31 + seed * 7)
}

/** All keys below the prefix, page by page. */
export async function keysOf(store: ObjectStore, prefix: string, limit = 1000): Promise<string[]> {
  const keys: string[] = []
  let after = ''
  for (;;) {
    const { objects, next } = await store.list(prefix, { after, limit })
    assert.ok(objects.length <= limit)
    for (const { key } of objects) keys.push(key)
    if (next === null) return keys
    after = next
  }
}

/** Small objects, each as long as its key. */
async function putAll(store: ObjectStore, keys: readonly string[]): Promise<void> {
  for (let at = 0; at < keys.length; at += 20) {
    const some = keys.slice(at, at + 20)
    await Promise.all(some.map(key => store.put(key, bytes(key.length))))
  }
}
