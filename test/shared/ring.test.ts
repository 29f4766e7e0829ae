/**
 * Goal: a ring gives every record once, whole and in order, whatever the sizes, wherever in the
 * ring it begins, and also when its counters overflow.
 * Method: unit tests of each rule, and random interleavings compared with a plain queue on the
 * smallest ring, moved so far that it wraps and its counters overflow in every run.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  createRing,
  RING_BYTES_MAX,
  RING_BYTES_MIN,
  RingConsumer,
  RingProducer,
} from '../../src/shared/ring.ts'

const CAPACITY = RING_BYTES_MIN
const FRAGMENT = CAPACITY / 4
const TWO_32 = 2 ** 32

function bytesOf(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (seed * 31 + i * 7 + (i >>> 8)) & 0xff)
}

function bothSides(counter = 0): { producer: RingProducer; consumer: RingConsumer } {
  const memory = createRing(CAPACITY, counter)
  return { producer: new RingProducer(memory), consumer: new RingConsumer(memory) }
}

function drainAll(consumer: RingConsumer, recordsMax?: number): Uint8Array[] {
  const records: Uint8Array[] = []
  consumer.drain((bytes, start, end) => records.push(bytes.slice(start, end)), recordsMax)
  return records
}

/** Short in what it says about records of many kilobytes. */
function assertSame(records: readonly Uint8Array[], expected: readonly Uint8Array[]): void {
  const lengths = (list: readonly Uint8Array[]) => list.map(record => record.length)
  assert.deepEqual(lengths(records), lengths(expected))
  for (const [i, record] of records.entries()) {
    assert.ok(Buffer.compare(record, expected[i]) === 0, `record ${i} of ${record.length} bytes`)
  }
}

/** Pushes, giving way to the consumer as often as needed. */
function pushThrough(
  producer: RingProducer,
  consumer: RingConsumer,
  record: Uint8Array,
): Uint8Array[] {
  const received: Uint8Array[] = []
  for (let tries = 0; !producer.push(record); tries++) {
    assert.ok(tries < 100, 'a record that never fits')
    producer.publish()
    received.push(...drainAll(consumer))
  }
  producer.publish()
  received.push(...drainAll(consumer))
  return received
}

describe('a ring', () => {
  test('gives records in the order in which they were pushed', () => {
    const { producer, consumer } = bothSides()
    const records = [0, 1, 2, 3, 4, 5, 100, 191, 192, 193, 600].map(bytesOf)
    for (const record of records) assert.equal(producer.push(record), true)
    producer.publish()
    assertSame(drainAll(consumer), records)
    assertSame(drainAll(consumer), [])
  })

  test('shows nothing before publish()', () => {
    const { producer, consumer } = bothSides()
    producer.push(bytesOf(5, 1))
    producer.push(bytesOf(6, 2))
    assert.equal(consumer.isEmpty, true)
    assertSame(drainAll(consumer), [])
    producer.publish()
    producer.push(bytesOf(7, 3))
    assert.equal(consumer.isEmpty, false)
    assertSame(drainAll(consumer), [bytesOf(5, 1), bytesOf(6, 2)])
    assert.equal(consumer.isEmpty, true)
    producer.publish()
    assertSame(drainAll(consumer), [bytesOf(7, 3)])
  })

  test('carries empty records', () => {
    const { producer, consumer } = bothSides(TWO_32 - 8)
    for (let i = 0; i < 5; i++) producer.push(new Uint8Array(0))
    producer.publish()
    assert.deepEqual(
      drainAll(consumer).map(record => record.length),
      [0, 0, 0, 0, 0],
    )
  })

  test('carries a record of any size from any place', () => {
    const sizes = [
      FRAGMENT - 4,
      FRAGMENT - 1,
      FRAGMENT,
      FRAGMENT + 1,
      FRAGMENT + 4,
      2 * FRAGMENT,
      CAPACITY - 4,
      CAPACITY,
      CAPACITY + 1,
      10 * CAPACITY + 3,
    ]
    for (let place = 0; place < CAPACITY; place += 52) {
      const { producer, consumer } = bothSides(TWO_32 - CAPACITY + place)
      for (const size of sizes) {
        const received = pushThrough(producer, consumer, bytesOf(size, size))
        assertSame(received, [bytesOf(size, size)])
      }
    }
  })

  test('skips its end when a record does not fit there, at each distance from it', () => {
    for (let rest = 4; rest <= 64; rest += 4) {
      const { producer, consumer } = bothSides(CAPACITY - rest)
      const records = [bytesOf(20, 1), bytesOf(44, 2), bytesOf(3, 3)]
      for (const record of records) assert.equal(producer.push(record), true)
      producer.publish()
      const starts: number[] = []
      const received: Uint8Array[] = []
      consumer.drain((bytes, start, end) => {
        starts.push(start)
        received.push(bytes.slice(start, end))
      })
      assert.deepEqual(received, records)
      // The first takes 24 bytes: it stands at the start of the ring unless they are there.
      assert.equal(starts[0], rest >= 24 ? CAPACITY - rest + 4 : 4)
    }
  })

  test('is full when no whole record fits, and takes that record once there is room', () => {
    const { producer, consumer } = bothSides()
    const taken: Uint8Array[] = []
    for (let next = bytesOf(12, 0); producer.push(next); next = bytesOf(12, taken.length)) {
      taken.push(next)
      assert.ok(taken.length <= CAPACITY / 16, 'a ring without an end')
    }
    assert.equal(taken.length, CAPACITY / 16)
    const next = bytesOf(12, 999)
    assert.equal(producer.push(next), false)
    producer.publish()
    assert.equal(producer.push(next), false)
    assertSame(drainAll(consumer, 1), taken.slice(0, 1))
    assert.equal(producer.push(next), true)
    assert.equal(producer.push(next), false)
    producer.publish()
    assertSame(drainAll(consumer), [...taken.slice(1), next])
  })

  test('hands over a record of many fragments only when it is whole', () => {
    const { producer, consumer } = bothSides(TWO_32 - 100)
    const record = bytesOf(3 * CAPACITY, 5)
    producer.push(bytesOf(9, 1))
    assert.equal(producer.push(record), false)
    producer.publish()
    assertSame(drainAll(consumer), [bytesOf(9, 1)])
    let rounds = 0
    while (!producer.push(record)) {
      producer.publish()
      assertSame(drainAll(consumer), [])
      assert.ok(++rounds < 100, 'a record that never fits')
    }
    assert.ok(rounds >= 2, `${rounds} rounds`)
    producer.publish()
    assertSame(drainAll(consumer), [record])
    assertSame(pushThrough(producer, consumer, bytesOf(3, 2)), [bytesOf(3, 2)])
  })

  test('drains at most recordsMax', () => {
    const { producer, consumer } = bothSides()
    const records = [1, 2, 3, 4, 5].map(i => bytesOf(i, i))
    for (const record of records) producer.push(record)
    producer.publish()
    assertSame(drainAll(consumer, 2), records.slice(0, 2))
    assert.equal(consumer.isEmpty, false)
    assert.equal(
      consumer.drain(() => {}, 10),
      3,
    )
    assert.equal(consumer.isEmpty, true)
  })

  test('a handler that throws has consumed its record, and only that', () => {
    for (const size of [8, FRAGMENT + 1]) {
      const { producer, consumer } = bothSides(TWO_32 - 16)
      const records = [bytesOf(4, 1), bytesOf(size, 2), bytesOf(6, 3)]
      for (const record of records) assert.equal(producer.push(record), true)
      producer.publish()
      const received: number[] = []
      assert.throws(
        () =>
          consumer.drain((_, start, end) => {
            received.push(end - start)
            if (end - start === size) throw new Error('handler')
          }),
        /handler/,
      )
      assert.deepEqual(received, [4, size])
      assertSame(drainAll(consumer), [bytesOf(6, 3)])
      // The space of all three has come back.
      assertSame(pushThrough(producer, consumer, bytesOf(CAPACITY, 4)), [bytesOf(CAPACITY, 4)])
    }
  })

  test('ends are made anew in the middle of its life', () => {
    const memory = createRing(CAPACITY, TWO_32 - 64)
    const first = new RingProducer(memory)
    for (let i = 0; i < 3; i++) first.push(bytesOf(40, i))
    first.publish()
    const second = new RingProducer(memory)
    second.push(bytesOf(40, 3))
    second.publish()
    assertSame(drainAll(new RingConsumer(memory), 2), [bytesOf(40, 0), bytesOf(40, 1)])
    assertSame(drainAll(new RingConsumer(memory)), [bytesOf(40, 2), bytesOf(40, 3)])
  })

  test('refuses sizes that are no power of two in range, and odd counters', () => {
    for (const bytes of [0, 4095, 4097, 6144, RING_BYTES_MIN / 2, RING_BYTES_MAX * 2, 2 ** 32]) {
      assert.throws(() => createRing(bytes), RangeError)
    }
    assert.throws(() => createRing(RING_BYTES_MIN, 2), RangeError)
  })
})

type Action =
  | { readonly kind: 'push'; readonly size: number }
  | { readonly kind: 'publish' }
  | { readonly kind: 'drain'; readonly recordsMax: number }

const sizeArbitrary = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 70 }) },
  { weight: 3, arbitrary: fc.nat({ max: FRAGMENT }) },
  { weight: 2, arbitrary: fc.integer({ min: FRAGMENT - 5, max: FRAGMENT + 5 }) },
  { weight: 1, arbitrary: fc.nat({ max: 3 * CAPACITY }) },
)

const actionsArbitrary: fc.Arbitrary<Action[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant('push' as const), size: sizeArbitrary }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('publish' as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('drain' as const),
        recordsMax: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constant(1024)),
      }),
    },
  ),
  { maxLength: 150, size: 'max' },
)

/** A ring beside the queue that it should be like. */
class RingAndQueue {
  readonly memory: SharedArrayBuffer
  readonly producer: RingProducer
  readonly consumer: RingConsumer
  /** Pushed, not yet published. */
  readonly #open: Uint8Array[] = []
  #published: Uint8Array[] = []
  /** Refused: nothing else may be pushed before it. */
  #refused: Uint8Array | undefined
  #count = 0
  pushedBytes = 0

  constructor(counter: number) {
    this.memory = createRing(CAPACITY, counter)
    this.producer = new RingProducer(this.memory)
    this.consumer = new RingConsumer(this.memory)
  }

  run(action: Action): void {
    if (action.kind === 'push') this.#push(this.#refused ?? bytesOf(action.size, this.#count++))
    else if (action.kind === 'publish') this.#publish()
    else this.#drain(action.recordsMax)
  }

  /** Gets everything through that is on its way. */
  finish(): void {
    for (let rounds = 0; this.#refused !== undefined; rounds++) {
      assert.ok(rounds < 100, 'a record that never fits')
      this.#publish()
      this.#drain(1024)
      this.#push(this.#refused)
    }
    this.#publish()
    this.#drain(1024)
    assert.equal(this.#published.length, 0)
    assert.equal(this.consumer.isEmpty, true)
  }

  #push(record: Uint8Array): void {
    if (this.producer.push(record)) {
      this.#refused = undefined
      this.#open.push(record)
      this.pushedBytes += record.length
    } else {
      this.#refused = record
    }
  }

  #publish(): void {
    this.producer.publish()
    this.#published.push(...this.#open.splice(0))
  }

  #drain(recordsMax: number): void {
    const received = drainAll(this.consumer, recordsMax)
    assert.ok(received.length <= recordsMax)
    assertSame(received, this.#published.slice(0, received.length))
    this.#published = this.#published.slice(received.length)
    // More than a ring can hold, so this was all.
    if (recordsMax >= 1024) assert.equal(this.#published.length, 0)
  }
}

describe('a ring is like a queue', () => {
  const placeArbitrary = fc.nat({ max: CAPACITY / 4 - 1 }).map(words => words * 4)

  for (const end of [TWO_32, 2 ** 31]) {
    test(`while its counters pass ${end}`, () => {
      const runs = fc.property(placeArbitrary, actionsArbitrary, (place, actions) => {
        const start = end - CAPACITY + place
        const ring = new RingAndQueue(start)
        for (const action of actions) ring.run(action)
        ring.finish()
        // However short the run was, it goes round at least once.
        while (ring.pushedBytes < CAPACITY) {
          ring.run({ kind: 'push', size: 333 })
          ring.finish()
        }
        const [head] = new Uint32Array(ring.memory, 0, 1)
        assert.ok((head - end) >>> 0 < 2 ** 31, `the head is ${head}`)
        assert.ok((head - start) >>> 0 > CAPACITY - place)
      })
      fc.assert(runs, { numRuns: 300 })
    })
  }
})
