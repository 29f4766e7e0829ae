/**
 * Goal: WaymarkLevel serves abstract-level's callers: order, ranges, seeks, batches, clears, and
 * data that is there after closing and opening again. What abstract-level itself asks for is in
 * its own suite (suite.test.ts).
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import { WaymarkLevel } from '../../src/level.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

async function withLevel(run: (location: string) => Promise<void>): Promise<void> {
  const location = await temporaryDirectory()
  try {
    await run(location)
  } finally {
    await rm(location, { recursive: true })
  }
}

test('what was put is there after closing, opening and flushing to the bucket', async () => {
  await withLevel(async location => {
    const first = new WaymarkLevel<string, string>(location)
    await first.put('a', '1')
    await first.batch([
      { type: 'put', key: 'b', value: '' },
      { type: 'put', key: 'c', value: '3' },
      { type: 'del', key: 'a' },
    ])
    await first.close()
    const second = new WaymarkLevel<string, string>(location)
    assert.deepEqual(await second.getMany(['a', 'b', 'c']), [undefined, '', '3'])
    await second.close()
  })
})

test('iterators keep byte order both ways, honour bounds and seek', async () => {
  await withLevel(async location => {
    const db = new WaymarkLevel<string, string>(location)
    const keys = Array.from({ length: 1234 }, (_, i) => String(i).padStart(5, '0'))
    await db.batch(keys.map(key => ({ type: 'put', key, value: key })))
    assert.deepEqual(await db.keys().all(), keys)
    assert.deepEqual(await db.keys({ reverse: true }).all(), [...keys].reverse())
    assert.deepEqual(await db.keys({ gt: '00003', lte: '00006' }).all(), keys.slice(4, 7))
    assert.deepEqual(await db.keys({ gte: '01230', reverse: true, limit: 2 }).all(), [
      '01233',
      '01232',
    ])
    const forward = db.keys({ lt: '00700' })
    forward.seek('00698x')
    assert.deepEqual(await forward.all(), ['00699'])
    const backward = db.keys({ reverse: true, gte: '00100' })
    backward.seek('00101')
    assert.deepEqual(await backward.all(), ['00101', '00100'])
    await db.close()
  })
})

test('clear removes exactly its range', async () => {
  await withLevel(async location => {
    const db = new WaymarkLevel<string, string>(location)
    await db.batch(['a', 'b', 'c', 'd'].map(key => ({ type: 'put', key, value: key })))
    await db.clear({ gt: 'a', lte: 'c' })
    assert.deepEqual(await db.keys().all(), ['a', 'd'])
    await db.clear({ reverse: true, limit: 1 })
    assert.deepEqual(await db.keys().all(), ['a'])
    await db.close()
  })
})
