/**
 * Goal: whatever is written, flushed, compacted, reopened and evicted in whatever order, under a
 * bucket that fails, delays, truncates and loses answers, and with cache files that vanish or rot,
 * every key and every scan reads as in a model, now and at every live snapshot.
 * Method: random sequences over the real LSM on one thread (lsm-harness.ts). More of them by the
 * variable WAYMARK_LSM_RUNS.
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import test from 'node:test'
import fc from 'fast-check'
import { type Fault, seededPlan } from '../object-stores/faulty-object-store.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { isUnavailable, LsmHarness } from './lsm-harness.ts'

const RUNS = Number(process.env.WAYMARK_LSM_RUNS ?? 1400)
const STEPS_MAX = 30
const UNIVERSE: readonly string[] = Array.from({ length: 24 }, (_, i) => `k${i}`)

const value = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 12 }) },
  // Several blocks a table, and blocks of a single row that no cache frame holds.
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.integer({ min: 500, max: 3000 }), fc.nat(255))
      .map(([length, byte]) => noise(length, byte)),
  },
  { weight: 1, arbitrary: fc.nat(255).map(byte => noise(9000, byte)) },
)

/** Bytes that LZ4 cannot shorten. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed + 1
  return Uint8Array.from({ length }, () => {
    state = (state * 1103515245 + 12345) >>> 0
    return state >>> 16
  })
}

const write = fc.array(
  fc.record({
    key: fc.constantFrom(...UNIVERSE),
    value: fc.option(value, { nil: undefined, freq: 3 }),
  }),
  { minLength: 1, maxLength: 8 },
)

const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('write' as const), operations: write }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('freeze' as const) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('compact' as const), full: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('take' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), which: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('damage' as const),
      which: fc.nat(20),
      how: fc.constantFrom(
        'remove' as const,
        'truncate' as const,
        'flip' as const,
        'zero' as const,
      ),
      at: fc.nat(100_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('verify' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

const FAULTS: Partial<Record<Fault, number>> = {
  errorBefore: 0.06,
  errorAfter: 0.06,
  throttle: 0.04,
  delay: 0.04,
  truncate: 0.06,
}

async function take(harness: LsmHarness, each: Step): Promise<void> {
  switch (each.do) {
    case 'write':
      return harness.write(each.operations)
    case 'freeze':
      return harness.freeze()
    case 'flush':
      harness.freeze()
      await harness.flush()
      return
    case 'compact':
      await harness.compact(each.full)
      return
    case 'take':
      return harness.takeSnapshot()
    case 'release':
      return harness.releaseSnapshot(each.which)
    case 'reopen':
      return harness.reopen()
    case 'forget':
      return harness.forgetMemory()
    case 'damage': {
      const names = harness.cachedTables
      if (names.length > 0) harness.damageFile(names[each.which % names.length], each.how, each.at)
      return
    }
    case 'verify':
      return harness.verify(UNIVERSE)
  }
}

async function run(
  steps: readonly Step[],
  blockCacheBytes: number,
  attempt: (harness: LsmHarness, each: Step) => Promise<void>,
): Promise<void> {
  const directory = await temporaryDirectory()
  const harness = new LsmHarness(directory, blockCacheBytes)
  try {
    for (const each of steps) await attempt(harness, each)
    harness.weather(() => null)
    await harness.verify(UNIVERSE)
    await harness.compact(true)
    await harness.verify(UNIVERSE)
    await harness.reopen()
    await harness.verify(UNIVERSE)
    await harness.verifyBucket()
  } finally {
    harness.close()
    await rm(directory, { recursive: true })
  }
}

const sequences = fc.array(step, { minLength: 5, maxLength: STEPS_MAX, size: 'max' })
/** None, some, and enough for everything. */
const cacheBytes = fc.constantFrom(0, 40_000, 4_000_000)

test('random steps read as the model', async () => {
  await fc.assert(
    fc.asyncProperty(sequences, cacheBytes, (steps, bytes) => run(steps, bytes, take)),
    { numRuns: RUNS },
  )
})

test('the same with a bucket that fails, delays, truncates and loses answers', async () => {
  let refused = 0
  await fc.assert(
    fc.asyncProperty(sequences, cacheBytes, fc.nat(), async (steps, bytes, seed) => {
      const plan = seededPlan(seed, FAULTS)
      await run(steps, bytes, async (harness, each) => {
        harness.weather(plan)
        try {
          await take(harness, each)
        } catch (error) {
          // A step that the bucket has refused has changed nothing; what came before is all there.
          if (!isUnavailable(error)) throw error
          refused++
          harness.weather(() => null)
          if (each.do === 'reopen') await take(harness, each)
          await harness.verify(UNIVERSE)
        }
      })
    }),
    { numRuns: Math.ceil(RUNS / 2) },
  )
  assert.ok(refused > RUNS / 100, `only ${refused} steps were refused`)
})
