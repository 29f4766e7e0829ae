/**
 * Records that both threads can make from their number alone: its 4 bytes, a checksum of the rest,
 * then random bytes of a random length. A record that is lost, doubled, reordered or torn is told
 * from the one that was expected.
 */
import assert from 'node:assert/strict'
import { hash32 } from '../../src/codec/hash.ts'
import type { Doorbell } from '../../src/shared/doorbell.ts'
import type { RingConsumer, RingProducer } from '../../src/shared/ring.ts'
import { Random } from './random.ts'

const HEADER_BYTES = 8
const LARGE_BYTES = 40_000

/** What main gives the thread. */
export interface RingThreadData {
  /** 'echo': answers each record with the same one. */
  role: 'consume' | 'produce' | 'echo'
  toThread: SharedArrayBuffer
  toMain: SharedArrayBuffer
  control: SharedArrayBuffer
  count: number
  seed: number
}

export class RecordSource {
  readonly #random: Random
  readonly #bytes = new Uint8Array(HEADER_BYTES + LARGE_BYTES)
  #number = 0

  constructor(seed: number) {
    this.#random = new Random(seed)
  }

  get produced(): number {
    return this.#number
  }

  /** Borrowed until the next one. */
  next(): Uint8Array {
    const random = this.#random
    const end = HEADER_BYTES + payloadBytes(random)
    const bytes = this.#bytes
    for (let at = HEADER_BYTES; at < end; at++) bytes[at] = at * 167
    // A record differs from others of its length in a few places, and everywhere in its checksum.
    for (let i = 0; i < 4 && end > HEADER_BYTES; i++) {
      bytes[HEADER_BYTES + random.below(end - HEADER_BYTES)] = random.next()
    }
    const view = new DataView(bytes.buffer)
    view.setUint32(0, this.#number)
    view.setUint32(4, hash32(bytes, HEADER_BYTES, end, this.#number))
    this.#number++
    return bytes.subarray(0, end)
  }
}

/** Mostly small, some beyond a fragment, a few many times the ring. */
function payloadBytes(random: Random): number {
  const kind = random.below(2000)
  if (kind === 0) return random.below(LARGE_BYTES)
  if (kind < 20) return random.below(3000)
  return random.below(120)
}

export class RecordVerifier {
  readonly #expected: RecordSource
  received = 0

  constructor(seed: number) {
    this.#expected = new RecordSource(seed)
  }

  verify(bytes: Uint8Array, start: number, end: number): void {
    const number = this.received++
    const expected = this.#expected.next()
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    assert.ok(end - start >= HEADER_BYTES, `record ${number} has ${end - start} bytes`)
    assert.equal(view.getUint32(start), number, 'lost, doubled or reordered')
    assert.equal(end - start, expected.length, `length of record ${number}`)
    const checksum = hash32(bytes, start + HEADER_BYTES, end, number)
    assert.equal(view.getUint32(start + 4), checksum, `record ${number} is torn`)
    const isSame = Buffer.compare(bytes.subarray(start, end), expected) === 0
    assert.ok(isSame, `record ${number} is another`)
  }
}

/** Pushes records until all are in or the ring is full; publishes in batches of random sizes. */
export class BatchProducer {
  readonly #ring: RingProducer
  readonly #other: Doorbell
  readonly #count: number
  readonly #records: RecordSource
  readonly #batches: Random
  #refused: Uint8Array | undefined
  #untilPublish = 1

  constructor(ring: RingProducer, other: Doorbell, count: number, seed: number) {
    this.#ring = ring
    this.#other = other
    this.#count = count
    this.#records = new RecordSource(seed)
    this.#batches = new Random(seed + 1)
  }

  /** @returns whether all records are in; otherwise the ring is full */
  run(): boolean {
    while (this.#refused !== undefined || this.#records.produced < this.#count) {
      const record = this.#refused ?? this.#records.next()
      if (!this.#ring.push(record)) {
        this.#refused = record
        this.#publish()
        return false
      }
      this.#refused = undefined
      if (--this.#untilPublish === 0) this.#publish()
    }
    this.#publish()
    return true
  }

  #publish(): void {
    this.#untilPublish = 1 + this.#batches.below(64)
    this.#ring.publish()
    this.#other.ring()
  }
}

/** Drains and tells the producer of the room; false when there was nothing. */
export function drainInto(ring: RingConsumer, other: Doorbell, verifier: RecordVerifier): boolean {
  const consumed = ring.drain((bytes, start, end) => verifier.verify(bytes, start, end))
  if (consumed === 0) return false
  other.ring()
  return true
}
