/**
 * Goal: between two real threads no record is lost, reordered or torn, and no ring of a doorbell
 * between looking and sleeping is missed.
 * Method: records that both sides can make from their numbers, through small rings whose counters
 * start just before their overflow, so that both sides often wait for one another; then ping-pong,
 * where every round sleeps on both sides and one lost ring would stop everything.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { Control } from '../../src/shared/control.ts'
import { createRing, RingConsumer, RingProducer } from '../../src/shared/ring.ts'
import { BatchProducer, drainInto, RecordVerifier, type RingThreadData } from './ring-records.ts'

const RECORDS = 200_000
const ROUNDS = 20_000
const DEADLINE_MS = 30_000

class Peer {
  readonly control: Control = Control.create(1, 0)
  readonly toThread: SharedArrayBuffer
  readonly toMain: SharedArrayBuffer
  readonly #thread: Worker
  readonly #done: Promise<unknown[]>

  constructor(role: RingThreadData['role'], capacityBytes: number, count: number, seed: number) {
    this.toThread = createRing(capacityBytes, 2 ** 32 - 4 * capacityBytes + 8)
    this.toMain = createRing(capacityBytes, 2 ** 32 - 4 * capacityBytes - 12)
    const workerData: RingThreadData = {
      role,
      toThread: this.toThread,
      toMain: this.toMain,
      control: this.control.memory,
      count,
      seed,
    }
    this.#thread = new Worker(new URL('./ring-thread.js', import.meta.url), { workerData })
    this.#done = once(this.#thread, 'message')
  }

  /** Runs main's side and waits for the thread's answer; what the thread throws is thrown here. */
  async run(side: () => Promise<void>): Promise<unknown> {
    const deadline = setTimeout(() => void this.#thread.terminate(), DEADLINE_MS)
    let isAnswered = false
    const answered = this.#done.then(() => {
      isAnswered = true
    })
    const both = Promise.all([answered, side()])
    const lost = once(this.#thread, 'exit').then(() => {
      // A thread that has done its part may end while main still drains the ring.
      if (isAnswered) return both
      throw new Error('the thread has ended, or no ring came within the deadline')
    })
    try {
      await Promise.race([both, lost])
      const [answer] = await this.#done
      return answer
    } finally {
      clearTimeout(deadline)
      lost.catch(() => {})
      await this.#thread.terminate()
    }
  }
}

function overflowed(ring: SharedArrayBuffer): boolean {
  // Word 0 is the head: it started just below 2^32.
  return new Uint32Array(ring)[0] < 2 ** 31
}

describe('between two threads', () => {
  for (const capacityBytes of [4096, 65_536]) {
    test(`main hands over every record, ring of ${capacityBytes}`, async () => {
      const seed = 1000 + capacityBytes
      const peer = new Peer('consume', capacityBytes, RECORDS / 2, seed)
      const own = peer.control.mainDoorbell()
      const ring = new RingProducer(peer.toThread)
      const thread = peer.control.workerDoorbell(0)
      const batches = new BatchProducer(ring, thread, RECORDS / 2, seed)
      const answer = await peer.run(async () => {
        for (;;) {
          const seen = own.count()
          if (batches.run()) return
          await own.waitAsync(seen)
        }
      })
      assert.equal(answer, RECORDS / 2)
      assert.ok(overflowed(peer.toThread))
    })

    test(`main receives every record, ring of ${capacityBytes}`, async () => {
      const seed = 2000 + capacityBytes
      const peer = new Peer('produce', capacityBytes, RECORDS / 2, seed)
      const own = peer.control.mainDoorbell()
      const ring = new RingConsumer(peer.toMain)
      const thread = peer.control.workerDoorbell(0)
      const verifier = new RecordVerifier(seed)
      await peer.run(async () => {
        while (verifier.received < RECORDS / 2) {
          const seen = own.count()
          if (!drainInto(ring, thread, verifier)) await own.waitAsync(seen)
        }
      })
      assert.equal(verifier.received, RECORDS / 2)
      assert.ok(overflowed(peer.toMain))
    })
  }

  test('a ring between looking and sleeping is not lost', async () => {
    const peer = new Peer('echo', 4096, ROUNDS, 1)
    const own = peer.control.mainDoorbell()
    const thread = peer.control.workerDoorbell(0)
    const producer = new RingProducer(peer.toThread)
    const consumer = new RingConsumer(peer.toMain)
    const record = new Uint8Array(8)
    let answers = 0
    const answer = await peer.run(async () => {
      for (let round = 0; round < ROUNDS; round++) {
        new DataView(record.buffer).setUint32(0, round)
        assert.equal(producer.push(record), true)
        producer.publish()
        thread.ring()
        while (answers <= round) {
          const seen = own.count()
          const drained = consumer.drain((bytes, start, end) => {
            assert.equal(end - start, record.length)
            assert.equal(new DataView(bytes.buffer, bytes.byteOffset).getUint32(start), round)
            answers++
          })
          if (drained === 0) await own.waitAsync(seen)
        }
      }
    })
    assert.equal(answer, ROUNDS)
    assert.equal(answers, ROUNDS)
  })
})
