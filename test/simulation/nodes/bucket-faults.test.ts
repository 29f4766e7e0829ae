/**
 * Goal: whatever the bucket does for a while, writes are acknowledged until the limits and refused
 * with OVERLOADED then, reads go on, and nobody is elected for it; afterwards everything catches up,
 * a restore from the bucket alone has all that was acknowledged, and the garbage goes.
 * Method: whole nodes in virtual time (simulation.ts) under one kind of weather each; what the
 * bucket had in the end is restored by a real engine. Seeds: WAYMARK_BUCKET_FAULT_SEEDS.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Engine } from '../../../src/main/engine.ts'
import { checkOptions } from '../../../src/main/options.ts'
import { temporaryDirectory } from '../../temporary-directory.ts'
import { SimulationFailure } from '../failure.ts'
import { KINDS } from './bucket-weather.ts'
import { runClocks } from './clocks-play.ts'
import { contentsOf } from './contents.ts'
import { type FaultRun, runFaults } from './fault-play.ts'

const SEEDS = Number(process.env.WAYMARK_BUCKET_FAULT_SEEDS ?? 1)
const SHOWN_LINES = 60

let directory: string
before(async () => {
  directory = await temporaryDirectory()
})
after(() => rm(directory, { recursive: true }))

/** By domain: what a restore from the bucket alone shows. */
async function restored({ caughtUp, cluster }: FaultRun): Promise<string[]> {
  const options = checkOptions({
    ...{ dataDir: join(directory, randomUUID()), objectStore: caughtUp, workers: 1 },
    ...{ tailIntervalMs: null, garbageIntervalMs: null, durability: 'os' },
  })
  const from = { sourceId: cluster.clusterId, at: 'latest', isPartial: false } as const
  const engine = await Engine.open(options, from)
  try {
    const shown = engine.domains.map(async domain => {
      const { text } = await contentsOf(domain, caughtUp)
      return `${domain.visibleSequence}: ${text}`
    })
    return await Promise.all(shown)
  } finally {
    await engine.close()
  }
}

async function run(seed: number, kind: (typeof KINDS)[number]): Promise<FaultRun> {
  try {
    return await runFaults(seed, kind)
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error
    const end = error.transcript.slice(-SHOWN_LINES).join('\n')
    throw new Error(`${error.message}\n${end}`, { cause: error.cause })
  }
}

for (const kind of KINDS) {
  test(`a bucket that ${kind.name}`, async t => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const found = await run(seed, kind)
      const { writes, reads, refused, tailSequences, tables } = found
      t.diagnostic(JSON.stringify({ seed, writes, reads, refused, tailSequences, tables }))
      assert.ok(writes > 100, 'writes are acknowledged until the limits')
      assert.deepEqual(
        Object.keys(refused).filter(code => code !== 'OVERLOADED'),
        [],
      )
      if (kind.isDead) assert.ok(refused.OVERLOADED > 0, 'refused at the limits')
      // Large values are flushed as soon as they come.
      if (!kind.isDead) assert.ok(tailSequences > 0, 'a restore needs tail objects as well')
      assert.deepEqual(await restored(found), found.contents)
    }
  })
}

for (const minutes of [-4, 4]) {
  test(`leases and checkpoints of clocks that are behind; the bucket's is off by ${minutes} minutes`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) await runClocks(seed, minutes * 60_000)
  })
}
