/**
 * A memtable: a directory of skip lists, one for each (row type, topic, partition) prefix, in one
 * fixed SharedArrayBuffer. A lookup finds its list by hash and walks a short list instead of one
 * of all rows; scans and flush follow the directory, itself a skip list in prefix order. RocksDB's
 * hash skip list is the precedent.
 *
 * Threads: the partition worker that owns the domain inserts; every thread of the process reads.
 *
 *   word  0        never used: address 0 means "nothing"
 *   word  1        words used (arena.ts). Writer: worker. Readers: any; may be late
 *   word  2        rows inserted. Writer: worker. Readers: any; may be late
 *   word  3        address of the hash table. Writer: worker, by Atomics.store after the table is
 *                  filled. The table's size - 1 is in the word before it
 *   word  4        prefixes. Writer and reader: worker
 *   words 5..      the directory's head, then its finger
 *   then           arena
 *
 * A hash slot is the address of a directory node, published by Atomics.store, or 0. A directory
 * node is a skip-list node whose key is the prefix; behind the key stand the words
 * { hash, address of the list's head, of its finger, levels that they have room for, rows,
 * address of its index or 0 (list-index.ts; published by Atomics.store) }.
 * A head starts small and is replaced by a full-sized one when its list grows taller; readers that
 * still hold the old one miss only rows above their snapshot.
 */
import { directoryPrefixBytes } from '../codec/keys.ts'
import { Arena } from './arena.ts'
import { INDEXED_ROWS_MIN, indexWords, ListIndex } from './list-index.ts'
import { headWords, MAX_HEIGHT, NODE, nodeWordsMax, SearchKey, SkipList } from './skip-list.ts'

const WORD = { used: 1, rows: 2, table: 3, prefixes: 4 } as const
const DIRECTORY_HEAD: number = 4 + headWords(MAX_HEIGHT)
const DIRECTORY_FINGER: number = DIRECTORY_HEAD + 1
const RESERVED_WORDS: number = DIRECTORY_FINGER + MAX_HEIGHT

/** What stands behind a directory node's key. */
const LIST = { hash: 0, head: 1, finger: 2, levels: 3, rows: 4, index: 5, words: 6 } as const
/** Levels of a new list's head: enough for the few rows that most prefixes have. */
const SMALL_LEVELS = 4

/** A head and a finger, of both sizes. */
const LEVELS_WORDS: number =
  headWords(SMALL_LEVELS) + SMALL_LEVELS + headWords(MAX_HEIGHT) + MAX_HEIGHT

const TABLE_SLOTS_MIN = 256
const PREFIX_BYTES_MAX = 24

/** Smallest useful memtable. */
export const MEMTABLE_BYTES_MIN = 65_536

/** Whether rows of these total sizes fit into a memtable of so many bytes that is empty. */
export function fitsEmptyMemtable(memoryBytes: number, rows: number, sizeBytes: number): boolean {
  return RESERVED_WORDS + wordsFor(rows, sizeBytes, 0) <= memoryBytes >>> 2
}

/** Words that rows take at the most, whatever their prefixes are. */
function wordsFor(rows: number, sizeBytes: number, prefixesBefore: number): number {
  const perRow =
    nodeWordsMax(0, 0) + 2 + nodeWordsMax(PREFIX_BYTES_MAX, 0) + LIST.words + LEVELS_WORDS
  const tableGrowth = 4 * (prefixesBefore + rows) + 2 * TABLE_SLOTS_MIN
  return rows * perRow + tableGrowth + (sizeBytes >>> 2)
}

export class Memtable {
  readonly memory: SharedArrayBuffer
  readonly arena: Arena
  readonly list: SkipList
  readonly index: ListIndex
  readonly #words: Uint32Array
  readonly #key = new SearchKey()
  readonly #prefix = new SearchKey(PREFIX_BYTES_MAX)
  /** What the last promise of room may still need; an index leaves that much. Writer only. */
  #promisedWords = 0

  /** Maps a memtable; zeroed memory is an empty one. */
  constructor(memory: SharedArrayBuffer) {
    this.memory = memory
    this.arena = new Arena(memory, WORD.used, RESERVED_WORDS)
    this.list = new SkipList(this.arena)
    this.index = new ListIndex(this.list)
    this.#words = this.arena.words
    if (this.#words[DIRECTORY_FINGER] === 0)
      this.#words.fill(DIRECTORY_HEAD, DIRECTORY_FINGER, RESERVED_WORDS)
  }

  /** Rows inserted, all versions. Any thread; may be late. */
  get rowCount(): number {
    return this.#words[WORD.rows]
  }

  /** Any thread; may be late. */
  get usedBytes(): number {
    return this.arena.usedBytes
  }

  // -------------------------------------------------------------- writer

  /**
   * Whether rows of these total sizes fit, whatever their prefixes are: checked for a whole batch
   * before its first row goes in, so that a batch is never half in.
   */
  hasRoomFor(rows: number, keyBytes: number, valueBytes: number): boolean {
    const needed = wordsFor(rows, keyBytes + valueBytes, this.#words[WORD.prefixes])
    if (this.arena.freeWords < needed) return false
    this.#promisedWords = needed
    return true
  }

  /**
   * Inserts one version of a row. Sequences never decrease, and one sequence holds a key once.
   * The bytes are copied. Writer only.
   * @returns false when the arena is full; nothing was changed then
   */
  insert(
    keyBytes: Uint8Array,
    keyStart: number,
    keyLength: number,
    sequence: number,
    isDelete: boolean,
    valueBytes: Uint8Array,
    valueStart: number,
    valueLength: number,
  ): boolean {
    const { list } = this
    const words = this.#words
    const prefixLength = directoryPrefixBytes(keyBytes[keyStart], keyLength)
    const prefix = this.#prefix.set(keyBytes, keyStart, prefixLength)
    const directoryNode = this.#findOrAddList(prefix)
    if (directoryNode === 0) return false
    const record = listRecord(list, directoryNode)
    const height = list.randomHeight(words[record + LIST.head])
    if (height > words[record + LIST.levels] && !this.#growHead(record)) return false
    const key = this.#key.set(keyBytes, keyStart + prefixLength, keyLength - prefixLength)
    const node = list.create(height, key, sequence, isDelete, valueLength)
    if (node === 0) return false
    copyBytes(valueBytes, valueStart, valueLength, this.arena.bytes, list.valueStart(node))
    const head = words[record + LIST.head]
    const finger = words[record + LIST.finger]
    list.locate(head, finger, key, sequence)
    list.link(node, height, head, finger, key)
    words[WORD.rows]++
    words[record + LIST.rows]++
    this.#maintainIndex(record, head, node)
    return true
  }

  /**
   * Keeps a long list's index complete for rows added at its end, and half complete for others.
   * An index that finds no room is done without.
   */
  #maintainIndex(record: number, head: number, node: number): void {
    const words = this.#words
    const rows = words[record + LIST.rows]
    if (rows < INDEXED_ROWS_MIN) return
    const index = words[record + LIST.index]
    if (index !== 0) {
      const isLast = this.list.next(node) === 0
      if (isLast ? this.index.append(index, node) : rows < this.index.rowsAtBuild(index) * 2) return
    }
    const wanted = indexWords(rows)
    if (this.arena.freeWords < Math.max(wanted * 2, wanted + this.#promisedWords)) return
    Atomics.store(this.arena.atomics, record + LIST.index, this.index.build(head, rows))
  }

  #findOrAddList(prefix: SearchKey): number {
    const hash = hashPrefix(prefix)
    const found = this.#find(prefix, hash)
    return found !== 0 ? found : this.#addList(prefix, hash)
  }

  #addList(prefix: SearchKey, hash: number): number {
    const { list } = this
    const words = this.#words
    if (!this.#growTable()) return 0
    const height = list.randomHeight(DIRECTORY_HEAD)
    const node = list.create(height, prefix, 0, false, 0)
    // Behind the node's key, where listRecord() looks for it.
    const record = this.arena.allocate(LIST.words)
    if (node === 0 || record === 0) return 0
    if (!this.#allocateLevels(record, SMALL_LEVELS)) return 0
    words[record + LIST.hash] = hash
    list.locate(DIRECTORY_HEAD, DIRECTORY_FINGER, prefix, 0)
    list.link(node, height, DIRECTORY_HEAD, DIRECTORY_FINGER, prefix)
    this.#putSlot(words[WORD.table], hash, node)
    words[WORD.prefixes]++
    return node
  }

  /** Gives a list a head and a finger with room for `levels`; publishes the head. */
  #allocateLevels(record: number, levels: number): boolean {
    const words = this.#words
    const oldHead = words[record + LIST.head]
    const oldFinger = words[record + LIST.finger]
    const oldLevels = words[record + LIST.levels]
    const start = this.arena.allocate(headWords(levels) + levels)
    if (start === 0) return false
    const head = start + headWords(levels) - 1
    const finger = head + 1
    if (oldHead !== 0) {
      const count = headWords(oldLevels)
      for (let i = 0; i < count; i++) words[head - i] = words[oldHead - i]
      for (let i = 0; i < oldLevels; i++) {
        words[finger + i] = words[oldFinger + i] === oldHead ? head : words[oldFinger + i]
      }
    } else {
      // An empty list has one level, and the head is the last node of each.
      words[head] = 1
    }
    for (let i = oldLevels; i < levels; i++) words[finger + i] = head
    words[record + LIST.finger] = finger
    words[record + LIST.levels] = levels
    Atomics.store(this.arena.atomics, record + LIST.head, head)
    return true
  }

  #growHead(record: number): boolean {
    return this.#allocateLevels(record, MAX_HEIGHT)
  }

  /** Keeps the hash table at most half full. The old one stays where it is, for its readers. */
  #growTable(): boolean {
    const words = this.#words
    const old = words[WORD.table]
    const oldSlots = old === 0 ? 0 : words[old - 1] + 1
    if ((words[WORD.prefixes] + 1) * 2 <= oldSlots) return true
    const slots = Math.max(TABLE_SLOTS_MIN, oldSlots * 2)
    const start = this.arena.allocate(slots + 1)
    if (start === 0) return false
    words[start] = slots - 1
    const table = start + 1
    for (let slot = 0; slot < oldSlots; slot++) {
      const node = words[old + slot]
      if (node !== 0) this.#putSlot(table, words[listRecord(this.list, node) + LIST.hash], node)
    }
    Atomics.store(this.arena.atomics, WORD.table, table)
    return true
  }

  #putSlot(table: number, hash: number, node: number): void {
    const words = this.#words
    const mask = words[table - 1]
    let slot = hash & mask
    while (words[table + slot] !== 0) slot = (slot + 1) & mask
    Atomics.store(this.arena.atomics, table + slot, node)
  }

  // -------------------------------------------------------------- readers, any thread

  #find(prefix: SearchKey, hash: number): number {
    const words = this.#words
    const table = words[WORD.table]
    if (table === 0) return 0
    const mask = words[table - 1]
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const node = words[table + slot]
      if (node === 0) return 0
      if (this.list.compare(node, prefix) === 0) return node
    }
  }

  /** The directory node of the list with exactly this prefix; 0 when there is none. */
  findList(prefix: SearchKey): number {
    return this.#find(prefix, hashPrefix(prefix))
  }

  /** The directory node of the first list whose prefix is not below `prefix`; 0 at the end. */
  seekList(prefix: SearchKey): number {
    return this.list.seek(DIRECTORY_HEAD, prefix, Number.MAX_SAFE_INTEGER)
  }

  /** The directory node of the last list whose prefix is below `prefix`; 0 when there is none. */
  seekListBefore(prefix: SearchKey): number {
    return this.list.seekBefore(DIRECTORY_HEAD, prefix)
  }

  get firstList(): number {
    return this.list.next(DIRECTORY_HEAD)
  }

  get lastList(): number {
    return this.list.last(DIRECTORY_HEAD)
  }

  /** The first node of a list; 0 when it is empty. */
  firstNode(directoryNode: number): number {
    return this.list.next(this.#words[listRecord(this.list, directoryNode) + LIST.head])
  }

  /** The last node of a list; 0 when it is empty. */
  lastNode(directoryNode: number): number {
    return this.list.last(this.#words[listRecord(this.list, directoryNode) + LIST.head])
  }

  /** SkipList.seek in the list of a directory node. */
  seek(directoryNode: number, key: SearchKey, sequence: number): number {
    const record = listRecord(this.list, directoryNode)
    const head = this.#words[record + LIST.head]
    const index = this.#words[record + LIST.index]
    if (index !== 0) return this.index.seek(index, head, key, sequence)
    return this.list.seek(head, key, sequence)
  }

  /** SkipList.seekBefore in the list of a directory node. */
  seekBefore(directoryNode: number, key: SearchKey): number {
    const record = listRecord(this.list, directoryNode)
    const head = this.#words[record + LIST.head]
    const index = this.#words[record + LIST.index]
    if (index !== 0) return this.index.seekBefore(index, head, key)
    return this.list.seekBefore(head, key)
  }

  /**
   * The newest version of `key` at or below `sequence`, delete or not: a node, or 0. Its fields
   * are read through `list`. `search` is the caller's scratch: this is called on several threads.
   */
  find(key: Uint8Array, sequence: number, search: SearchKey): number {
    const prefixLength = directoryPrefixBytes(key[0], key.length)
    const directoryNode = this.findList(search.set(key, 0, prefixLength))
    if (directoryNode === 0) return 0
    search.set(key, prefixLength, key.length - prefixLength)
    const node = this.seek(directoryNode, search, sequence)
    return node !== 0 && this.list.compare(node, search) === 0 ? node : 0
  }

  /** A view on a node's value; it lives as long as the memtable. */
  value(node: number): Uint8Array {
    return new Uint8Array(this.memory, this.list.valueStart(node), this.list.valueLength(node))
  }
}

function listRecord(list: SkipList, directoryNode: number): number {
  return directoryNode + NODE.keyWords + ((list.keyLength(directoryNode) + 3) >>> 2)
}

/** MurmurHash3's mixing over the prefix's words. In memory only. */
function hashPrefix(prefix: SearchKey): number {
  const { words, length } = prefix
  const count = (length + 3) >>> 2
  let h = length
  for (let i = 0; i < count; i++) h = mix(h, words[i])
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51)
  k = (k << 15) | (k >>> 17)
  const h = hash ^ Math.imul(k, 0x1b873593)
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0
}

/** A plain loop beats set() with its subarray up to some hundred bytes. */
function copyBytes(
  source: Uint8Array,
  start: number,
  length: number,
  target: Uint8Array,
  at: number,
): void {
  if (length > 256) {
    target.set(source.subarray(start, start + length), at)
    return
  }
  for (let i = 0; i < length; i++) target[at + i] = source[start + i]
}
