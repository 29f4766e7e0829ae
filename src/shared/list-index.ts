/**
 * A sorted array over one skip list of a memtable, in the same arena: binary search in it replaces
 * most of a search's steps from node to node, each of which is a cache miss of its own once rows
 * are many. Nodes are never unlinked or moved, so whatever the array holds stays right; it need not
 * hold everything, because a search goes on from the node it finds along the list itself.
 *
 * Appending to the list appends to the array. Rows that went in elsewhere are missing from it until
 * the writer builds a new one, which it does when they are as many as those in it.
 *
 * At address A: { entries (publishing word: Atomics.store), room for entries, rows of the list when
 * it was built }, then entries of three words: the first two words of the key, the node. Writer:
 * the memtable's. Readers: any; as in skip-list.ts, what the array says is a hint, verified against
 * the node before it is used.
 */
import type { Arena } from './arena.ts'
import type { SearchKey, SkipList } from './skip-list.ts'

const HEADER_WORDS = 3
const ENTRY_WORDS = 3
const TWO_32 = 4294967296
/** Shorter lists are searched as fast without. */
export const INDEXED_ROWS_MIN = 16
/** How far a search follows the list before it gives the array up as stale. */
const STEPS_MAX = 8

/** Words for an index over `rows` rows with room for as many again. */
export function indexWords(rows: number): number {
  return HEADER_WORDS + ENTRY_WORDS * rows * 2
}

export class ListIndex {
  readonly #list: SkipList
  readonly #arena: Arena
  readonly #words: Uint32Array

  constructor(list: SkipList) {
    this.#list = list
    this.#arena = list.arena
    this.#words = list.arena.words
  }

  /** Rows that the list had when the index at `index` was built. */
  rowsAtBuild(index: number): number {
    return this.#words[index + 2]
  }

  /** An index over all keys of a list, with room for as many again; 0 when the arena is full. */
  build(head: number, rows: number): number {
    const index = this.#arena.allocate(indexWords(rows))
    if (index === 0) return 0
    this.#words[index + 1] = rows * 2
    this.#words[index + 2] = rows
    const list = this.#list
    let last = head
    for (let node = list.next(head); node !== 0; node = list.next(node)) {
      if (last === head || !list.sameKey(last, node)) this.#put(index, node)
      last = node
    }
    return index
  }

  /** Adds the list's new last node; false when there is no room. */
  append(index: number, node: number): boolean {
    if (this.#words[index] === this.#words[index + 1]) return false
    this.#put(index, node)
    return true
  }

  #put(index: number, node: number): void {
    const words = this.#words
    const count = words[index]
    const entry = index + HEADER_WORDS + count * ENTRY_WORDS
    const length = this.#list.keyLength(node)
    words[entry] = length > 0 ? this.#list.keyWord(node, 0) : 0
    words[entry + 1] = length > 4 ? this.#list.keyWord(node, 1) : 0
    words[entry + 2] = node
    Atomics.store(this.#arena.atomics, index, count + 1)
  }

  /** SkipList.seek through the index. */
  seek(index: number, head: number, key: SearchKey, sequence: number): number {
    const list = this.#list
    const start = this.#floor(index, head, key)
    if (start !== 0) {
      let next = list.next(start)
      for (let steps = 0; steps < STEPS_MAX; steps++) {
        if (next === 0 || !list.isBefore(next, key, sequence)) return next
        next = list.next(next)
      }
    }
    return list.seek(head, key, sequence)
  }

  /** SkipList.seekBefore through the index. */
  seekBefore(index: number, head: number, key: SearchKey): number {
    const list = this.#list
    let node = this.#floor(index, head, key)
    if (node !== 0) {
      for (let steps = 0; steps < STEPS_MAX; steps++) {
        const next = list.next(node)
        if (next === 0 || list.compare(next, key) >= 0) {
          return node === head ? 0 : node
        }
        node = next
      }
    }
    return list.seekBefore(head, key)
  }

  /** A node known to be before `key`, or the head; 0 when the array cannot tell. */
  #floor(index: number, head: number, key: SearchKey): number {
    const base = index + HEADER_WORDS
    const count = this.#entriesBelow(base, this.#words[index], key.words[0], key.words[1])
    if (count === 0) return head
    const node = this.#words[base + (count - 1) * ENTRY_WORDS + 2]
    return node !== 0 && this.#list.compare(node, key) < 0 ? node : 0
  }

  /**
   * How many entries are below a key's first two words. Keys of a list are mostly offsets that grow
   * evenly, so the search begins where a straight line from first to last would put the key, and
   * doubles its steps from there (Bentley and Yao, "An almost optimal algorithm for unbounded
   * searching", 1976): two or three cache lines instead of one for each halving.
   */
  #entriesBelow(base: number, count: number, hint0: number, hint1: number): number {
    if (count === 0 || !this.#isBelow(base, hint0, hint1)) return 0
    const last = base + (count - 1) * ENTRY_WORDS
    if (this.#isBelow(last, hint0, hint1)) return count
    let low = 0
    let high = count - 1
    const middle = this.#guess(base, last, count, hint0, hint1)
    if (this.#isBelow(base + middle * ENTRY_WORDS, hint0, hint1)) {
      low = middle
      for (let step = 1; low + step < high; step *= 2) {
        if (!this.#isBelow(base + (low + step) * ENTRY_WORDS, hint0, hint1)) {
          high = low + step
          break
        }
        low += step
      }
    } else {
      high = middle
      for (let step = 1; high - step > low; step *= 2) {
        if (this.#isBelow(base + (high - step) * ENTRY_WORDS, hint0, hint1)) {
          low = high - step
          break
        }
        high -= step
      }
    }
    // Entry `low` is below the key, entry `high` is not.
    while (high - low > 1) {
      const half = (low + high) >>> 1
      if (this.#isBelow(base + half * ENTRY_WORDS, hint0, hint1)) low = half
      else high = half
    }
    return high
  }

  #isBelow(entry: number, hint0: number, hint1: number): boolean {
    const word = this.#words[entry]
    return word < hint0 || (word === hint0 && this.#words[entry + 1] < hint1)
  }

  /** Where between the first entry and the last a key should be; only speed depends on it. */
  #guess(first: number, last: number, count: number, hint0: number, hint1: number): number {
    const words = this.#words
    const from = words[first] * TWO_32 + words[first + 1]
    const to = words[last] * TWO_32 + words[last + 1]
    const share = (hint0 * TWO_32 + hint1 - from) / (to - from)
    const at = Math.floor(share * (count - 1))
    // Also for the 0 / 0 of keys that differ only beyond what a double holds.
    return at > 0 && at < count - 1 ? at : (count - 1) >>> 1
  }
}
