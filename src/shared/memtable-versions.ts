/**
 * All versions of all rows of a memtable up to a sequence, in the order of tables: keys ascending,
 * of one key the newest first. Any thread.
 */
import type { Memtable } from './memtable.ts'
import type { SkipList } from './skip-list.ts'

export class MemtableVersions {
  readonly #memtable: Memtable
  readonly #list: SkipList
  readonly #sequence: number
  #directoryNode: number
  #node = 0
  #key: Uint8Array = new Uint8Array(0)
  /** Whether the version is of the same key as the one before. */
  isSameKey = false

  /** Stands on the first version. */
  constructor(memtable: Memtable, sequence: number) {
    this.#memtable = memtable
    this.#list = memtable.list
    this.#sequence = sequence
    this.#directoryNode = memtable.firstList
    this.#settle(this.#first())
    if (this.#node !== 0) this.#readKey()
  }

  get valid(): boolean {
    return this.#node !== 0
  }

  get sequence(): number {
    return this.#list.sequenceOf(this.#node)
  }

  get isDelete(): boolean {
    return this.#list.isDelete(this.#node)
  }

  /** Borrowed until the key changes. */
  get key(): Uint8Array {
    return this.#key
  }

  /** A view of the memtable. */
  get value(): Uint8Array {
    return this.#memtable.value(this.#node)
  }

  next(): void {
    const before = this.#node
    const directoryNode = this.#directoryNode
    this.#settle(this.#list.next(before))
    if (this.#node === 0) return
    this.isSameKey = directoryNode === this.#directoryNode && this.#list.sameKey(before, this.#node)
    if (!this.isSameKey) this.#readKey()
  }

  #first(): number {
    return this.#directoryNode === 0 ? 0 : this.#memtable.firstNode(this.#directoryNode)
  }

  /** From a node on to the first one that is old enough, into the next lists if need be. */
  #settle(from: number): void {
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

  #readKey(): void {
    const prefixLength = this.#list.keyLength(this.#directoryNode)
    const length = prefixLength + this.#list.keyLength(this.#node)
    if (this.#key.length !== length) this.#key = new Uint8Array(length)
    this.#list.keyBytesInto(this.#directoryNode, this.#key, 0)
    this.#list.keyBytesInto(this.#node, this.#key, prefixLength)
  }
}
