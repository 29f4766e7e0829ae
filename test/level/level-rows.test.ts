/**
 * Goal: LevelRows keeps its invariants when reads fail, hang or are aborted, and asks for about as
 * many rows as are wanted. Method: a store whose pages the test answers itself.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../src/codec/bytes.ts'
import { LevelRows, type LevelRowsOptions } from '../../src/main/level/level-rows.ts'
import type { RecordScan, RecordStore } from '../../src/main/record-store.ts'
import { RecordPage } from '../../src/shared/reads/record-reads.ts'

const PLACE = { topicId: '00000000-0000-0000-0000-000000000000', partition: 0 }

class ScriptedStore {
  readonly pages: { scan: RecordScan; limit: number; snapshot: unknown }[] = []
  released = 0
  /** What the next page comes to; default: numbers from the lower bound on, up to `end`. */
  next: (() => Promise<RecordPage>) | undefined
  end = 5000

  snapshot(): object {
    return { release: () => this.released++ }
  }

  page(_: unknown, scan: RecordScan, limit: number, o: { snapshot: unknown }): Promise<RecordPage> {
    this.pages.push({ scan: { ...scan }, limit, snapshot: o.snapshot })
    const { next } = this
    this.next = undefined
    if (next !== undefined) return next()
    const first = scan.lower === undefined ? 0 : Number(textOf(scan.lower.key)) + 1
    return Promise.resolve(pageOf(first, Math.min(limit, this.end - first), this.end))
  }
}

function pageOf(first: number, count: number, end: number): RecordPage {
  const out = new ByteWriter()
  for (let i = first; i < first + count; i++) out.text(String(i).padStart(4, '0')).text('')
  return new RecordPage(out.take(), first + count === end)
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}

function rowsOf(store: ScriptedStore, options: Partial<LevelRowsOptions> = {}): LevelRows<string> {
  const all = { reverse: false, limit: -1, ...options }
  return new LevelRows(store as unknown as RecordStore, PLACE, all, page => textOf(page.key()))
}

test('pages grow from few rows to a thousand, all at one snapshot', async () => {
  const store = new ScriptedStore()
  const rows = rowsOf(store)
  for (let i = 0; i < store.end; i++) assert.equal(await rows.next(), String(i).padStart(4, '0'))
  assert.equal(await rows.next(), undefined)
  assert.deepEqual(
    store.pages.map(({ limit }) => limit),
    [16, 32, 64, 128, 256, 512, 1000, 1000, 1000, 1000],
  )
  assert.equal(new Set(store.pages.map(({ snapshot }) => snapshot)).size, 1)
  assert.equal(store.released, 0)
  rows.close()
  assert.equal(store.released, 1)
})

test('no more rows are asked for than the limit has left', async () => {
  const store = new ScriptedStore()
  const rows = rowsOf(store, { limit: 10 })
  assert.equal((await rows.nextMany(1000)).length, 10)
  assert.deepEqual(await rows.nextMany(1000), [])
  assert.deepEqual(
    store.pages.map(({ limit }) => limit),
    [10],
  )
})

test('a page that fails leaves no rows behind, and the next read begins where it did', async () => {
  const store = new ScriptedStore()
  const rows = rowsOf(store)
  for (let i = 0; i < 16; i++) await rows.next()
  store.next = () => Promise.reject(new Error('the bucket is down'))
  await assert.rejects(async () => rows.next(), /the bucket is down/)
  store.next = () => Promise.reject(new Error('still down'))
  await assert.rejects(async () => rows.nextMany(5), /still down/)
  assert.equal(await rows.next(), '0016')
  assert.deepEqual((await rows.nextMany(2)).length, 2)
})

test('an abort ends a read that hangs, at once', async () => {
  const store = new ScriptedStore()
  const abort = new AbortController()
  const rows = rowsOf(store, { signal: abort.signal })
  assert.equal(await rows.next(), '0000')
  rows.seek(Buffer.from('0100'))
  store.next = () => new Promise(() => {})
  const reading = rows.next()
  abort.abort(new Error('enough'))
  await assert.rejects(
    async () => reading,
    error => {
      const { name, code, cause } = error as Error & { code: string }
      assert.deepEqual([name, code], ['AbortError', 'LEVEL_ABORTED'])
      assert.equal((cause as Error).message, 'enough')
      return true
    },
  )
})
