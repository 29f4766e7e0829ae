/**
 * Merges row cursors, newest source first: of several sources that hold a key the first one's
 * version counts, and if that is a delete the row is not there. Bounded by a prefix.
 */
import { compareBytes } from '../codec/bytes.ts'
import { hasPrefix, prefixEnd } from '../codec/keys.ts'
import type { RowScan } from './read-view.ts'
import type { RowCursor } from './row-cursor.ts'

export class MergedScan implements RowScan {
  readonly #sources: readonly RowCursor[]
  readonly #prefix: Uint8Array
  /** The source with the row, -1 when there is none. */
  #current = -1
  #forward = true

  /** @param sources newest first; owned by the scan from now on */
  constructor(sources: readonly RowCursor[], prefix: Uint8Array) {
    this.#sources = sources
    this.#prefix = new Uint8Array(prefix)
  }

  get valid(): boolean {
    return this.#current >= 0
  }

  seekFirst(): void {
    this.seek(this.#prefix)
  }

  seekLast(): void {
    const end = prefixEnd(this.#prefix)
    // Without an end the prefix is all 0xff, and no key of ours begins so.
    if (end === undefined) this.#current = -1
    else this.seekBefore(end)
  }

  seek(key: Uint8Array): void {
    const from = compareBytes(key, this.#prefix) < 0 ? this.#prefix : key
    this.#current = -1
    for (const source of this.#sources) source.seek(from)
    this.#forward = true
    this.#settle()
  }

  seekBefore(key: Uint8Array): void {
    const isWithin = hasPrefix(key, this.#prefix) || compareBytes(key, this.#prefix) < 0
    const to = isWithin ? key : (prefixEnd(this.#prefix) ?? key)
    this.#current = -1
    for (const source of this.#sources) source.seekBefore(to)
    this.#forward = false
    this.#settle()
  }

  next(): void {
    const from = this.#leave()
    if (!this.#forward) this.#turn(from, true)
    this.#step(from)
    this.#settle()
  }

  prev(): void {
    const from = this.#leave()
    if (this.#forward) this.#turn(from, false)
    this.#step(from)
    this.#settle()
  }

  key(): Uint8Array {
    return this.#sources[this.#current].key()
  }

  value(): Uint8Array {
    return this.#sources[this.#current].value()
  }

  /** A source that fails on the way leaves the scan nowhere, not where it was. */
  #leave(): RowCursor {
    const current = this.#sources[this.#current]
    this.#current = -1
    return current
  }

  /** Moves every source that stands on the key of `current` by one, in the scan's direction. */
  #step(current: RowCursor): void {
    if (this.#sources.length > 1) {
      const key = current.key()
      for (const source of this.#sources) {
        if (source === current || !source.valid || compareBytes(source.key(), key) !== 0) continue
        if (this.#forward) source.next()
        else source.prev()
      }
    }
    if (this.#forward) current.next()
    else current.prev()
  }

  /** Brings the other sources to the other side of the key of `current`. */
  #turn(current: RowCursor, forward: boolean): void {
    this.#forward = forward
    if (this.#sources.length === 1) return
    const key = current.key().slice()
    for (const source of this.#sources) {
      if (source === current) continue
      if (forward) source.seek(key)
      else {
        // One that holds the key itself must step off it together with the current one.
        source.seek(key)
        if (!source.valid || compareBytes(source.key(), key) !== 0) source.seekBefore(key)
      }
    }
  }

  /** Picks the next key in the scan's direction among the sources, past deletes. */
  #settle(): void {
    for (;;) {
      const best = this.#sources.length === 1 ? this.#only() : this.#nearest()
      this.#current = best
      if (best < 0) return
      const source = this.#sources[best]
      if (!hasPrefix(source.key(), this.#prefix)) {
        this.#current = -1
        return
      }
      if (!source.isDelete()) return
      this.#step(this.#leave())
    }
  }

  #only(): number {
    return this.#sources[0].valid ? 0 : -1
  }

  #nearest(): number {
    let best = -1
    for (let i = 0; i < this.#sources.length; i++) {
      const source = this.#sources[i]
      if (!source.valid) continue
      if (best < 0) {
        best = i
        continue
      }
      const order = compareBytes(source.key(), this.#sources[best].key())
      // On equal keys the earlier, newer source stays.
      if (this.#forward ? order < 0 : order > 0) best = i
    }
    return best
  }
}
