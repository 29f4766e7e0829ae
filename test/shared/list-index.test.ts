/**
 * Goal: a search through an index gives what the search of its list gives, however old the index.
 * Method: lists filled in random order; the index is built at a random moment and appended to after
 * that; then every key, its neighbours and every sequence are searched both ways.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Arena } from '../../src/shared/arena.ts'
import { indexWords, ListIndex } from '../../src/shared/list-index.ts'
import { headWords, MAX_HEIGHT, SearchKey, SkipList } from '../../src/shared/skip-list.ts'
import { shuffled } from './random.ts'

const HEAD = 1 + headWords(MAX_HEIGHT)
const FINGER = HEAD + 1
const RESERVED_WORDS = FINGER + MAX_HEIGHT

class IndexedList {
  readonly arena = new Arena(new SharedArrayBuffer(524_288), 1, RESERVED_WORDS)
  readonly list = new SkipList(this.arena)
  readonly index = new ListIndex(this.list)
  readonly #key = new SearchKey()
  rows = 0

  constructor() {
    this.arena.words.fill(HEAD, FINGER, RESERVED_WORDS)
  }

  insert(key: Uint8Array, sequence: number): number {
    const { list } = this
    const search = this.#key.set(key, 0, key.length)
    const height = list.randomHeight(HEAD)
    const node = list.create(height, search, sequence, false, 0)
    assert.notEqual(node, 0)
    list.locate(HEAD, FINGER, search, sequence)
    list.link(node, height, HEAD, FINGER, search)
    this.rows++
    return node
  }

  verify(index: number, key: Uint8Array, sequence: number): void {
    const search = this.#key.set(key, 0, key.length)
    const { list } = this
    assert.equal(this.index.seek(index, HEAD, search, sequence), list.seek(HEAD, search, sequence))
    assert.equal(this.index.seekBefore(index, HEAD, search), list.seekBefore(HEAD, search))
  }
}

/** Numbers far apart, close together, past what a double holds, and equal in two words. */
const keyArbitrary = fc
  .tuple(
    fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1),
    fc.oneof(fc.nat({ max: 300 }), fc.constantFrom(2 ** 31, 2 ** 32 - 1, 2 ** 32 - 2)),
    fc.constantFrom(0, 4, 7, 8, 9, 10),
  )
  .map(([high, low, length]) => {
    const bytes = new Uint8Array(10)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, high)
    view.setUint32(4, low)
    return bytes.slice(0, length)
  })

test('a search through an index is the search of the list', () => {
  fc.assert(
    fc.property(
      fc.array(keyArbitrary, { maxLength: 120, size: 'max' }),
      fc.nat({ max: 100 }),
      fc.constantFrom('as it comes', 'ascending', 'descending'),
      fc.array(keyArbitrary, { maxLength: 20 }),
      (keys, builtAt, order, probes) => {
        const indexed = new IndexedList()
        if (order !== 'as it comes') keys.sort(Buffer.compare)
        if (order === 'descending') keys.reverse()
        let index = 0
        for (const [i, key] of keys.entries()) {
          if (i === builtAt) index = indexed.index.build(HEAD, Math.max(1, indexed.rows))
          const node = indexed.insert(key, i + 1)
          const isLast = indexed.list.next(node) === 0
          if (index !== 0 && isLast) indexed.index.append(index, node)
        }
        if (index === 0) index = indexed.index.build(HEAD, Math.max(1, indexed.rows))
        for (const [i, key] of [...keys, ...probes].entries()) {
          indexed.verify(index, key, i)
          indexed.verify(index, key, i + 1)
          indexed.verify(index, key, Number.MAX_SAFE_INTEGER)
          indexed.verify(index, Uint8Array.from([...key, 0]), 3)
        }
      },
    ),
    { numRuns: 400 },
  )
})

test('an index that most rows are missing from gives way to the list', () => {
  const indexed = new IndexedList()
  const keyOf = (i: number) => {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setUint32(4, i)
    return bytes
  }
  for (let i = 0; i < 1000; i += 100) indexed.insert(keyOf(i), 1)
  const index = indexed.index.build(HEAD, indexed.rows)
  const missing = Array.from({ length: 900 }, (_, i) => i).filter(i => i % 100 !== 0)
  for (const i of shuffled(missing, 3)) indexed.insert(keyOf(i), 2)
  for (let i = 0; i <= 1000; i++) indexed.verify(index, keyOf(i), 2)
})

test('an index takes as many rows again as it was built with, and no more', () => {
  const indexed = new IndexedList()
  for (let i = 0; i < 20; i++) indexed.insert(Uint8Array.of(i), i + 1)
  const free = indexed.arena.freeWords
  const index = indexed.index.build(HEAD, 20)
  assert.equal(free - indexed.arena.freeWords, indexWords(20))
  assert.equal(indexed.index.rowsAtBuild(index), 20)
  for (let i = 20; i < 40; i++) {
    assert.equal(indexed.index.append(index, indexed.insert(Uint8Array.of(i), i + 1)), true)
  }
  const node = indexed.insert(Uint8Array.of(40), 41)
  assert.equal(indexed.index.append(index, node), false)
  for (let i = 0; i <= 41; i++) indexed.verify(index, Uint8Array.of(i), i)
})

test('an index that does not fit is none', () => {
  const indexed = new IndexedList()
  indexed.insert(Uint8Array.of(1), 1)
  assert.equal(indexed.index.build(HEAD, 100_000), 0)
})
