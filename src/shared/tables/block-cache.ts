/**
 * Decompressed blocks in one SharedArrayBuffer, for one partition worker and the main thread.
 * The worker is the only writer; both read.
 *
 *   header   64 words: readers (see below), frames, hits, misses, evictions
 *   lengths  i32 a frame: bytes of its block
 *   uses     u8 a frame: 0 to 3, how often it was read lately
 *   frames   8 KiB each; a larger block is not cached
 *
 * Which frame holds a block stands in the table's own memory (TableMemory.slots).
 *
 * Invariants
 *  1. A frame's bytes never change while a slot names it.
 *  2. What the worker got stays as it is until its next beginRequest(): frames that the request has
 *     used are pinned.
 *  3. What main got stays as it is from begin() to end(). begin() makes `readers` odd and end()
 *     even. The worker takes a frame out by clearing its slot and only then looks at `readers`:
 *     even means that every later read sees the empty slot; odd, and the frame waits until the word
 *     has changed. Slots and `readers` are accessed by Atomics, in one order for both threads
 *     (Dekker).
 *
 * Eviction is S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023):
 * a new block goes to a small queue and leaves with it unless it was read again; only what was goes
 * to the main queue, and so does what comes back soon after it left. A scan passes by the small
 * queue.
 */
import type { TableMemory } from './table-memory.ts'

const FRAME_BYTES = 8192
const HEADER_WORDS = 64
const READERS = 0
const FRAMES = 1
const HITS = 2
const MISSES = 3
const EVICTIONS = 4

const USES_MAX = 3
/** Share of the frames that new blocks may take. */
const SMALL_SHARE = 0.1
/** Frames that may wait for main's read to end; a read is short, so there is hardly ever one. */
const LIMBO_MAX = 16
/** Blocks a table has fewer than this: the ghost queue's keys are table * BLOCKS_MAX + block. */
const BLOCKS_MAX = 2 ** 21

export interface BlockCacheStats {
  frames: number
  hits: number
  misses: number
  evictions: number
}

/** What both sides map. */
class Frames {
  readonly words: Int32Array
  readonly lengths: Int32Array
  readonly uses: Uint8Array
  readonly count: number
  readonly #memory: SharedArrayBuffer
  readonly #framesAt: number

  constructor(memory: SharedArrayBuffer) {
    this.#memory = memory
    this.words = new Int32Array(memory, 0, HEADER_WORDS)
    this.count = this.words[FRAMES]
    this.lengths = new Int32Array(memory, HEADER_WORDS * 4, this.count)
    this.uses = new Uint8Array(memory, HEADER_WORDS * 4 + this.count * 4, this.count)
    this.#framesAt = framesOffset(this.count)
  }

  bytesOf(frame: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory, this.#framesAt + frame * FRAME_BYTES, length)
  }

  noteUse(frame: number): void {
    const uses = this.uses[frame]
    // Two threads may count one use as one: it is a hint.
    if (uses < USES_MAX) this.uses[frame] = uses + 1
  }
}

function framesOffset(count: number): number {
  return Math.ceil((HEADER_WORDS * 4 + count * 5) / 8) * 8
}

function statsOf({ words, count }: Frames): BlockCacheStats {
  return { frames: count, hits: words[HITS], misses: words[MISSES], evictions: words[EVICTIONS] }
}

/** The worker's side. */
export class BlockCache {
  readonly #frames: Frames
  /** Of each frame: whose block it holds; undefined when nobody's. */
  readonly #tables: (TableMemory | undefined)[]
  readonly #blocks: Int32Array
  /** The request that used it last. */
  readonly #requests: Float64Array
  readonly #isMain: Uint8Array
  readonly #small: FrameQueue
  readonly #main: FrameQueue
  readonly #smallMax: number
  /** Blocks that left the small queue not long ago, oldest first. */
  readonly #ghosts = new Set<number>()
  readonly #numbers = new WeakMap<TableMemory, number>()
  readonly #limbo: { frame: number; readers: number }[] = []
  #lastNumber = 0
  #fresh = 0
  #request = 1
  /** Frames that the present request uses. */
  #pinned = 0

  /** Of so many bytes at most, with what goes with the frames; 0 is a cache that keeps nothing. */
  static create(bytesMax: number): SharedArrayBuffer {
    let count = Math.floor(Math.max(0, bytesMax - HEADER_WORDS * 4) / (FRAME_BYTES + 5))
    if (count > 0 && framesOffset(count) + count * FRAME_BYTES > bytesMax) count--
    const memory = new SharedArrayBuffer(framesOffset(count) + count * FRAME_BYTES)
    new Int32Array(memory)[FRAMES] = count
    return memory
  }

  constructor(memory: SharedArrayBuffer) {
    const frames = new Frames(memory)
    this.#frames = frames
    this.#tables = new Array(frames.count)
    this.#blocks = new Int32Array(frames.count)
    this.#requests = new Float64Array(frames.count)
    this.#isMain = new Uint8Array(frames.count)
    this.#small = new FrameQueue(frames.count)
    this.#main = new FrameQueue(frames.count)
    this.#smallMax = Math.max(1, Math.floor(frames.count * SMALL_SHARE))
  }

  get stats(): BlockCacheStats {
    return statsOf(this.#frames)
  }

  /** What was given for the request before is no longer kept for it. */
  beginRequest(): void {
    this.#request++
    this.#pinned = 0
  }

  /** A view of a block, good until the next beginRequest(); undefined when it is not here. */
  get(table: TableMemory, block: number): Uint8Array | undefined {
    const frame = table.slots[block] - 1
    if (frame < 0) {
      this.#frames.words[MISSES]++
      return undefined
    }
    this.#frames.words[HITS]++
    this.#frames.noteUse(frame)
    this.#pin(frame)
    return this.#frames.bytesOf(frame, this.#frames.lengths[frame])
  }

  /** Keeps a copy of a block if there is room for it. @returns the view to use: copy or original */
  put(table: TableMemory, block: number, bytes: Uint8Array): Uint8Array {
    if (bytes.length > FRAME_BYTES || table.slots[block] !== 0) return bytes
    const frame = this.#takeFrame()
    if (frame < 0) return bytes
    const key = this.#keyOf(table, block)
    const wasHere = this.#ghosts.delete(key)
    const view = this.#frames.bytesOf(frame, bytes.length)
    view.set(bytes)
    this.#frames.lengths[frame] = bytes.length
    this.#frames.uses[frame] = 0
    this.#tables[frame] = table
    this.#blocks[frame] = block
    this.#isMain[frame] = wasHere ? 1 : 0
    ;(wasHere ? this.#main : this.#small).push(frame)
    this.#requests[frame] = 0
    this.#pin(frame)
    // Publishes the frame: main finds its bytes and length whole.
    Atomics.store(table.slots, block, frame + 1)
    return view
  }

  /** The table's blocks are not wanted any more; a frame goes when its queue comes to it. */
  forget(table: TableMemory): void {
    for (let block = 0; block < table.blockCount; block++) {
      const frame = table.slots[block] - 1
      if (frame < 0) continue
      Atomics.store(table.slots, block, 0)
      this.#tables[frame] = undefined
    }
  }

  #pin(frame: number): void {
    if (this.#requests[frame] === this.#request) return
    this.#requests[frame] = this.#request
    this.#pinned++
  }

  #keyOf(table: TableMemory, block: number): number {
    let number = this.#numbers.get(table)
    if (number === undefined) {
      number = ++this.#lastNumber
      this.#numbers.set(table, number)
    }
    return number * BLOCKS_MAX + block
  }

  /** A frame that nobody reads; -1 when there is none now. */
  #takeFrame(): number {
    const readers = Atomics.load(this.#frames.words, READERS)
    const oldest = this.#limbo[0]
    if (oldest !== undefined && oldest.readers !== readers) {
      this.#limbo.shift()
      return oldest.frame
    }
    if (this.#fresh < this.#frames.count) return this.#fresh++
    if (this.#limbo.length === LIMBO_MAX) return -1
    const frame = this.#evict()
    if (frame < 0) return -1
    // After the slot was cleared: invariant 3.
    const now = Atomics.load(this.#frames.words, READERS)
    if ((now & 1) === 0) return frame
    this.#limbo.push({ frame, readers: now })
    return -1
  }

  /** Takes a frame out of its queue and its slot; -1 when all are pinned. */
  #evict(): number {
    // Each frame is passed at most once a use, and once for being pinned.
    let left = (USES_MAX + 2) * this.#frames.count
    while (left-- > 0 && this.#pinned < this.#frames.count) {
      const isSmall = this.#small.length >= this.#smallMax || this.#main.length === 0
      const queue = isSmall ? this.#small : this.#main
      const frame = queue.shift()
      if (frame < 0) return -1
      const table = this.#tables[frame]
      if (this.#requests[frame] === this.#request) queue.push(frame)
      else if (table === undefined) return frame
      else if (this.#frames.uses[frame] > 0) this.#keep(frame)
      else {
        if (isSmall) this.#addGhost(this.#keyOf(table, this.#blocks[frame]))
        this.#frames.words[EVICTIONS]++
        Atomics.store(table.slots, this.#blocks[frame], 0)
        this.#tables[frame] = undefined
        return frame
      }
    }
    return -1
  }

  /**
   * One that was read stays: from the small queue on probation no longer, in the main one less so.
   */
  #keep(frame: number): void {
    if (this.#isMain[frame] === 1) this.#frames.uses[frame]--
    else {
      this.#isMain[frame] = 1
      this.#frames.uses[frame] = 0
    }
    this.#main.push(frame)
  }

  #addGhost(key: number): void {
    this.#ghosts.add(key)
    if (this.#ghosts.size <= this.#frames.count) return
    for (const oldest of this.#ghosts) {
      this.#ghosts.delete(oldest)
      break
    }
  }
}

/** Main's side. */
export class BlockCacheReader {
  readonly #frames: Frames

  constructor(memory: SharedArrayBuffer) {
    this.#frames = new Frames(memory)
  }

  get stats(): BlockCacheStats {
    return statsOf(this.#frames)
  }

  /** What get() gives from here on is good until end(). Never nested. */
  begin(): void {
    Atomics.add(this.#frames.words, READERS, 1)
  }

  end(): void {
    Atomics.add(this.#frames.words, READERS, 1)
  }

  /** A view of a block; undefined when it is not here. Between begin() and end() only. */
  get(table: TableMemory, block: number): Uint8Array | undefined {
    const frame = Atomics.load(table.slots, block) - 1
    if (frame < 0) return undefined
    this.#frames.noteUse(frame)
    return this.#frames.bytesOf(frame, this.#frames.lengths[frame])
  }
}

/** First in, first out, of at most `capacity` frames. */
class FrameQueue {
  readonly #frames: Int32Array
  #first = 0
  length = 0

  constructor(capacity: number) {
    this.#frames = new Int32Array(Math.max(1, capacity))
  }

  push(frame: number): void {
    const at = this.#first + this.length++
    this.#frames[at < this.#frames.length ? at : at - this.#frames.length] = frame
  }

  /** -1 when it is empty. */
  shift(): number {
    if (this.length === 0) return -1
    const frame = this.#frames[this.#first++]
    if (this.#first === this.#frames.length) this.#first = 0
    this.length--
    return frame
  }
}
