/** Durable writes: commits of ten extents, and puts of one row, with 1, 64 and 1024 in flight. */
import { join } from 'node:path'
import { Answers } from '../answers.ts'
import { type BenchContext, sized } from '../bench-context.ts'
import { Committer } from '../committer.ts'
import { callInFlight } from '../in-flight.ts'
import { Latencies } from '../latencies.ts'
import { Records, ROW_BYTES } from '../records.ts'
import { openStore } from '../stores.ts'

const EXTENTS_A_COMMIT = 10
const PARTITIONS_PER_DOMAIN = 100

interface Load {
  inFlight: number
  commits: number
  puts: number
}

/** As many calls as take about half a second to a second. */
const LOADS: readonly Load[] = [
  { inFlight: 1, commits: 1000, puts: 1000 },
  { inFlight: 64, commits: 5000, puts: 20_000 },
  { inFlight: 1024, commits: 8000, puts: 40_000 },
]
const DURABILITIES = ['fsync', 'os'] as const
type Durability = (typeof DURABILITIES)[number]

export async function runCommits(context: BenchContext): Promise<void> {
  for (const durability of DURABILITIES) {
    if (context.wants('put')) await puts(context, durability)
  }
  for (const durability of DURABILITIES) {
    if (context.wants('commit')) await commits(context, durability)
  }
}

async function commits(context: BenchContext, durability: Durability): Promise<void> {
  await using store = await openStore(join(context.directory, `commits-${durability}`), {
    durability,
  })
  const committer = new Committer(store, PARTITIONS_PER_DOMAIN, EXTENTS_A_COMMIT)
  for (const load of LOADS) {
    const { inFlight } = load
    const count = sized(context, load.commits, inFlight * 2)
    await context.measure({
      workload: 'commit',
      variant: `${inFlight} in flight, ${durability}`,
      unit: 'commits',
      prepare: () => committer.preregister(count),
      run: async () => {
        const answers = new Answers()
        const latencies = new Latencies()
        const elapsedMs = await callInFlight(count, inFlight, latencies, i =>
          committer.commit(i, answers),
        )
        await committer.checkOffsets(answers)
        return { operations: count, elapsedMs, answers, latencies }
      },
    })
  }
}

async function puts(context: BenchContext, durability: Durability): Promise<void> {
  await using store = await openStore(join(context.directory, `puts-${durability}`), { durability })
  const records = new Records(store)
  let firstRow = 0
  for (const load of LOADS) {
    const { inFlight } = load
    const count = sized(context, load.puts, inFlight * 2)
    await context.measure({
      workload: 'put',
      variant: `${inFlight} in flight, ${durability}`,
      unit: 'rows',
      operationBytes: ROW_BYTES,
      run: async () => {
        const latencies = new Latencies()
        const elapsedMs = await callInFlight(count, inFlight, latencies, i =>
          records.put(firstRow + i),
        )
        const answers = new Answers()
        await records.checkPuts(firstRow, firstRow + count, answers)
        return { operations: count, elapsedMs, answers, latencies }
      },
      finish: () => {
        firstRow += count
      },
    })
  }
}
