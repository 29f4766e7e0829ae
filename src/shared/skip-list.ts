/**
 * Skip lists in shared memory (Pugh, "Skip Lists: A Probabilistic Alternative to Balanced Trees",
 * CACM 1990; LevelDB's memtable is the precedent for one writer and readers without locks).
 *
 * Threads: one writer inserts; any thread reads at any time. Nothing is ever moved or unlinked.
 *
 * Invariants
 *  1. A node's words are written before the Atomics.store that links it, and never change after,
 *     but for its SUPERSEDED bit, which only goes from 0 to 1.
 *  2. Nodes of a list are ordered by key ascending, then sequence descending.
 *  3. A node linked at a level is linked at every level below it.
 *  4. SUPERSEDED is set on a node before a newer version of its key is linked in front of it. A
 *     reader that does not find it set has found the newest version that its snapshot can see.
 *
 * Readers follow links with plain loads: an atomic load costs seven times as much, and each load's
 * address depends on the one before, an order that every processor V8 runs on keeps. What a reader
 * may use (rows at or below its snapshot) was published by the atomic store of the visible
 * sequence, which it loads first (control.ts).
 *
 * A node, at word address P (its tower grows downwards, so that the key has a fixed place):
 *
 *   P - 3h .. P - 1  links { next node (0 = end), two hint words }, level h first, level 1 last
 *   P + 0, P + 1     sequence, low and high word
 *   P + 2            value length in bytes, bit 31 = delete
 *   P + 3            key length in bytes (low 16 bits), bit 31 = SUPERSEDED
 *   P + 4 ...        key as big-endian words, zero padded: word order is memcmp order
 *   then             value bytes, padded to a word
 *
 * A list begins with a head: an address H whose word is the list's height (writer: the inserting
 * thread, readers: any; a late value costs time only), with links below it like a node's. The keys
 * of a list are what is left of row keys after the list's prefix.
 *
 * Hints are the first two key words of the next node: a search that a hint tells that the next node
 * is past its target need not touch that node, which saves about half of its cache misses.
 *  5. The writer stores link, first hint word, second hint word, in this order. A reader that stops
 *     because of both words looks at the link once more: unchanged, the words are of one hint, that
 *     of the next node or of a later one, and nothing that the snapshot may see lies before.
 *  6. A hint never moves a search forward: nodes to stand on are compared themselves.
 */
import type { Arena } from './arena.ts'

/** Levels 1 to 6 halve, those above quarter: enough for a quarter of a million rows in one list. */
export const MAX_HEIGHT = 12
const HALVING_LEVELS = 6

export const NODE = { sequenceLow: 0, sequenceHigh: 1, value: 2, key: 3, keyWords: 4 } as const

/** Words of a link: next node, two hint words. */
export const LINK_WORDS = 3
/** Words of a head for `height` levels; its address is that of the last of them. */
export function headWords(height: number): number {
  return height * LINK_WORDS + 1
}

const DELETE_BIT = 0x80000000
const SUPERSEDED_BIT = 0x80000000
const KEY_LENGTH_MASK = 0xffff
const VALUE_LENGTH_MASK = 0x7fffffff
const TWO_32 = 4294967296

/** A key as big-endian words, for comparing with nodes; refilled for every search. */
export class SearchKey {
  words: Uint32Array
  length = 0

  constructor(keyBytesMax = 64) {
    this.words = new Uint32Array(wordsFor(keyBytesMax))
  }

  /** Makes room for `length` bytes; loses the key. */
  reserve(length: number): void {
    if (length > this.words.length * 4) this.words = new Uint32Array(wordsFor(length))
  }

  set(bytes: Uint8Array, start: number, length: number): this {
    this.reserve(length)
    const { words } = this
    // A short key is padded: hints compare two words of every key.
    if (length < 8) words[0] = words[1] = 0
    const whole = length & ~3
    let at = start
    let word = 0
    for (const end = start + whole; at < end; at += 4, word++) {
      words[word] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
    }
    if (whole < length) {
      let last = 0
      for (let i = 0; i < 4; i++) last = (last << 8) | (whole + i < length ? bytes[at + i] : 0)
      words[word] = last
    }
    this.length = length
    return this
  }
}

function wordsFor(keyBytes: number): number {
  return Math.max(2, (keyBytes + 3) >>> 2)
}

/** The most words a node with key and value of these sizes can take. */
export function nodeWordsMax(keyLength: number, valueLength: number): number {
  const payloadWords = ((keyLength + 3) >>> 2) + ((valueLength + 3) >>> 2)
  return MAX_HEIGHT * LINK_WORDS + NODE.keyWords + payloadWords
}

/**
 * The operations on lists in one arena. Stateless but for the writer's scratch and generator, so
 * one instance serves every list of its arena.
 */
export class SkipList {
  readonly arena: Arena
  readonly #words: Uint32Array
  readonly #predecessors = new Uint32Array(MAX_HEIGHT)
  #random: number

  /** @param seed of the tower heights; they affect speed only. */
  constructor(arena: Arena, seed = 0x9e3779b9) {
    this.arena = arena
    this.#words = arena.words
    this.#random = seed
  }

  // -------------------------------------------------------------- node fields

  sequenceOf(node: number): number {
    return this.#words[node + NODE.sequenceHigh] * TWO_32 + this.#words[node]
  }

  isDelete(node: number): boolean {
    return (this.#words[node + NODE.value] & DELETE_BIT) !== 0
  }

  valueLength(node: number): number {
    return this.#words[node + NODE.value] & VALUE_LENGTH_MASK
  }

  /** Byte address of the value in the arena. */
  valueStart(node: number): number {
    return (node + NODE.keyWords + ((this.keyLength(node) + 3) >>> 2)) * 4
  }

  /** Bytes of the key as stored, without the list's prefix. */
  keyLength(node: number): number {
    return this.#words[node + NODE.key] & KEY_LENGTH_MASK
  }

  /** The `at`-th word of a node's key; only within its length. */
  keyWord(node: number, at: number): number {
    return this.#words[node + NODE.keyWords + at]
  }

  isSuperseded(node: number): boolean {
    return (this.#words[node + NODE.key] & SUPERSEDED_BIT) !== 0
  }

  /** The node after `node` (or after a head) at the lowest level; 0 at the end. */
  next(node: number): number {
    return this.#words[node - LINK_WORDS]
  }

  /** Order of a node's key against the search key: negative, 0 or positive. */
  compare(node: number, key: SearchKey): number {
    const words = this.#words
    const target = key.words
    const length = words[node + NODE.key] & KEY_LENGTH_MASK
    const targetLength = key.length
    const shorter = Math.min(length, targetLength)
    const count = (shorter + 3) >>> 2
    const base = node + NODE.keyWords
    for (let i = 0; i < count; i++) {
      const a = words[base + i]
      const b = target[i]
      if (a !== b) return a < b ? -1 : 1
    }
    return length - targetLength
  }

  /** Whether two nodes of one list have the same key. */
  sameKey(a: number, b: number): boolean {
    const words = this.#words
    const length = words[a + NODE.key] & KEY_LENGTH_MASK
    if (length !== (words[b + NODE.key] & KEY_LENGTH_MASK)) return false
    const count = (length + 3) >>> 2
    for (let i = 0; i < count; i++) {
      if (words[a + NODE.keyWords + i] !== words[b + NODE.keyWords + i]) return false
    }
    return true
  }

  /** Makes a node's key the search key. */
  keyInto(node: number, key: SearchKey): void {
    const words = this.#words
    const length = this.keyLength(node)
    key.reserve(length)
    if (length < 8) key.words[0] = key.words[1] = 0
    const count = (length + 3) >>> 2
    for (let i = 0; i < count; i++) key.words[i] = words[node + NODE.keyWords + i]
    key.length = length
  }

  /** Writes a node's key bytes at `at`. */
  keyBytesInto(node: number, into: Uint8Array, at: number): void {
    const words = this.#words
    const end = at + this.keyLength(node)
    let word = node + NODE.keyWords
    let to = at
    for (; to + 4 <= end; to += 4, word++) {
      const value = words[word]
      into[to] = value >>> 24
      into[to + 1] = value >>> 16
      into[to + 2] = value >>> 8
      into[to + 3] = value
    }
    for (let value = words[word]; to < end; to++, value <<= 8) into[to] = value >>> 24
  }

  // -------------------------------------------------------------- searches, any thread

  /**
   * The first node at or after (key, sequence): the newest version of `key` that a snapshot at
   * `sequence` sees, if that is the key of the answer. 0 when there is none.
   */
  seek(head: number, key: SearchKey, sequence: number): number {
    const words = this.#words
    const hint0 = key.words[0]
    const hint1 = key.words[1]
    let node = head
    let next = 0
    for (let at = words[head] * LINK_WORDS; at > 0; at -= LINK_WORDS) {
      for (;;) {
        const link = node - at
        next = words[link]
        if (next === 0) break
        const a = words[link + 1]
        if (a > hint0) break
        if (a === hint0 && words[link + 2] > hint1) {
          // Two words of two hints mean nothing; the link, stored before them, tells.
          if (words[link] === next) break
          continue
        }
        if (!this.isBefore(next, key, sequence)) break
        node = next
      }
    }
    // Not read again: a newer node may stand there by now.
    return next
  }

  /** The last node whose key is less than `key`: that key's oldest version. 0 when none is. */
  seekBefore(head: number, key: SearchKey): number {
    const words = this.#words
    const hint0 = key.words[0]
    const hint1 = key.words[1]
    let node = head
    for (let at = words[head] * LINK_WORDS; at > 0; at -= LINK_WORDS) {
      for (;;) {
        const link = node - at
        const next = words[link]
        if (next === 0) break
        const a = words[link + 1]
        if (a > hint0) break
        if (a === hint0 && words[link + 2] > hint1) {
          // Two words of two hints mean nothing; the link, stored before them, tells.
          if (words[link] === next) break
          continue
        }
        if (this.compare(next, key) >= 0) break
        node = next
      }
    }
    return node === head ? 0 : node
  }

  /** The last node of a list; 0 when it is empty. */
  last(head: number): number {
    const words = this.#words
    let node = head
    for (let at = words[head] * LINK_WORDS; at > 0; at -= LINK_WORDS) {
      for (let next = words[node - at]; next !== 0; next = words[node - at]) node = next
    }
    return node === head ? 0 : node
  }

  /** Whether a node stands before (key, sequence). */
  isBefore(node: number, key: SearchKey, sequence: number): boolean {
    const order = this.compare(node, key)
    return order < 0 || (order === 0 && this.sequenceOf(node) > sequence)
  }

  // -------------------------------------------------------------- insertion, writer only

  /**
   * Finds where (key, sequence) goes, for the insertion that follows. `finger` is the address of
   * the last node of each level, level 1 first (0 = the head), so that appending at the end of a
   * list needs one comparison.
   */
  locate(head: number, finger: number, key: SearchKey, sequence: number): void {
    const words = this.#words
    const predecessors = this.#predecessors
    const height = words[head]
    for (let level = MAX_HEIGHT; level > height; level--) predecessors[level - 1] = head
    const last = words[finger]
    if (last !== 0 && this.compare(last, key) < 0) {
      for (let level = 0; level < height; level++) predecessors[level] = words[finger + level]
      return
    }
    const hint0 = key.words[0]
    const hint1 = key.words[1]
    let node = head
    for (let level = height; level > 0; level--) {
      for (;;) {
        const link = node - level * LINK_WORDS
        const next = words[link]
        if (next === 0) break
        const a = words[link + 1]
        // The writer's own hints are never stale.
        if (a > hint0 || (a === hint0 && words[link + 2] > hint1)) break
        if (!this.isBefore(next, key, sequence)) break
        node = next
      }
      predecessors[level - 1] = node
    }
  }

  /**
   * Allocates a node with `height` links, unlinked, and room for its value, which the caller fills.
   * @returns its address, or 0 when the arena is full
   */
  create(
    height: number,
    key: SearchKey,
    sequence: number,
    isDelete: boolean,
    valueLength: number,
  ): number {
    const words = this.#words
    const keyWords = (key.length + 3) >>> 2
    const links = height * LINK_WORDS
    const start = this.arena.allocate(links + NODE.keyWords + keyWords + ((valueLength + 3) >>> 2))
    if (start === 0) return 0
    const node = start + links
    const low = sequence >>> 0
    words[node] = low
    words[node + NODE.sequenceHigh] = (sequence - low) / TWO_32
    words[node + NODE.value] = isDelete ? DELETE_BIT : valueLength
    words[node + NODE.key] = key.length
    for (let i = 0; i < keyWords; i++) words[node + NODE.keyWords + i] = key.words[i]
    return node
  }

  /** Links a node where locate() pointed, lowest level first. The head has room for `height`. */
  link(node: number, height: number, head: number, finger: number, key: SearchKey): void {
    const words = this.#words
    const { atomics } = this.arena
    const predecessors = this.#predecessors
    const successor = words[predecessors[0] - LINK_WORDS]
    // Invariant 4: before the newer version can be met.
    if (successor !== 0 && this.sameKey(node, successor)) {
      Atomics.or(atomics, successor + NODE.key, SUPERSEDED_BIT)
    }
    for (let level = 1; level <= height; level++) {
      const own = node - level * LINK_WORDS
      const before = predecessors[level - 1] - level * LINK_WORDS
      const next = words[before]
      words[own] = next
      words[own + 1] = words[before + 1]
      words[own + 2] = words[before + 2]
      // Publishes the node at this level.
      Atomics.store(atomics, before, node)
      // Invariant 5: the first hint word is out before the second.
      words[before + 1] = key.words[0]
      Atomics.store(atomics, before + 2, key.words[1])
      if (next === 0) words[finger + level - 1] = node
    }
    if (height > words[head]) words[head] = height
  }

  /** A tower height, at most one more than the list's own. */
  randomHeight(head: number): number {
    const heightMax = Math.min(this.#words[head] + 1, MAX_HEIGHT)
    let x = this.#random
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#random = x
    let height = 1
    while (height < heightMax) {
      const bits = height < HALVING_LEVELS ? 1 : 2
      if ((x & ((1 << bits) - 1)) !== 0) break
      height++
      x >>>= bits
    }
    return height
  }
}
