/**
 * A cursor over the raw bytes of one block (docs/table-format.md), both ways. One cursor serves one
 * block after another. Nothing is allocated by a move, once its buffers have grown to the keys.
 *
 * A block whose bytes are not what a BlockBuilder makes gives CORRUPTION when the damaged entry is
 * met. Every entry that is decoded lies after the one before, so no move can run for ever.
 */
import { getU32 } from '../bytes.ts'
import { corruption, type MetastoreError } from '../errors.ts'
import { EntryHistory } from './entry-history.ts'
import { RESTART_INTERVAL_ROWS, TABLE_KEY_BYTES_MAX } from './table-format.ts'

const NO_BLOCK: Uint8Array = new Uint8Array(0)
const VARINT_BYTES_MAX = 8

export class BlockCursor {
  /** Whether it stands on an entry. Moves from nowhere lead nowhere; a seek is needed. */
  valid = false
  /** The user key is bytes [0, keyLength); the cursor's own, until it moves. */
  keyBytes: Uint8Array = new Uint8Array(256)
  keyLength = 0

  #block: Uint8Array = NO_BLOCK
  #file = ''
  #number = 0
  /** Where the entries end and the restarts begin. */
  #entriesEnd = 0
  #restartCount = 0
  /** The entry it stands on is [#start, #end). */
  #start = 0
  #end = 0
  #sequenceAt = 0
  /** See isFirstVersion. */
  #isFirst = false
  /** 0: a delete, else the length of the value + 1. */
  #tag = 0
  /** Where the next varint is read. */
  #at = 0

  // The entry that was parsed last: it may be one ahead, to look at its key before moving there.
  #parsedShared = 0
  #parsedSuffixStart = 0
  #parsedSuffixLength = 0
  #parsedTag = 0
  #parsedSequenceAt = 0
  #parsedStart = 0
  #parsedEnd = 0
  /** How many bytes the target and the key compared last have in common. */
  #matched = 0

  readonly #history = new EntryHistory()

  /**
   * Takes a block, borrowed until the next reset; it stands nowhere. `file` and `number` are for
   * errors only.
   * @throws CORRUPTION when the block has no sane restarts.
   */
  reset(block: Uint8Array, file: string, number: number): void {
    this.valid = false
    this.#block = block
    this.#file = file
    this.#number = number
    this.#history.clear()
    const countAt = block.length - 4
    const count = countAt < 0 ? 0 : getU32(block, countAt)
    this.#entriesEnd = countAt - count * 4
    this.#restartCount = count
    if (count === 0 || this.#entriesEnd <= 0) throw this.#corrupt('bad restart count', countAt)
    if (getU32(block, this.#entriesEnd) !== 0) throw this.#corrupt('bad restart', countAt)
  }

  /** Stands nowhere, and holds no block. */
  clear(): void {
    this.valid = false
    this.#block = NO_BLOCK
    this.#entriesEnd = 0
    this.#restartCount = 0
    this.#history.clear()
  }

  get sequence(): number {
    this.#at = this.#sequenceAt
    return this.#varint()
  }

  get isDelete(): boolean {
    return this.#tag === 0
  }

  /**
   * True: the entry before has another key, so this is its key's newest version. False: not known
   * without looking. Versions of one key share all of it, so a suffix of its own says that the key
   * is another one.
   */
  get isFirstVersion(): boolean {
    return this.#isFirst
  }

  /** The value is bytes [valueStart, valueStart + valueLength) of the block. */
  get valueStart(): number {
    return this.#end - this.valueLength
  }

  get valueLength(): number {
    return this.#tag === 0 ? 0 : this.#tag - 1
  }

  /** A new view of the value in the block; empty for a delete. */
  value(): Uint8Array {
    const block = this.#block
    return new Uint8Array(block.buffer, block.byteOffset + this.valueStart, this.valueLength)
  }

  /** Order of the current user key and `target`: below, at or above 0. */
  compareKey(target: Uint8Array): number {
    const key = this.keyBytes
    const shortest = Math.min(this.keyLength, target.length)
    for (let i = 0; i < shortest; i++) {
      const difference = key[i] - target[i]
      if (difference !== 0) return difference
    }
    return this.keyLength - target.length
  }

  seekFirst(): boolean {
    this.#history.clear()
    if (this.#restartCount === 0) return false
    this.#toRestart(0)
    return true
  }

  seekLast(): boolean {
    return this.#toEntryBefore(this.#entriesEnd)
  }

  /** To the first entry whose user key is at or after `target`: its newest version. */
  seekGE(target: Uint8Array): boolean {
    return this.seekLT(target) ? this.next() : this.seekFirst()
  }

  /** To the last entry whose user key is before `target`: its oldest version. */
  seekLT(target: Uint8Array): boolean {
    this.valid = false
    this.#history.clear()
    const restart = this.#restartBefore(target)
    if (restart < 0) return false
    this.#parse(this.#restartAt(restart), 0)
    this.#compareParsed(target)
    let matched = this.#matched
    this.#moveToParsed()
    while (this.#end < this.#entriesEnd) {
      this.#parse(this.#end, this.keyLength)
      // The current key is before the target and differs from it at `matched`. A key that shares
      // more than that with the current one differs there in the same way.
      if (this.#parsedShared <= matched) {
        if (this.#compareParsed(target) >= 0) return true
        matched = this.#matched
      }
      this.#moveToParsed()
    }
    return true
  }

  /** False, and it stands nowhere, when there is no next entry. */
  next(): boolean {
    if (!this.valid) return false
    this.#history.clear()
    if (this.#end === this.#entriesEnd) {
      this.valid = false
      return false
    }
    this.#parse(this.#end, this.keyLength)
    this.#moveToParsed()
    return true
  }

  /** False, and it stands nowhere, when there is no entry before. */
  prev(): boolean {
    if (!this.valid) return false
    const history = this.#history
    if (!history.stepBack()) return this.#toEntryBefore(this.#start)
    // Its key comes from the history, so how much it shares with the key before does not matter.
    this.#parse(history.start, TABLE_KEY_BYTES_MAX)
    this.#moveTo(history.bytes, history.keyStart, history.keyLength, 0)
    this.#isFirst = false
    return true
  }

  /**
   * To the last entry that begins before `stop`, the beginning of an entry or the end of all. The
   * entries from its restart on are remembered, so the next steps back do not decode them again.
   */
  #toEntryBefore(stop: number): boolean {
    this.valid = false
    const history = this.#history
    history.clear()
    if (stop <= 0) return false
    let low = 0
    let high = this.#restartCount
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (this.#restartAt(middle) < stop) low = middle
      else high = middle
    }
    this.#toRestart(low)
    history.add(this.#start, this.keyBytes, this.keyLength)
    while (this.#end < stop) {
      if (history.count === RESTART_INTERVAL_ROWS) throw this.#corrupt('missing restart', this.#end)
      this.#parse(this.#end, this.keyLength)
      this.#moveToParsed()
      history.add(this.#start, this.keyBytes, this.keyLength)
    }
    if (this.#end !== stop) throw this.#corrupt('restart within an entry', this.#start)
    return true
  }

  /** The last restart whose key is before `target`; -1 when none is. */
  #restartBefore(target: Uint8Array): number {
    let low = -1
    let high = this.#restartCount
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      this.#parse(this.#restartAt(middle), 0)
      if (this.#compareParsed(target) < 0) low = middle
      else high = middle
    }
    return low
  }

  #restartAt(restart: number): number {
    return getU32(this.#block, this.#entriesEnd + restart * 4)
  }

  #toRestart(restart: number): void {
    this.#parse(this.#restartAt(restart), 0)
    this.#moveToParsed()
  }

  /** Order of the parsed key and `target`, which agree on the bytes that the key shares. */
  #compareParsed(target: Uint8Array): number {
    const block = this.#block
    const from = this.#parsedShared
    const suffixStart = this.#parsedSuffixStart
    const keyLength = from + this.#parsedSuffixLength
    const shortest = Math.min(keyLength, target.length)
    let at = from
    while (at < shortest && block[suffixStart + at - from] === target[at]) at++
    this.#matched = at
    return at < shortest ? block[suffixStart + at - from] - target[at] : keyLength - target.length
  }

  /** Decodes the head of the entry at `start`; the cursor stays where it is. */
  #parse(start: number, sharedMax: number): void {
    this.#at = start
    const shared = this.#varint()
    const suffixLength = this.#varint()
    const tag = this.#varint()
    const sequenceAt = this.#at
    this.#skipVarint()
    const suffixStart = this.#at
    const end = suffixStart + suffixLength + (tag === 0 ? 0 : tag - 1)
    if (shared > sharedMax) throw this.#corrupt('more shared bytes than the key has', start)
    if (shared + suffixLength > TABLE_KEY_BYTES_MAX) throw this.#corrupt('a long key', start)
    if (end > this.#entriesEnd) throw this.#corrupt('an entry past the end', start)
    this.#parsedShared = shared
    this.#parsedSuffixStart = suffixStart
    this.#parsedSuffixLength = suffixLength
    this.#parsedTag = tag
    this.#parsedSequenceAt = sequenceAt
    this.#parsedStart = start
    this.#parsedEnd = end
  }

  #moveToParsed(): void {
    const shared = this.#parsedShared
    this.#moveTo(this.#block, this.#parsedSuffixStart, this.#parsedSuffixLength, shared)
    // An entry at a restart shares nothing, whatever is before it.
    this.#isFirst = shared > 0 && this.#parsedSuffixLength > 0
  }

  /** To the parsed entry, whose key is what is shared and then `length` bytes of `source`. */
  #moveTo(source: Uint8Array, from: number, length: number, shared: number): void {
    const keyLength = shared + length
    if (keyLength > this.keyBytes.length) this.#growKey(keyLength)
    const key = this.keyBytes
    for (let i = 0; i < length; i++) key[shared + i] = source[from + i]
    this.keyLength = keyLength
    this.#sequenceAt = this.#parsedSequenceAt
    this.#tag = this.#parsedTag
    this.#start = this.#parsedStart
    this.#end = this.#parsedEnd
    this.valid = true
  }

  #growKey(keyLength: number): void {
    const grown = new Uint8Array(Math.max(keyLength, this.keyBytes.length * 2))
    grown.set(this.keyBytes)
    this.keyBytes = grown
  }

  #varint(): number {
    const at = this.#at
    if (at < this.#entriesEnd) {
      const byte = this.#block[at]
      if (byte < 128) {
        this.#at = at + 1
        return byte
      }
    }
    return this.#longVarint()
  }

  /** Most sequences are passed by on the way to another row, so their numbers are not made. */
  #skipVarint(): void {
    const block = this.#block
    const start = this.#at
    let at = start
    while (at < this.#entriesEnd && block[at] > 127) at++
    // Eight bytes may be past 2^53, and more are no varint.
    if (at < this.#entriesEnd && at - start < VARINT_BYTES_MAX - 1) this.#at = at + 1
    else this.#longVarint()
  }

  #longVarint(): number {
    const block = this.#block
    const start = this.#at
    const end = Math.min(start + VARINT_BYTES_MAX, this.#entriesEnd)
    let value = 0
    let scale = 1
    for (let at = start; at < end; at++) {
      const byte = block[at]
      value += (byte & 127) * scale
      if (byte < 128 && value <= Number.MAX_SAFE_INTEGER) {
        this.#at = at + 1
        return value
      }
      scale *= 128
    }
    throw this.#corrupt('a bad varint', start)
  }

  #corrupt(message: string, offset: number): MetastoreError {
    this.valid = false
    return corruption(`${this.#file}: block ${this.#number}, byte ${offset}: ${message}`, {
      file: this.#file,
      block: this.#number,
      offset,
    })
  }
}
