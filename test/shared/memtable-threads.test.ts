/**
 * Goal: while one thread inserts, another one sees at every snapshot exactly the rows at or below
 * it, each with its own value, and scans that are ordered and complete both ways.
 * Method: the reader makes the writer's batches from the same seed, so it knows what must be there
 * and what is being inserted at the moment. The writer stays a few hundred batches ahead at most,
 * so that the two meet in the same places from the first list to the last.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { Control } from '../../src/shared/control.ts'
import { Memtable } from '../../src/shared/memtable.ts'
import { keyOf, type MemtableThreadData, RowGenerator, valueBytesOf } from './row-generator.ts'

const BATCHES = 10_000
const LEAD_BATCHES = 150
const MEMORY_BYTES = 64 * 1024 * 1024
/** The sequence's low word overflows in the middle of the run. */
const FIRST_SEQUENCE: number = 2 ** 32 - BATCHES / 2
const SEED = 20_240_607
const DEADLINE_MS = 30_000

/** @param signal aborted when nobody reads any more */
async function write(memtable: Memtable, control: Control, signal: AbortSignal): Promise<number> {
  const generator = new RowGenerator(SEED, FIRST_SEQUENCE)
  let rows = 0
  for (let sequence = FIRST_SEQUENCE; sequence < FIRST_SEQUENCE + BATCHES; sequence++) {
    for (const row of generator.next()) {
      const key = keyOf(row.list, row.offset)
      const value = valueBytesOf(row)
      const { isDelete } = row
      const isIn = memtable.insert(key, 0, key.length, sequence, isDelete, value, 0, value.length)
      assert.ok(isIn, 'the memtable is full')
      rows++
    }
    // Now and then several batches become visible at once.
    if (sequence % 7 !== 0) control.advanceVisible(0, sequence)
    while (sequence - control.visibleSequence(1) > LEAD_BATCHES) {
      await setImmediate(undefined, { signal })
    }
  }
  control.advanceVisible(0, FIRST_SEQUENCE + BATCHES - 1)
  return rows
}

test('a reader sees exactly its snapshot while rows go in', async () => {
  const memtable = new Memtable(new SharedArrayBuffer(MEMORY_BYTES))
  const control = Control.create(0, 2)
  for (const domain of [0, 1]) control.advanceVisible(domain, FIRST_SEQUENCE - 1)
  const workerData: MemtableThreadData = {
    memory: memtable.memory,
    control: control.memory,
    seed: SEED,
    firstSequence: FIRST_SEQUENCE,
    lastSequence: FIRST_SEQUENCE + BATCHES - 1,
  }
  const stop = new AbortController()
  const reader = new Worker(new URL('./memtable-thread.js', import.meta.url), { workerData })
  const deadline = setTimeout(() => void reader.terminate(), DEADLINE_MS)
  const ended = once(reader, 'exit').then(() => {
    throw new Error('the reader has ended without an answer')
  })
  try {
    await Promise.race([once(reader, 'message'), ended])
    const answered = once(reader, 'message')
    const [rows] = await Promise.race([
      Promise.all([write(memtable, control, stop.signal), answered]),
      ended,
    ])
    const [counts] = (await answered) as [{ snapshots: number; lookups: number; steps: number }]
    assert.ok(rows > 190_000, `${rows} rows`)
    assert.equal(memtable.rowCount, rows)
    assert.ok(counts.snapshots >= BATCHES / LEAD_BATCHES, `${counts.snapshots} snapshots`)
    assert.ok(counts.lookups > 20_000, `${counts.lookups} lookups`)
  } finally {
    clearTimeout(deadline)
    ended.catch(() => {})
    stop.abort()
    await reader.terminate()
  }
})
