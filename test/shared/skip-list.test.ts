/**
 * Goal: a skip list holds what was inserted, in order, and finds it from any key and sequence.
 * Method: random rows with keys that share words, end in zero bytes and come again as new versions,
 * compared with a sorted array, before and after its head has all levels.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/codec/bytes.ts'
import { Arena } from '../../src/shared/arena.ts'
import {
  headWords,
  LINK_WORDS,
  MAX_HEIGHT,
  SearchKey,
  SkipList,
} from '../../src/shared/skip-list.ts'
import { shuffled } from './random.ts'
import { type Version, VersionsModel } from './versions.ts'

const USED_WORD = 1
const HEAD = 1 + headWords(MAX_HEIGHT)
const FINGER = HEAD + 1
const RESERVED_WORDS = FINGER + MAX_HEIGHT

/** One list in an arena of its own. */
class OneList {
  readonly arena: Arena
  readonly list: SkipList
  readonly model = new VersionsModel()
  readonly #key = new SearchKey(4)

  constructor(arenaBytes = 1_048_576, seed?: number) {
    this.arena = new Arena(new SharedArrayBuffer(arenaBytes), USED_WORD, RESERVED_WORDS)
    this.list = new SkipList(this.arena, seed)
    this.arena.words.fill(HEAD, FINGER, RESERVED_WORDS)
  }

  search(key: Uint8Array): SearchKey {
    return this.#key.set(key, 0, key.length)
  }

  insert(version: Version): number {
    const { list } = this
    const key = this.search(version.key)
    const height = list.randomHeight(HEAD)
    const { sequence, isDelete, value } = version
    const node = list.create(height, key, sequence, isDelete, value.length)
    if (node === 0) return 0
    this.arena.bytes.set(value, list.valueStart(node))
    list.locate(HEAD, FINGER, key, sequence)
    list.link(node, height, HEAD, FINGER, key)
    this.model.add(version)
    return node
  }

  read(node: number): Version {
    const { list } = this
    const key = new Uint8Array(list.keyLength(node))
    list.keyBytesInto(node, key, 0)
    const start = list.valueStart(node)
    const value = this.arena.bytes.slice(start, start + list.valueLength(node))
    return { key, sequence: list.sequenceOf(node), isDelete: list.isDelete(node), value }
  }

  nodes(): number[] {
    const nodes: number[] = []
    for (let node = this.list.next(HEAD); node !== 0; node = this.list.next(node)) nodes.push(node)
    return nodes
  }

  verifyOrder(): void {
    const { list } = this
    const { versions } = this.model
    const nodes = this.nodes()
    assert.deepEqual(
      nodes.map(node => textOf(this.read(node))),
      versions.map(textOf),
    )
    for (const [i, node] of nodes.entries()) {
      const isNewest = i === 0 || toHex(versions[i - 1].key) !== toHex(versions[i].key)
      assert.equal(list.isSuperseded(node), !isNewest, `mark of ${textOf(versions[i])}`)
      if (i > 0) assert.equal(list.sameKey(nodes[i - 1], node), !isNewest)
    }
    assert.equal(list.last(HEAD), nodes.at(-1) ?? 0)
    this.#verifyLevels(nodes)
  }

  /** Each level is part of the one below, in its order; each hint is the next key's first words. */
  #verifyLevels(nodes: readonly number[]): void {
    const { words } = this.arena
    const places = new Map(nodes.map((node, i) => [node, i]))
    let below: ReadonlySet<number> = new Set(nodes)
    for (let level = 1; level <= words[HEAD]; level++) {
      const own = new Set<number>()
      let last = -1
      for (let node = HEAD; ; ) {
        const link = node - level * LINK_WORDS
        const next = words[link]
        if (next === 0) break
        const place = places.get(next) ?? -1
        assert.ok(place > last && below.has(next), `order of level ${level}`)
        const length = this.list.keyLength(next)
        const hints = [0, 1].map(i => (length > i * 4 ? this.list.keyWord(next, i) : 0))
        assert.deepEqual([words[link + 1], words[link + 2]], hints, `hints of level ${level}`)
        own.add(next)
        last = place
        node = next
      }
      assert.ok(own.size > 0)
      below = own
    }
  }

  verifySearches(key: Uint8Array, sequence: number): void {
    const { versions } = this.model
    const before = (a: Version) =>
      Buffer.compare(a.key, key) < 0 || (isKey(a, key) && a.sequence > sequence)
    const at = this.list.seek(HEAD, this.search(key), sequence)
    assert.equal(this.#textOf(at), textOf(versions.find(version => !before(version))))
    const previous = this.list.seekBefore(HEAD, this.search(key))
    const expected = versions.findLast(version => Buffer.compare(version.key, key) < 0)
    assert.equal(this.#textOf(previous), textOf(expected))
  }

  #textOf(node: number): string {
    return node === 0 ? textOf(undefined) : textOf(this.read(node))
  }
}

function isKey(version: Version, key: Uint8Array): boolean {
  return Buffer.compare(version.key, key) === 0
}

function textOf(version: Version | undefined): string {
  if (version === undefined) return 'nothing'
  const { key, sequence, isDelete, value } = version
  return `${toHex(key)} @${sequence} ${isDelete ? 'delete' : toHex(value)}`
}

/** Few keys that differ by zero bytes at their ends, in each word, and only past two words. */
const keyArbitrary = fc.oneof(
  fc.array(fc.constantFrom(0, 1, 0x80, 0xff), { maxLength: 5 }),
  fc
    .tuple(fc.constantFrom(7, 8, 9, 12), fc.array(fc.constantFrom(0, 0xff), { maxLength: 5 }))
    .map(([length, end]) => [...new Uint8Array(length).fill(0x61), ...end]),
)

const versionsArbitrary = fc
  .array(
    fc.record({
      key: keyArbitrary.map(bytes => Uint8Array.from(bytes)),
      isDelete: fc.boolean(),
      value: fc.uint8Array({ maxLength: 6 }),
    }),
    { maxLength: 150, size: 'max' },
  )
  .chain(rows =>
    fc.constantFrom(0, 2 ** 32 - 40, 2 ** 50).map(base =>
      rows.map(
        ({ key, isDelete, value }, i): Version => ({
          key,
          sequence: base + i,
          isDelete,
          value: isDelete ? new Uint8Array(0) : value,
        }),
      ),
    ),
  )

describe('a skip list', () => {
  test('is empty at first', () => {
    const one = new OneList()
    one.verifyOrder()
    one.verifySearches(Uint8Array.of(1, 2, 3), 5)
  })

  test('holds and finds what the sorted array does', () => {
    fc.assert(
      fc.property(
        versionsArbitrary,
        fc.array(
          keyArbitrary.map(bytes => Uint8Array.from(bytes)),
          { maxLength: 20 },
        ),
        fc.integer({ min: 1 }),
        (versions, probes, seed) => {
          const one = new OneList(262_144, seed)
          for (const version of versions) assert.notEqual(one.insert(version), 0)
          one.verifyOrder()
          for (const { key, sequence } of versions) {
            one.verifySearches(key, sequence)
            one.verifySearches(key, sequence - 1)
            one.verifySearches(key, Number.MAX_SAFE_INTEGER)
          }
          for (const key of probes) one.verifySearches(key, 2 ** 32)
        },
      ),
      { numRuns: 300 },
    )
  })

  const keys = Array.from({ length: 800 }, (_, i) => {
    const bytes = new Uint8Array(12)
    new DataView(bytes.buffer).setUint32(i % 2 === 0 ? 0 : 8, i * 2)
    return bytes
  }).sort(Buffer.compare)
  const orders = {
    ascending: keys,
    descending: [...keys].reverse(),
    shuffled: shuffled(keys, 7),
  }
  for (const [name, ordered] of Object.entries(orders)) {
    test(`grows to many levels in ${name} order`, () => {
      const one = new OneList()
      for (const [i, key] of ordered.entries()) {
        one.insert({ key, sequence: i + 1, isDelete: false, value: key })
      }
      assert.ok(one.arena.words[HEAD] > 6, `height ${one.arena.words[HEAD]}`)
      one.verifyOrder()
      for (const key of shuffled(keys, 1).slice(0, 200)) {
        one.verifySearches(key, Number.MAX_SAFE_INTEGER)
        one.verifySearches(key, 0)
      }
    })
  }

  test('marks a version superseded when a newer one comes, and no other key', () => {
    const one = new OneList()
    const value = new Uint8Array(0)
    const nodeOf = (text: string, sequence: number) =>
      one.insert({ key: Buffer.from(text), sequence, isDelete: false, value })
    const first = nodeOf('ab', 1)
    const other = nodeOf('ab\0', 2)
    assert.equal(one.list.isSuperseded(first), false)
    const second = nodeOf('ab', 3)
    assert.equal(one.list.isSuperseded(first), true)
    assert.equal(one.list.isSuperseded(second), false)
    assert.equal(one.list.isSuperseded(other), false)
    assert.equal(one.list.keyLength(first), 2)
  })

  test('says that it is full, and stays as it was', () => {
    const one = new OneList(4096)
    let sequence = 1
    const insertOne = () => {
      const key = Uint8Array.of(sequence % 7, sequence)
      return one.insert({ key, sequence: sequence++, isDelete: false, value: new Uint8Array(100) })
    }
    while (insertOne() !== 0) assert.ok(sequence < 1000)
    assert.ok(one.model.versions.length > 20)
    for (let i = 0; i < 10; i++) assert.equal(insertOne(), 0)
    one.verifyOrder()
    assert.ok(one.arena.usedBytes <= 4096)
  })
})

describe('a search key', () => {
  test('is what was set, whatever was in it before', () => {
    const key = new SearchKey(8)
    const copy = new SearchKey(4)
    const one = new OneList()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 41 }), fc.nat({ max: 3 }), (bytes, start) => {
        const shifted = Uint8Array.from([...new Uint8Array(start).fill(0xee), ...bytes, 0xee, 0xee])
        key.set(shifted, start, bytes.length)
        const node = one.list.create(1, key, 1, false, 0)
        // The arena is large, yet not endless.
        fc.pre(node !== 0)
        const back = new Uint8Array(bytes.length + 4).fill(0xcc)
        one.list.keyBytesInto(node, back, 2)
        assert.equal(toHex(back), `cccc${toHex(bytes)}cccc`)
        one.list.keyInto(node, copy)
        assert.equal(copy.length, bytes.length)
        assert.equal(one.list.compare(node, copy), 0)
        // Hints compare two words of every key, so a short one is padded.
        const padded = Uint8Array.from([...bytes, ...new Uint8Array(8)])
        const hints = [0, 4].map(at => new DataView(padded.buffer).getUint32(at))
        assert.deepEqual([...key.words.subarray(0, 2)], hints)
        assert.deepEqual([...copy.words.subarray(0, 2)], hints)
      }),
      { numRuns: 2000 },
    )
  })

  test('compares with a node as the bytes do', () => {
    const one = new OneList(8_388_608)
    const bytesArbitrary = keyArbitrary.map(bytes => Uint8Array.from(bytes))
    fc.assert(
      fc.property(bytesArbitrary, bytesArbitrary, (a, b) => {
        const node = one.list.create(1, one.search(a), 1, false, 0)
        const order = one.list.compare(node, one.search(b))
        assert.equal(Math.sign(order), Buffer.compare(a, b))
        const other = one.list.create(1, one.search(b), 2, false, 0)
        assert.equal(one.list.sameKey(node, other), order === 0)
      }),
      { numRuns: 3000 },
    )
  })
})
