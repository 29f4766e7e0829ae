/**
 * Goal: WaymarkLevel serves abstract-level's callers: order, ranges, seeks, snapshots, clears, and
 * data that is there after closing and opening again. What abstract-level itself asks for is in its
 * own suite (suite.test.ts).
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import { WaymarkLevel } from '../../src/level.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const KEY_BYTES_MAX = 4096

async function withLevel(
  run: (db: WaymarkLevel<string, string>, location: string) => Promise<void>,
): Promise<void> {
  const location = await temporaryDirectory()
  const db = new WaymarkLevel<string, string>(location, { durability: 'os' })
  try {
    await run(db, location)
  } finally {
    await db.close()
    await rm(location, { recursive: true })
  }
}

function puts(keys: readonly string[], value = (key: string) => key) {
  return keys.map(key => ({ type: 'put' as const, key, value: value(key) }))
}

function code(expected: string): (error: unknown) => boolean {
  return error => {
    assert.equal((error as { code: string }).code, expected, String(error))
    return true
  }
}

test('what was put is there after closing, opening and flushing to the bucket', async () => {
  await withLevel(async (first, location) => {
    await first.put('a', '1')
    await first.batch([
      { type: 'put', key: 'b', value: '' },
      { type: 'put', key: 'c', value: '3' },
      { type: 'del', key: 'a' },
    ])
    await first.flush()
    await first.close()
    const second = new WaymarkLevel<string, string>(location)
    assert.deepEqual(await second.getMany(['a', 'b', 'c']), [undefined, '', '3'])
    await second.compact()
    assert.deepEqual(await second.hasMany(['a', 'b', 'c']), [false, true, true])
    await second.close()
  })
})

test('iterators keep byte order both ways and honour bounds over many pages', async () => {
  await withLevel(async db => {
    const keys = Array.from({ length: 3456 }, (_, i) => String(i).padStart(5, '0'))
    await db.batch(puts(keys))
    assert.deepEqual(await db.keys().all(), keys)
    assert.deepEqual(await db.values({ reverse: true }).all(), [...keys].reverse())
    assert.deepEqual(await db.keys({ gt: '00003', lte: '00006' }).all(), keys.slice(4, 7))
    const newest = await db.keys({ gte: '01230', reverse: true, limit: 2 }).all()
    assert.deepEqual(newest, ['03455', '03454'])
    const seen: string[] = []
    for await (const [key, value] of db.iterator({ lt: '02000' })) {
      assert.equal(value, key)
      seen.push(key)
    }
    assert.deepEqual(seen, keys.slice(0, 2000))
  })
})

test('seek goes forth and back during iteration, and not out of the range', async () => {
  await withLevel(async db => {
    const keys = Array.from({ length: 200 }, (_, i) => String(i).padStart(3, '0'))
    await db.batch(puts(keys))
    for (const reverse of [false, true]) {
      const iterator = db.keys({ gt: '010', lte: '190', reverse })
      assert.equal(await iterator.next(), reverse ? '190' : '011')
      iterator.seek('100')
      assert.equal(await iterator.next(), '100')
      assert.equal(await iterator.next(), reverse ? '099' : '101')
      iterator.seek('050x')
      assert.equal(await iterator.next(), reverse ? '050' : '051')
      iterator.seek('190')
      assert.deepEqual((await iterator.nextv(1))[0], '190')
      for (const outside of ['010', '000', '190x', '999']) {
        iterator.seek(outside)
        assert.equal(await iterator.next(), undefined, outside)
      }
      iterator.seek('011')
      assert.equal(await iterator.next(), '011')
      await iterator.close()
    }
  })
})

test('a limit counts what was given, over seeks as well', async () => {
  await withLevel(async db => {
    await db.batch(puts(['a', 'b', 'c', 'd', 'e']))
    const iterator = db.keys({ limit: 3 })
    assert.equal(await iterator.next(), 'a')
    iterator.seek('d')
    assert.deepEqual(await iterator.nextv(10), ['d', 'e'])
    iterator.seek('a')
    assert.equal(await iterator.next(), undefined)
    await iterator.close()
  })
})

test('iterators and snapshots see what was there, over writes, flush and compaction', async () => {
  await withLevel(async db => {
    const keys = Array.from({ length: 50 }, (_, i) => String(i).padStart(2, '0'))
    await db.batch(puts(keys, () => 'old'))
    const snapshot = db.snapshot()
    const begun = db.iterator()
    assert.deepEqual(await begun.next(), ['00', 'old'])
    const idle = db.keys({ reverse: true })
    await db.batch([...puts(keys.slice(0, 25), () => 'new'), ...puts(['99'])])
    await db.clear({ gte: '25', lt: '99' })
    await db.flush()
    await db.batch(puts(['25'], () => 'newer'))
    await db.compact()
    const old = keys.map(key => [key, 'old'])
    assert.deepEqual(await begun.all(), old.slice(1))
    assert.deepEqual(await idle.all(), [...keys].reverse())
    assert.deepEqual(await db.iterator({ snapshot }).all(), old)
    assert.equal(await db.get('30', { snapshot }), 'old')
    assert.equal(db.getSync('30', { snapshot }), 'old')
    assert.deepEqual(await db.getMany(['00', '99'], { snapshot }), ['old', undefined])
    assert.deepEqual(await db.hasMany(['30', '99'], { snapshot }), [true, false])
    assert.equal(await db.has('30'), false)
    assert.deepEqual(await db.getMany(['00', '25', '30']), ['new', 'newer', undefined])
    await snapshot.close()
    await assert.rejects(db.get('30', { snapshot }), code('LEVEL_SNAPSHOT_NOT_OPEN'))
  })
})

test('getSync sees what was acknowledged, and nothing that is under way', async () => {
  await withLevel(async db => {
    assert.throws(() => db.getSync('a'), code('LEVEL_DATABASE_NOT_OPEN'))
    await db.put('a', '1')
    assert.equal(db.getSync('a'), '1')
    const writing = db.put('a', '2')
    assert.equal(db.getSync('a'), '1')
    await writing
    assert.equal(db.getSync('a'), '2')
    await db.flush()
    assert.equal(db.getSync('a'), '2')
    assert.equal(db.getSync('b'), undefined)
  })
})

test('clear of many rows spares what came after it began, and what its snapshot lacks', async () => {
  await withLevel(async db => {
    const keys = Array.from({ length: 2500 }, (_, i) => String(i).padStart(4, '0'))
    await db.batch(puts(keys))
    const snapshot = db.snapshot()
    const clearing = db.clear({ gt: '0003' })
    const late = db.put('5000', 'late')
    await Promise.all([clearing, late])
    assert.deepEqual(await db.keys().all(), ['0000', '0001', '0002', '0003', '5000'])
    await db.clear({ snapshot })
    assert.deepEqual(await db.keys().all(), ['5000'])
    await snapshot.close()
  })
})

test('keys of the greatest length are bounds and targets; longer ones lie between keys', async () => {
  await withLevel(async db => {
    const key = (letter: string, length = KEY_BYTES_MAX): string => letter.repeat(length)
    await db.batch(puts([key('a'), key('b'), key('c')], one => one.slice(0, 1)))
    assert.deepEqual(await db.values({ gt: key('a'), lte: key('b') }).all(), ['b'])
    assert.deepEqual(await db.values({ gte: key('b'), lt: key('c') }).all(), ['b'])
    const longer = key('b', KEY_BYTES_MAX + 1)
    for (const bound of ['gt', 'gte']) {
      assert.deepEqual(await db.values({ [bound]: longer }).all(), ['c'])
    }
    for (const bound of ['lt', 'lte']) {
      assert.deepEqual(await db.values({ [bound]: longer }).all(), ['a', 'b'])
    }
    const iterator = db.values()
    iterator.seek(longer)
    assert.equal(await iterator.next(), 'c')
    await iterator.close()
    const backward = db.values({ reverse: true })
    backward.seek(longer)
    assert.equal(await backward.next(), 'b')
    await backward.close()
    await db.clear({ gt: key('a'), lte: key('b') })
    assert.deepEqual(await db.values().all(), ['a', 'c'])
    await assert.rejects(db.put(longer, ''), code('INVALID_REQUEST'))
  })
})

test('close ends open iterators and snapshots; everything after it is refused', async () => {
  await withLevel(async db => {
    await db.batch(puts(['a', 'b', 'c']))
    const snapshot = db.snapshot()
    const iterator = db.iterator()
    assert.deepEqual(await iterator.next(), ['a', 'a'])
    const reading = db.values({ snapshot }).nextv(10)
    await db.close()
    assert.deepEqual(await reading, ['a', 'b', 'c'])
    await assert.rejects(iterator.next(), code('LEVEL_ITERATOR_NOT_OPEN'))
    await assert.rejects(db.get('a'), code('LEVEL_DATABASE_NOT_OPEN'))
    assert.throws(() => db.getSync('a'), code('LEVEL_DATABASE_NOT_OPEN'))
    assert.throws(() => db.iterator(), code('LEVEL_DATABASE_NOT_OPEN'))
    await assert.rejects(db.flush(), code('LEVEL_DATABASE_NOT_OPEN'))
    await db.open()
    assert.equal(await db.get('a'), 'a')
    await assert.rejects(db.get('a', { snapshot }), code('LEVEL_SNAPSHOT_NOT_OPEN'))
  })
})
