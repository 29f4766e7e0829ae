/**
 * Goal: whatever is asked for, in whatever order, is what a read without reading ahead would give;
 * in the order that was foretold, reads overlap, and never more than may.
 * Method: reads that end when the test says; random walks.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ReadAhead } from '../../src/main/read-ahead.ts'

/** Reads that wait until they are let go. */
class Reads {
  readonly begun: number[] = []
  readonly #ends = new Map<number, () => void>()

  readonly read = (item: number): Promise<string> => {
    this.begun.push(item)
    return new Promise(resolve => this.#ends.set(item, () => resolve(`of ${item}`)))
  }

  end(item: number): void {
    this.#ends.get(item)?.()
  }
}

test('so many are begun ahead, and one more with each that is asked for', async () => {
  const reads = new Reads()
  const ahead = new ReadAhead([1, 2, 3, 4, 5], 2, reads.read)
  assert.deepEqual(reads.begun, [])
  const first = ahead.read(1)
  assert.deepEqual(reads.begun, [1, 2, 3])
  reads.end(1)
  assert.equal(await first, 'of 1')
  assert.deepEqual(reads.begun, [1, 2, 3])
  const second = ahead.read(2)
  assert.deepEqual(reads.begun, [1, 2, 3, 4])
  reads.end(2)
  assert.equal(await second, 'of 2')
  for (const item of [3, 4, 5]) {
    const next = ahead.read(item)
    reads.end(item)
    assert.equal(await next, `of ${item}`)
  }
  assert.deepEqual(reads.begun, [1, 2, 3, 4, 5])
})

test('what is passed over makes room, and what was not foretold is read as well', async () => {
  const reads = new Reads()
  const ahead = new ReadAhead([1, 2, 3, 4, 5, 6], 2, reads.read)
  void ahead.read(1)
  void ahead.read(4)
  assert.deepEqual(reads.begun, [1, 2, 3, 4, 5, 6])
  const other = ahead.read(9)
  reads.end(9)
  assert.equal(await other, 'of 9')
})

test('a read that fails is told to whoever asks for it, and to nobody else', async () => {
  const read = async (item: number): Promise<number> => {
    if (item > 1) throw new Error(`no ${item}`)
    return item
  }
  const ahead = new ReadAhead([1, 2, 3], 2, read)
  assert.equal(await ahead.read(1), 1)
  // The runner fails a test with a rejection that nobody handles.
  await new Promise(resolve => setImmediate(resolve))
  await assert.rejects(ahead.read(2), /no 2/)
})

test('random walks get what they ask for, with no more in memory than may be', async () => {
  const walks = fc.record({
    order: fc.uniqueArray(fc.integer({ min: 0, max: 30 })),
    asked: fc.uniqueArray(fc.integer({ min: 0, max: 35 })),
    count: fc.integer({ min: 0, max: 5 }),
    isInOrder: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(walks, async ({ order, asked, count, isInOrder }) => {
      let begun = 0
      const ahead = new ReadAhead(order, count, async item => {
        begun++
        return item * 2
      })
      const walk = isInOrder ? order : asked
      for (const [i, item] of walk.entries()) {
        assert.equal(await ahead.read(item), item * 2)
        if (isInOrder) assert.equal(begun, Math.min(order.length, i + 1 + count))
      }
    }),
  )
})

test('after the end nothing is begun, and what is asked for is read anew', async () => {
  const reads = new Reads()
  const ahead = new ReadAhead([1, 2, 3, 4, 5, 6], 2, reads.read)
  void ahead.read(1)
  ahead.end()
  void ahead.read(2)
  assert.deepEqual(reads.begun, [1, 2, 3, 2])
})
