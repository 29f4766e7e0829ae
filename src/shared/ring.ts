/**
 * A ring of variable-length records in shared memory: single producer, single consumer. The roles
 * belong to one thread each and cannot change. (Lamport, "Specifying Concurrent Program Modules",
 * 1983; ringbuf.js is the precedent in this language.)
 *
 *   word  0    head: bytes consumed, modulo 2^32. Writer: consumer, by Atomics.store, which gives
 *              the space back. Reader: producer; may be late, so there may be more room than seen
 *   word 32    tail: bytes produced, modulo 2^32. Writer: producer, by Atomics.store in publish(),
 *              which hands over everything pushed since the last one. Reader: consumer; may be late
 *   byte 256   data, a power of two in size
 *
 *        consumed          pushed, unpublished
 *   ····|▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓|░░░░░░░░|···············
 *       head              tail     #tail
 *
 * A record is a word (payload length; bit 31 = more fragments of this record follow) and its
 * payload, padded to 4 bytes. One that would cross the end is preceded by a SKIP word, which means
 * "go on at the start". The counters may overflow: only their difference, modulo 2^32, means
 * anything. Payloads longer than a quarter of the ring are cut into fragments.
 */
const HEAD = 0
/** In a cache line of its own, so that the two sides do not slow each other. */
const TAIL = 32
const DATA_BYTE = 256
const SKIP = 0xffffffff
const MORE_BIT = 0x80000000
const LENGTH_MASK = 0x7fffffff

export const RING_BYTES_MIN = 4096
export const RING_BYTES_MAX: number = 2 ** 30

/**
 * Zeroed memory for a ring whose data part has `capacityBytes`, a power of two.
 * @param counter start value of both counters; tests begin just before their overflow
 */
export function createRing(capacityBytes: number, counter = 0): SharedArrayBuffer {
  if (
    capacityBytes < RING_BYTES_MIN ||
    capacityBytes > RING_BYTES_MAX ||
    (capacityBytes & (capacityBytes - 1)) !== 0
  ) {
    throw new RangeError(`ring capacity must be a power of two in range, not ${capacityBytes}`)
  }
  if (counter % 4 !== 0) throw new RangeError(`ring counters count whole words, not ${counter}`)
  const memory = new SharedArrayBuffer(DATA_BYTE + capacityBytes)
  const words = new Int32Array(memory)
  words[HEAD] = counter
  words[TAIL] = counter
  return memory
}

export class RingProducer {
  readonly #control: Int32Array
  readonly #words: Uint32Array
  readonly #bytes: Uint8Array
  readonly #capacity: number
  readonly #fragmentBytes: number
  /** Bytes produced, published or not. */
  #tail: number
  /** The consumer's head when last looked at. */
  #head: number
  /** How much of the record that push() could not finish is already in the ring. */
  #done = 0

  constructor(memory: SharedArrayBuffer) {
    this.#control = new Int32Array(memory, 0, DATA_BYTE / 4)
    this.#words = new Uint32Array(memory, DATA_BYTE)
    this.#bytes = new Uint8Array(memory, DATA_BYTE)
    this.#capacity = this.#bytes.length
    this.#fragmentBytes = this.#capacity / 4
    this.#tail = Atomics.load(this.#control, TAIL) >>> 0
    this.#head = Atomics.load(this.#control, HEAD) >>> 0
  }

  /**
   * Copies a record in, unpublished.
   * @returns false when there is no room: push the same record again after the consumer has made
   *   some (fragments that did fit stay in; nothing else may be pushed in between)
   */
  push(payload: Uint8Array): boolean {
    while (payload.length - this.#done > this.#fragmentBytes) {
      if (!this.#put(payload, this.#fragmentBytes, MORE_BIT)) return false
      this.#done += this.#fragmentBytes
    }
    if (!this.#put(payload, payload.length - this.#done, 0)) return false
    this.#done = 0
    return true
  }

  /** Hands everything pushed so far to the consumer, with one store. */
  publish(): void {
    Atomics.store(this.#control, TAIL, this.#tail)
  }

  /** Copies `length` bytes of the record, from #done on. */
  #put(payload: Uint8Array, length: number, flags: number): boolean {
    const size = (length + 7) & ~3
    let at = this.#tail & (this.#capacity - 1)
    const rest = this.#capacity - at
    const skipped = size > rest ? rest : 0
    if (!this.#hasRoom(size + skipped)) return false
    if (skipped !== 0) {
      this.#words[at >>> 2] = SKIP
      at = 0
    }
    this.#words[at >>> 2] = length | flags
    copy(payload, this.#done, length, this.#bytes, at + 4)
    this.#tail = (this.#tail + skipped + size) >>> 0
    return true
  }

  #hasRoom(size: number): boolean {
    if (this.#capacity - ((this.#tail - this.#head) >>> 0) >= size) return true
    this.#head = Atomics.load(this.#control, HEAD) >>> 0
    return this.#capacity - ((this.#tail - this.#head) >>> 0) >= size
  }
}

/** Receives a record: `bytes[start, end)`, borrowed during the call. */
export type RecordHandler = (bytes: Uint8Array, start: number, end: number) => void

export class RingConsumer {
  readonly #control: Int32Array
  readonly #words: Uint32Array
  readonly #bytes: Uint8Array
  readonly #capacity: number
  #head: number
  /** Fragments of a record whose last one has not come yet. */
  #partial: Uint8Array = new Uint8Array(0)
  #partialLength = 0

  constructor(memory: SharedArrayBuffer) {
    this.#control = new Int32Array(memory, 0, DATA_BYTE / 4)
    this.#words = new Uint32Array(memory, DATA_BYTE)
    this.#bytes = new Uint8Array(memory, DATA_BYTE)
    this.#capacity = this.#bytes.length
    this.#head = Atomics.load(this.#control, HEAD) >>> 0
  }

  /** Whether something is published and not yet consumed; may be late. */
  get isEmpty(): boolean {
    return Atomics.load(this.#control, TAIL) >>> 0 === this.#head
  }

  /**
   * Calls `handler` for every whole record published so far, at most `recordsMax`, then gives
   * their space back.
   * @returns fragments and records consumed
   */
  drain(handler: RecordHandler, recordsMax = 1024): number {
    const tail = Atomics.load(this.#control, TAIL) >>> 0
    let consumed = 0
    try {
      while (this.#head !== tail && consumed < recordsMax) {
        consumed++
        this.#take(handler)
      }
    } finally {
      // Also after a handler that threw: its record counts as consumed.
      if (consumed > 0) Atomics.store(this.#control, HEAD, this.#head)
    }
    return consumed
  }

  #take(handler: RecordHandler): void {
    let at = this.#head & (this.#capacity - 1)
    let word = this.#words[at >>> 2]
    if (word === SKIP) {
      this.#head = (this.#head + this.#capacity - at) >>> 0
      at = 0
      word = this.#words[0]
    }
    const length = word & LENGTH_MASK
    this.#head = (this.#head + ((length + 7) & ~3)) >>> 0
    const start = at + 4
    if ((word & MORE_BIT) === 0 && this.#partialLength === 0) {
      handler(this.#bytes, start, start + length)
      return
    }
    this.#append(start, length)
    if ((word & MORE_BIT) !== 0) return
    const whole = this.#partial
    const end = this.#partialLength
    this.#partial = new Uint8Array(0)
    this.#partialLength = 0
    handler(whole, 0, end)
  }

  #append(start: number, length: number): void {
    const needed = this.#partialLength + length
    if (needed > this.#partial.length) {
      const grown = new Uint8Array(Math.max(needed, this.#partial.length * 2))
      grown.set(this.#partial.subarray(0, this.#partialLength))
      this.#partial = grown
    }
    this.#partial.set(this.#bytes.subarray(start, start + length), this.#partialLength)
    this.#partialLength = needed
  }
}

/** A plain loop beats set() with its subarray up to some hundred bytes. */
function copy(
  source: Uint8Array,
  from: number,
  length: number,
  target: Uint8Array,
  at: number,
): void {
  if (length > 192) {
    target.set(
      from === 0 && length === source.length ? source : source.subarray(from, from + length),
      at,
    )
    return
  }
  for (let i = 0; i < length; i++) target[at + i] = source[from + i]
}
