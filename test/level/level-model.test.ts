/**
 * Goal: whatever range, direction, limit and seeks, iterators give and clear() removes the rows that
 * a sorted list says. Method: fast-check makes short keys over few letters, so that bounds meet
 * keys, and commands over iterators of every kind; each run begins with an empty database.
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { WaymarkLevel } from '../../src/level.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const RUNS = 300

interface Range {
  gt?: Buffer
  gte?: Buffer
  lt?: Buffer
  lte?: Buffer
  reverse?: boolean
  limit?: number
}

type Step = { type: 'next' } | { type: 'nextv'; size: number } | { type: 'seek'; target: Buffer }

/** What the three kinds of iterator have in common. */
interface AnyIterator {
  next(): Promise<unknown>
  nextv(size: number): Promise<unknown[]>
  seek(target: Buffer): void
  close(): Promise<void>
}

const KINDS = ['keys', 'values', 'iterator'] as const
type Kind = (typeof KINDS)[number]

let location: string
let db: WaymarkLevel<Buffer, string>
before(async () => {
  location = await temporaryDirectory()
  db = new WaymarkLevel(location, { durability: 'os', keyEncoding: 'buffer' })
})
after(async () => {
  await db.close()
  await rm(location, { recursive: true })
})

const key = fc
  .array(fc.constantFrom(0x00, 0x61, 0xff), { maxLength: 3 })
  .map(bytes => Buffer.from(bytes))
const keys = fc.array(key, { minLength: 5, maxLength: 30 })

/** Mostly ranges that have rows: a lower bound is small more often than not. */
const lowKey = fc.oneof(fc.constantFrom('', '\0', '\0\0', '\0a', 'a').map(toBuffer), key)
const highKey = fc.oneof(fc.constantFrom('a', 'aa', 'aaa').map(toBuffer), key)
const none = fc.constant<Range>({})
const lower: fc.Arbitrary<Range> = fc.oneof(
  none,
  fc.record({ gt: lowKey }),
  fc.record({ gte: lowKey }),
  fc.record({ gt: key, gte: lowKey }),
)
const upper: fc.Arbitrary<Range> = fc.oneof(
  none,
  fc.record({ lt: highKey }),
  fc.record({ lte: highKey }),
  fc.record({ lt: key, lte: highKey }),
)
const limit: fc.Arbitrary<Range> = fc.oneof(
  none,
  none,
  fc.integer({ min: -1, max: 12 }).map(most => ({ limit: most })),
)
const range: fc.Arbitrary<Range> = fc
  .tuple(lower, upper, limit, fc.boolean())
  .map(([from, to, most, reverse]) => ({ ...from, ...to, ...most, reverse }))

function toBuffer(text: string): Buffer {
  return Buffer.from(text)
}

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constant({ type: 'next' as const }),
  fc.integer({ min: 1, max: 9 }).map(size => ({ type: 'nextv' as const, size })),
  key.map(target => ({ type: 'seek' as const, target })),
)

/** Of two bounds on one side the inclusive one counts. */
function isInside(one: Buffer, { gt, gte, lt, lte }: Range): boolean {
  if (gte !== undefined ? one.compare(gte) < 0 : gt !== undefined && one.compare(gt) <= 0) {
    return false
  }
  return !(lte !== undefined ? one.compare(lte) > 0 : lt !== undefined && one.compare(lt) >= 0)
}

function sortedIn(all: readonly Buffer[], wanted: Range): Buffer[] {
  const unique = [...new Map(all.map(one => [one.toString('hex'), one])).values()]
  const inside = unique.filter(one => isInside(one, wanted)).sort(Buffer.compare)
  return wanted.reverse === true ? inside.reverse() : inside
}

function limitOf({ limit = -1 }: Range): number {
  return limit < 0 ? Number.POSITIVE_INFINITY : limit
}

async function fill(all: readonly Buffer[]): Promise<void> {
  await db.clear()
  await db.batch(all.map(one => ({ type: 'put', key: one, value: one.toString('hex') })))
}

test('iterators give what the list says, whatever is read and sought in between', async () => {
  const property = fc.asyncProperty(
    keys,
    range,
    fc.constantFrom(...KINDS),
    fc.array(step, { maxLength: 12 }),
    async (all, wanted, kind, steps) => {
      await fill(all)
      const list = sortedIn(all, wanted)
      const iterator = iteratorOf(kind, wanted)
      // Newer writes are not to be seen.
      await db.put(Buffer.from('a\x00'), 'new')
      await db.del(Buffer.from('a'))
      let at = 0
      let left = limitOf(wanted)
      for (const one of steps) {
        if (one.type === 'seek') {
          iterator.seek(one.target)
          const sign = wanted.reverse === true ? -1 : 1
          const first = list.findIndex(found => found.compare(one.target) * sign >= 0)
          at = isInside(one.target, wanted) && first >= 0 ? first : list.length
          continue
        }
        const size = one.type === 'next' ? 1 : one.size
        const got = one.type === 'next' ? [await iterator.next()] : await iterator.nextv(size)
        const found = got.filter(item => item !== undefined).map(item => hexOf(kind, item))
        const expected = list.slice(at, at + Math.min(size, left)).map(item => item.toString('hex'))
        // A read may give fewer than asked for, but nothing only at the end.
        assert.deepEqual(found, expected.slice(0, found.length))
        assert.equal(found.length === 0, expected.length === 0)
        at += found.length
        left -= found.length
      }
      await iterator.close()
    },
  )
  await fc.assert(property, { numRuns: RUNS })
})

function iteratorOf(kind: Kind, wanted: Range): AnyIterator {
  if (kind === 'keys') return db.keys(wanted)
  return kind === 'values' ? db.values(wanted) : db.iterator(wanted)
}

function hexOf(kind: Kind, item: unknown): string {
  if (kind === 'values') return item as string
  if (kind === 'keys') return (item as Buffer).toString('hex')
  const [itemKey, value] = item as [Buffer, string]
  assert.equal(itemKey.toString('hex'), value)
  return value
}

test('clear removes what the list says and nothing else', async () => {
  const property = fc.asyncProperty(keys, range, async (all, wanted) => {
    await fill(all)
    await db.clear(wanted)
    const cleared = new Set(sortedIn(all, wanted).slice(0, limitOf(wanted)))
    const expected = sortedIn(all, {}).filter(one => !cleared.has(one))
    assert.deepEqual(await db.keys().all(), expected)
  })
  await fc.assert(property, { numRuns: RUNS })
})
