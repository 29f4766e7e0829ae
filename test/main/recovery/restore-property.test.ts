/**
 * Goal: whatever was written, flushed and shipped when, a restore at a time gives exactly the state
 * of the newest write that pieces made by then lead to without a gap.
 * Method: random histories on a clock of the test, beside a model that keeps the state after every
 * write and the times of all manifests and tail objects.
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, before, mock, test } from 'node:test'
import fc from 'fast-check'
import { temporaryDirectory } from '../../temporary-directory.ts'
import { bytes, contentsOf, PLACES } from './restoring.ts'
import { SourceStore } from './source-store.ts'

const CREATED_AT = 1_700_000_000_000
const RUNS = Number(process.env.WAYMARK_PROPERTY_RUNS ?? 12)

type Step =
  | { type: 'put'; place: number; key: number; isDelete: boolean }
  | { type: 'flush' }
  | { type: 'compact' }
  /** A tail object of so many batches, from so many before the newest on. */
  | { type: 'ship'; back: number; length: number; epoch: number }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        type: fc.constant('put' as const),
        place: fc.nat(PLACES.length - 1),
        key: fc.nat(4),
        isDelete: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ type: 'flush' as const }) },
    { weight: 1, arbitrary: fc.constant({ type: 'compact' as const }) },
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant('ship' as const),
        back: fc.integer({ min: 1, max: 6 }),
        length: fc.integer({ min: 1, max: 6 }),
        epoch: fc.integer({ min: 1, max: 2 }),
      }),
    },
  ),
  { minLength: 8, maxLength: 40 },
)

interface Piece {
  readonly time: number
  /** A manifest has everything from 1 on. */
  readonly first: number
  readonly last: number
  /** Of a tail object. */
  readonly name?: string
}

class History {
  /** By sequence: all records after that write. */
  readonly states: Record<string, string>[] = [{}]
  readonly pieces: Piece[] = []

  get sequence(): number {
    return this.states.length - 1
  }

  put(key: string, value: string | undefined): void {
    const { [key]: _, ...others } = this.states[this.sequence]
    this.states.push(value === undefined ? others : { ...others, [key]: value })
  }

  /** The newest write that pieces made by then lead to. */
  at(time: number): number {
    let reached = 0
    for (let isMoving = true; isMoving; ) {
      isMoving = false
      for (const piece of this.pieces) {
        if (piece.time > time || piece.first > reached + 1 || piece.last <= reached) continue
        reached = piece.last
        isMoving = true
      }
    }
    return reached
  }
}

async function carryOut(source: SourceStore, step: Step, history: History, time: number) {
  const records = source.store.records('k')
  switch (step.type) {
    case 'put': {
      const [tp, key] = [PLACES[step.place], `${step.key}`]
      if (step.isDelete) await records.delete(tp, key)
      else await records.put(tp, key, bytes(`${time}`))
      const { committedSequence } = (await source.store.status()).partitions[0]
      // Deleting what is not there may write nothing.
      if (committedSequence === history.sequence) return
      history.put(`${step.place} ${key}`, step.isDelete ? undefined : `${time}`)
      assert.equal(committedSequence, history.sequence)
      return
    }
    case 'flush':
    case 'compact':
      await source.flush()
      if (step.type === 'compact') await source.store.compact()
      if (history.sequence > 0) history.pieces.push({ time, first: 1, last: history.sequence })
      return
    case 'ship': {
      const first = Math.max(1, history.sequence + 1 - step.back)
      const last = Math.min(history.sequence, first + step.length - 1)
      if (last < first) return
      const key = await source.ship(0, [first, last], time, step.epoch)
      // Put over one of the same name: the same batches, made later.
      const name = key.split('/tail/')[1]
      const known = history.pieces.findIndex(piece => piece.name === name)
      if (known !== -1) history.pieces.splice(known, 1)
      history.pieces.push({ time, first, last, name })
    }
  }
}

let directory: string
before(async () => {
  directory = await temporaryDirectory()
  mock.timers.enable({ apis: ['Date'], now: CREATED_AT })
})
after(async () => {
  mock.timers.reset()
  await rm(directory, { recursive: true })
})

test('a restore at a time is the state that pieces made by then lead to', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.array(fc.double({ min: 0, max: 1, noNaN: true })), run),
    { numRuns: RUNS },
  )
})

/** @param moments parts of the history's length at which a restore is made */
async function run(history: Step[], moments: number[]): Promise<void> {
  mock.timers.setTime(CREATED_AT)
  await using source = await SourceStore.open(directory, { partitions: 1 })
  const model = new History()
  for (const [i, step] of history.entries()) {
    const time = CREATED_AT + 10 * (i + 1)
    mock.timers.setTime(time)
    await carryOut(source, step, model, time)
  }
  const end = CREATED_AT + 10 * (history.length + 1)
  mock.timers.setTime(end)
  const latest = await source.restore()
  assert.deepEqual(await contentsOf(latest), model.states[model.at(end)], 'latest')
  for (const moment of moments.slice(0, 4)) {
    const timestamp = CREATED_AT + Math.floor(moment * (end - CREATED_AT))
    const restored = await source.restore({ at: { timestamp } })
    const sequence = model.at(timestamp)
    assert.equal(restored.restoreReport?.domains[0].sequence, sequence, `at ${timestamp}`)
    assert.deepEqual(await contentsOf(restored), model.states[sequence], `at ${timestamp}`)
  }
}
