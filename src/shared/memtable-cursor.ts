/** A cursor over a memtable at a snapshot. Any thread; sees rows at or below its sequence. */
import { directoryPrefixBytes } from '../codec/keys.ts'
import type { Memtable } from './memtable.ts'
import type { RowCursor } from './row-cursor.ts'
import { SearchKey, type SkipList } from './skip-list.ts'

export class MemtableCursor implements RowCursor {
  readonly #memtable: Memtable
  readonly #list: SkipList
  readonly #sequence: number
  /** The list that the row is in. */
  #directoryNode = 0
  #node = 0
  #keyBytes: Uint8Array = EMPTY

  constructor(memtable: Memtable, sequence: number) {
    this.#memtable = memtable
    this.#list = memtable.list
    this.#sequence = sequence
  }

  get valid(): boolean {
    return this.#node !== 0
  }

  /** The sequence of the row's version. */
  get sequence(): number {
    return this.#list.sequenceOf(this.#node)
  }

  seek(key: Uint8Array): void {
    if (!this.#enterListOf(key)) {
      this.#directoryNode = this.#memtable.seekList(prefixScratch)
      this.#settleForward(this.#first())
      return
    }
    this.#settleForward(this.#memtable.seek(this.#directoryNode, searchScratch, this.#sequence))
  }

  /** To the first row of all. */
  seekFirst(): void {
    this.#directoryNode = this.#memtable.firstList
    this.#settleForward(this.#first())
  }

  seekBefore(key: Uint8Array): void {
    if (!this.#enterListOf(key)) {
      this.#directoryNode = this.#memtable.seekListBefore(prefixScratch)
      this.#settleBackward(this.#last())
      return
    }
    this.#settleBackward(this.#memtable.seekBefore(this.#directoryNode, searchScratch))
  }

  next(): void {
    const node = this.#node
    let next = this.#list.next(node)
    while (next !== 0 && this.#list.isSuperseded(next) && this.#list.sameKey(node, next)) {
      next = this.#list.next(next)
    }
    this.#settleForward(next)
  }

  prev(): void {
    this.#list.keyInto(this.#node, searchScratch)
    this.#settleBackward(this.#memtable.seekBefore(this.#directoryNode, searchScratch))
  }

  key(): Uint8Array {
    const prefixLength = this.#list.keyLength(this.#directoryNode)
    const length = prefixLength + this.#list.keyLength(this.#node)
    if (this.#keyBytes.length !== length) this.#keyBytes = new Uint8Array(length)
    this.#list.keyBytesInto(this.#directoryNode, this.#keyBytes, 0)
    this.#list.keyBytesInto(this.#node, this.#keyBytes, prefixLength)
    return this.#keyBytes
  }

  value(): Uint8Array {
    return this.#memtable.value(this.#node)
  }

  isDelete(): boolean {
    return this.#list.isDelete(this.#node)
  }

  /** Enters the list that holds keys like `key`, and makes the rest of it the search key. */
  #enterListOf(key: Uint8Array): boolean {
    const prefixLength = directoryPrefixBytes(key[0], key.length)
    prefixScratch.set(key, 0, prefixLength)
    searchScratch.set(key, prefixLength, key.length - prefixLength)
    const directoryNode = this.#memtable.findList(prefixScratch)
    if (directoryNode === 0) return false
    this.#directoryNode = directoryNode
    return true
  }

  #first(): number {
    return this.#directoryNode === 0 ? 0 : this.#memtable.firstNode(this.#directoryNode)
  }

  #last(): number {
    return this.#directoryNode === 0 ? 0 : this.#memtable.lastNode(this.#directoryNode)
  }

  /**
   * From a node that is the first candidate of its key, forward to the first version that the
   * snapshot sees, into the next lists if need be. Versions stand newest first, so the first one
   * that is old enough is the one.
   */
  #settleForward(from: number): void {
    let node = from
    while (this.#directoryNode !== 0) {
      while (node !== 0 && this.#list.sequenceOf(node) > this.#sequence) {
        node = this.#list.next(node)
      }
      if (node !== 0) break
      this.#directoryNode = this.#list.next(this.#directoryNode)
      node = this.#first()
    }
    this.#node = node
  }

  /** From a node that is its key's oldest version, backward to a key that the snapshot sees. */
  #settleBackward(from: number): void {
    let node = from
    while (this.#directoryNode !== 0) {
      while (node !== 0) {
        if (this.#list.sequenceOf(node) <= this.#sequence) {
          this.#node = this.#newestVersion(node)
          return
        }
        // Its oldest version is too new, so the whole key is: on to the key before it.
        this.#list.keyInto(node, searchScratch)
        node = this.#memtable.seekBefore(this.#directoryNode, searchScratch)
      }
      this.#list.keyInto(this.#directoryNode, prefixScratch)
      this.#directoryNode = this.#memtable.seekListBefore(prefixScratch)
      node = this.#last()
    }
    this.#node = 0
  }

  #newestVersion(oldest: number): number {
    // Skip list invariant 4: without the mark there is no newer version to be seen.
    if (!this.#list.isSuperseded(oldest)) return oldest
    this.#list.keyInto(oldest, searchScratch)
    return this.#memtable.seek(this.#directoryNode, searchScratch, this.#sequence)
  }
}

const EMPTY: Uint8Array = new Uint8Array(0)

/** Set anew in every move, so all cursors of a thread share them. */
const prefixScratch = new SearchKey(24)
const searchScratch = new SearchKey()
