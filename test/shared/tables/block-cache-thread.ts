/**
 * The owner of the cache in block-cache.test.ts: requests over more blocks than there are frames,
 * each with some blocks that must stay as they are until its end, until it is told to stop.
 */
import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { BlockCache } from '../../../src/shared/tables/block-cache.ts'
import { TableMemory } from '../../../src/shared/tables/table-memory.ts'
import { Random } from '../random.ts'
import { type BlockCacheThreadData, blockBytesOf, isSame } from './cached-blocks.ts'

const { cache: memory, tables: memories, control, seed } = workerData as BlockCacheThreadData

const cache = new BlockCache(memory)
const tables = memories.map((table, i) => new TableMemory(table, `table ${i}`))
const contents = tables.map(({ blockCount }, table) =>
  Array.from({ length: blockCount }, (_, block) => blockBytesOf(table, block)),
)
const words = new Int32Array(control)
const random = new Random(seed)

while (Atomics.load(words, 1) === 0) {
  cache.beginRequest()
  const held: { view: Uint8Array; bytes: Uint8Array }[] = []
  for (let left = 1 + random.below(6); left > 0; left--) {
    const table = random.below(tables.length)
    const block = random.below(tables[table].blockCount)
    const bytes = contents[table][block]
    const view = cache.get(tables[table], block) ?? cache.put(tables[table], block, bytes)
    held.push({ view, bytes })
  }
  for (const { view, bytes } of held) {
    assert.ok(isSame(view, bytes), 'a block changed within its request')
  }
  if (random.below(500) === 0) cache.forget(tables[random.below(tables.length)])
  Atomics.add(words, 0, 1)
}
parentPort?.postMessage(cache.stats)
