/**
 * Goal: no block that somebody uses ever changes under him, nobody gets another block's bytes, and
 * what is read often stays while a scan passes.
 * Method: examples of each rule; random calls of both sides in one thread, with all that is in use
 * compared after each; then two threads, where main reads what the worker is throwing out.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import {
  BlockCache,
  BlockCacheReader,
  type BlockCacheStats,
} from '../../../src/shared/tables/block-cache.ts'
import type { TableMemory } from '../../../src/shared/tables/table-memory.ts'
import { Random } from '../random.ts'
import { type BlockCacheThreadData, blockBytesOf, isSame, tableOfBlocks } from './cached-blocks.ts'

/** Memory for exactly so many frames. */
function memoryOf(frames: number): SharedArrayBuffer {
  const memory = BlockCache.create(256 + frames * (8192 + 5) + 8)
  assert.equal(new BlockCacheReader(memory).stats.frames, frames)
  return memory
}

function fill(cache: BlockCache, table: TableMemory, from: number, to: number): void {
  for (let block = from; block < to; block++) {
    cache.beginRequest()
    cache.put(table, block, blockBytesOf(0, block))
  }
}

function present(cache: BlockCacheReader, table: TableMemory): number[] {
  cache.begin()
  const blocks = Array.from({ length: table.blockCount }, (_, block) => block)
  const found = blocks.filter(block => cache.get(table, block) !== undefined)
  cache.end()
  return found
}

function assertIs(view: Uint8Array | undefined, table: number, block: number): void {
  assert.ok(view !== undefined, `block ${block} of table ${table} is not here`)
  assert.ok(isSame(view, blockBytesOf(table, block)), `block ${block} of table ${table} changed`)
}

describe('the block cache', () => {
  test('takes no more memory than it is given', () => {
    for (let bytesMax = 256; bytesMax < 40_000; bytesMax += 7) {
      const memory = BlockCache.create(bytesMax)
      assert.ok(memory.byteLength <= bytesMax)
      assert.ok(memory.byteLength > bytesMax - 2 * 8200, 'a frame less than there is room for')
    }
  })

  test('gives both sides what was put', () => {
    const memory = memoryOf(4)
    const [cache, reader, table] = [
      new BlockCache(memory),
      new BlockCacheReader(memory),
      tableOfBlocks(3),
    ]
    assert.equal(cache.get(table, 1), undefined)
    const bytes = blockBytesOf(0, 1)
    const view = cache.put(table, 1, bytes)
    assert.notEqual(view.buffer, bytes.buffer)
    assertIs(view, 0, 1)
    assertIs(cache.get(table, 1), 0, 1)
    assert.equal(cache.get(table, 0), undefined)
    assert.deepEqual(present(reader, table), [1])
    // A second copy would leave the first in a frame that no slot names.
    assert.equal(cache.put(table, 1, bytes), bytes)
    assert.deepEqual(cache.stats, { frames: 4, hits: 1, misses: 2, evictions: 0 })
    assert.deepEqual(reader.stats, cache.stats)
  })

  test('keeps what a request uses until the next one', () => {
    const memory = memoryOf(4)
    const [cache, table] = [new BlockCache(memory), tableOfBlocks(10)]
    fill(cache, table, 0, 4)
    cache.beginRequest()
    const held = [0, 1].map(block => cache.get(table, block))
    held.push(...[4, 5].map(block => cache.put(table, block, blockBytesOf(0, block))))
    assert.equal(cache.stats.evictions, 2)
    const bytes = blockBytesOf(0, 6)
    assert.equal(cache.put(table, 6, bytes), bytes, 'every frame is in use')
    for (const [i, block] of [0, 1, 4, 5].entries()) assertIs(held[i], 0, block)
    cache.beginRequest()
    assert.notEqual(cache.put(table, 6, bytes), bytes)
    assert.equal(cache.stats.evictions, 3)
  })

  test('keeps what main reads until its end, and at most 16 frames wait for that', () => {
    const memory = memoryOf(64)
    const [cache, reader, table] = [
      new BlockCache(memory),
      new BlockCacheReader(memory),
      tableOfBlocks(200),
    ]
    fill(cache, table, 0, 64)
    reader.begin()
    const held = Array.from({ length: 64 }, (_, block) => reader.get(table, block))
    fill(cache, table, 64, 150)
    for (const [block, view] of held.entries()) assertIs(view, 0, block)
    const { evictions } = cache.stats
    assert.ok(evictions > 0 && evictions <= 16, `${evictions} evictions`)
    reader.end()
    // The frames that waited serve without another eviction; one at a time leaves them.
    fill(cache, table, 150, 150 + evictions)
    assert.equal(cache.stats.evictions, evictions)
    const blocks = present(reader, table)
    assert.equal(blocks.length, 64)
    assert.deepEqual(
      blocks.slice(-evictions),
      Array.from({ length: evictions }, (_, i) => 150 + i),
    )
    fill(cache, table, 199, 200)
    assert.equal(cache.stats.evictions, evictions + 1)
  })

  test('a frame that waited is free once main reads for another request', () => {
    const memory = memoryOf(1)
    const [cache, reader, table] = [
      new BlockCache(memory),
      new BlockCacheReader(memory),
      tableOfBlocks(3),
    ]
    fill(cache, table, 0, 1)
    reader.begin()
    const view = reader.get(table, 0)
    fill(cache, table, 1, 2)
    assertIs(view, 0, 0)
    assert.equal(reader.get(table, 0), undefined)
    reader.end()
    reader.begin()
    fill(cache, table, 2, 3)
    assertIs(reader.get(table, 2), 0, 2)
    reader.end()
  })

  test('forgets a table, whose frames serve others', () => {
    const memory = memoryOf(8)
    const [cache, reader] = [new BlockCache(memory), new BlockCacheReader(memory)]
    const [old, next] = [tableOfBlocks(8), tableOfBlocks(8)]
    fill(cache, old, 0, 8)
    cache.beginRequest()
    const view = cache.get(old, 3)
    cache.forget(old)
    assert.deepEqual(present(reader, old), [])
    assert.equal(cache.get(old, 3), undefined)
    for (let block = 0; block < 7; block++) cache.put(next, block, blockBytesOf(1, block))
    const bytes = blockBytesOf(1, 7)
    assert.equal(cache.put(next, 7, bytes), bytes, 'the last frame is in use still')
    assertIs(view, 0, 3)
    assert.deepEqual(present(reader, next), [0, 1, 2, 3, 4, 5, 6])
    assert.equal(cache.stats.evictions, 0)
  })

  test('leaves out what is larger than a frame', () => {
    const cache = new BlockCache(memoryOf(2))
    const table = tableOfBlocks(2)
    const large = new Uint8Array(8193)
    assert.equal(cache.put(table, 0, large), large)
    assert.equal(cache.get(table, 0), undefined)
    assert.equal(cache.put(table, 1, new Uint8Array(8192).fill(7)).length, 8192)
    assert.equal(cache.get(table, 1)?.at(-1), 7)
  })

  test('without frames keeps nothing', () => {
    for (const bytesMax of [0, 100, 8192]) {
      const memory = BlockCache.create(bytesMax)
      const [cache, reader, table] = [
        new BlockCache(memory),
        new BlockCacheReader(memory),
        tableOfBlocks(2),
      ]
      for (const block of [0, 1, 0]) {
        cache.beginRequest()
        const bytes = blockBytesOf(0, block)
        assert.equal(cache.put(table, block, bytes), bytes)
        assert.equal(cache.get(table, block), undefined)
      }
      cache.forget(table)
      assert.deepEqual(present(reader, table), [])
      assert.deepEqual(cache.stats, { frames: 0, hits: 0, misses: 3, evictions: 0 })
    }
  })
})

describe('eviction', () => {
  test('a hot set of half the cache stays while a scan of ten times the cache passes', () => {
    const frames = 400
    const cache = new BlockCache(memoryOf(frames))
    const [hot, cold] = [tableOfBlocks(frames / 2), tableOfBlocks(frames * 10)]
    const random = new Random(11)
    const bytes = new Uint8Array(100)
    let hits = 0
    const read = (table: TableMemory, block: number): void => {
      cache.beginRequest()
      if (cache.get(table, block) !== undefined) hits++
      else cache.put(table, block, bytes)
    }
    for (let round = 0; round < 3; round++) {
      for (let block = 0; block < hot.blockCount; block++) read(hot, block)
    }
    hits = 0
    // Between two reads of a hot block more cold ones come by than there are frames.
    const hotReads = cold.blockCount / 4
    for (let block = 0; block < cold.blockCount; block++) {
      read(cold, block)
      if (block % 4 === 0) read(hot, random.below(hot.blockCount))
    }
    assert.ok(hits > 0.9 * hotReads, `${hits} hits of ${hotReads}`)
    assert.ok(cache.stats.evictions >= cold.blockCount - frames, 'the scan has passed the cache')
  })

  test('a new hot set takes the place of an old one', () => {
    const frames = 100
    const cache = new BlockCache(memoryOf(frames))
    const [before, after] = [tableOfBlocks(90), tableOfBlocks(90)]
    const bytes = new Uint8Array(100)
    const random = new Random(5)
    let hits = 0
    const read = (table: TableMemory): void => {
      const block = random.below(table.blockCount)
      cache.beginRequest()
      if (cache.get(table, block) !== undefined) hits++
      else cache.put(table, block, bytes)
    }
    for (let i = 0; i < 4000; i++) read(before)
    for (let i = 0; i < 4000; i++) read(after)
    hits = 0
    for (let i = 0; i < 1000; i++) read(after)
    assert.ok(hits > 950, `${hits} hits of 1000`)
  })
})

type Call =
  | { call: 'read' | 'mainRead'; table: number; block: number }
  | { call: 'forget'; table: number }
  | { call: 'request' | 'main' }

const TABLES = 3
const BLOCKS = 6
const place = { table: fc.nat({ max: TABLES - 1 }), block: fc.nat({ max: BLOCKS - 1 }) }
const callArbitrary: fc.Arbitrary<Call> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ call: fc.constant('read' as const), ...place }) },
  { weight: 4, arbitrary: fc.record({ call: fc.constant('mainRead' as const), ...place }) },
  {
    weight: 4,
    arbitrary: fc.record({ call: fc.constantFrom('request' as const, 'main' as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ call: fc.constant('forget' as const), table: place.table }),
  },
)

interface Held {
  view: Uint8Array
  table: number
  block: number
}

describe('both sides of the cache', () => {
  test('keep what they were given, whatever the other one does', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 9 }),
        fc.array(callArbitrary, { minLength: 20, maxLength: 150, size: 'max' }),
        (frames, calls) => {
          const memory = memoryOf(frames)
          const [cache, reader] = [new BlockCache(memory), new BlockCacheReader(memory)]
          const tables = Array.from({ length: TABLES }, () => tableOfBlocks(BLOCKS))
          let [ofWorker, ofMain]: [Held[], Held[]] = [[], []]
          let isReading = false
          for (const step of calls) {
            switch (step.call) {
              case 'read': {
                const { table, block } = step
                const view =
                  cache.get(tables[table], block) ??
                  cache.put(tables[table], block, blockBytesOf(table, block))
                ofWorker.push({ view, table, block })
                break
              }
              case 'mainRead': {
                const { table, block } = step
                const view = isReading ? reader.get(tables[table], block) : undefined
                if (view !== undefined) ofMain.push({ view, table, block })
                break
              }
              case 'forget':
                cache.forget(tables[step.table])
                break
              case 'request':
                cache.beginRequest()
                ofWorker = []
                break
              default:
                if (isReading) reader.end()
                else reader.begin()
                isReading = !isReading
                ofMain = []
            }
            for (const { view, table, block } of [...ofWorker, ...ofMain]) {
              assertIs(view, table, block)
            }
          }
          if (isReading) reader.end()
          // Frames are neither lost nor in two places.
          const count = tables.reduce((sum, table) => sum + present(reader, table).length, 0)
          assert.ok(count <= frames)
          fillOver(cache, frames)
          assert.equal(
            tables.reduce((sum, table) => sum + present(reader, table).length, 0),
            0,
          )
        },
      ),
      { numRuns: 150 },
    )
  })
})

/** Another table's blocks, until nothing else is left; all frames must come to be theirs. */
function fillOver(cache: BlockCache, frames: number): void {
  const table = tableOfBlocks(Math.max(1, frames))
  for (let round = 0; round < 12; round++) {
    for (let block = 0; block < frames; block++) {
      cache.beginRequest()
      if (cache.get(table, block) === undefined) cache.put(table, block, blockBytesOf(9, block))
    }
  }
  cache.beginRequest()
  for (let block = 0; block < frames; block++) assertIs(cache.get(table, block), 9, block)
}

const READS = 100_000
const DEADLINE_MS = 60_000

test('main reads whole blocks while the worker throws them out', async () => {
  const memory = memoryOf(24)
  const tables = Array.from({ length: 4 }, (_, i) => tableOfBlocks(16, `table ${i}`))
  const contents = tables.map(({ blockCount }, table) =>
    Array.from({ length: blockCount }, (_, block) => blockBytesOf(table, block)),
  )
  const words = new Int32Array(new SharedArrayBuffer(8))
  const workerData: BlockCacheThreadData = {
    cache: memory,
    tables: tables.map(table => table.memory),
    control: words.buffer as SharedArrayBuffer,
    seed: 3,
  }
  const worker = new Worker(new URL('./block-cache-thread.js', import.meta.url), { workerData })
  const answered = once(worker, 'message') as Promise<[BlockCacheStats]>
  const ended = once(worker, 'exit').then(() => {
    throw new Error('the worker has ended without an answer')
  })
  try {
    await Promise.race([once(worker, 'online'), ended])
    const waitUntil = performance.now() + DEADLINE_MS
    while (Atomics.load(words, 0) === 0) {
      assert.ok(performance.now() < waitUntil, 'the worker does nothing')
      await new Promise(resolve => setImmediate(resolve))
    }
    const reader = new BlockCacheReader(memory)
    const random = new Random(4)
    let reads = 0
    while (reads < READS) {
      assert.ok(performance.now() < waitUntil, `${reads} reads in ${DEADLINE_MS} ms`)
      reader.begin()
      const held: { view: Uint8Array; bytes: Uint8Array }[] = []
      for (let left = 1 + random.below(6); left > 0; left--) {
        const table = random.below(tables.length)
        const block = random.below(tables[table].blockCount)
        const view = reader.get(tables[table], block)
        if (view !== undefined) held.push({ view, bytes: contents[table][block] })
      }
      for (const { view, bytes } of held) assert.ok(isSame(view, bytes), 'a block is not whole')
      reader.end()
      reads += held.length
      // Errors of the worker arrive between events only.
      if (random.below(1000) === 0) await new Promise(resolve => setImmediate(resolve))
    }
    Atomics.store(words, 1, 1)
    const [stats] = await Promise.race([answered, ended])
    assert.ok(stats.evictions > 1000, `${stats.evictions} evictions`)
    assert.ok(stats.hits > 1000, `${stats.hits} hits`)
  } finally {
    Atomics.store(words, 1, 1)
    answered.catch(() => {})
    ended.catch(() => {})
    await worker.terminate()
  }
})
