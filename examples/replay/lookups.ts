/** Measuring how many extents are found by their offsets in a second. */
import type { Metastore } from '../../src/index.ts'
import { forEachInFlight } from './in-flight.ts'
import { Latencies } from './latency.ts'
import { outcomeOf } from './outcome.ts'
import type { TopicPartitionOffset, TraceQuery } from './trace.ts'

export interface LookupFigures {
  /** Lookups a second: one after another, 64 calls in flight, calls of 64 offsets. */
  onePerSecond: number
  inFlightPerSecond: number
  batchedPerSecond: number
  /** Of single calls, one after another. */
  latencies: Latencies
}

const IN_FLIGHT = 64
const BATCH_SIZE = 64
const MEASURE_MS = 1000
const WARM_UP_MS = 200

/** Undefined when the metastore can answer none of the trace's lookups. */
export async function measureLookups(
  metastore: Metastore,
  queries: readonly TraceQuery[],
): Promise<LookupFigures | undefined> {
  const lookups = await answerable(metastore, queries)
  if (lookups.length === 0) return undefined
  const one = async (index: number): Promise<void> => {
    const { topicPartition, offset } = lookups[index % lookups.length]
    await metastore.findByOffset(topicPartition, offset)
  }
  await callsPerSecond(1, WARM_UP_MS, one)
  const latencies = new Latencies()
  const onePerSecond = await callsPerSecond(1, MEASURE_MS, async index => {
    const calledAt = performance.now()
    await one(index)
    latencies.record(performance.now() - calledAt)
  })
  const inFlightPerSecond = await callsPerSecond(IN_FLIGHT, MEASURE_MS, one)
  const batches = batchesOf(lookups)
  const batchesPerSecond = await callsPerSecond(1, MEASURE_MS, async index => {
    await metastore.findByOffsets(batches[index % batches.length])
  })
  const batchedPerSecond = batchesPerSecond * BATCH_SIZE
  return { onePerSecond, inFlightPerSecond, batchedPerSecond, latencies }
}

/** After a part of the trace only, not every lookup finds something. */
async function answerable(
  metastore: Metastore,
  queries: readonly TraceQuery[],
): Promise<TopicPartitionOffset[]> {
  const lookups: TopicPartitionOffset[] = []
  for (const { call, topicPartition, offset = 0 } of queries) {
    if (call !== 'findByOffset') continue
    const { reason } = await outcomeOf(metastore.findByOffset(topicPartition, offset))
    if (reason === undefined) lookups.push({ topicPartition, offset })
  }
  return lookups
}

/** All of one size: a short list is gone through more than once. */
function batchesOf(lookups: readonly TopicPartitionOffset[]): TopicPartitionOffset[][] {
  return Array.from({ length: Math.ceil(lookups.length / BATCH_SIZE) }, (_, batch) =>
    Array.from(
      { length: BATCH_SIZE },
      (_, place) => lookups[(batch * BATCH_SIZE + place) % lookups.length],
    ),
  )
}

async function callsPerSecond(
  inFlight: number,
  durationMs: number,
  run: (index: number) => Promise<void>,
): Promise<number> {
  const startedAt = performance.now()
  const deadline = startedAt + durationMs
  let calls = 0
  await forEachInFlight(inFlight, inFlight, async () => {
    while (performance.now() < deadline) await run(calls++)
  })
  return calls / ((performance.now() - startedAt) / 1000)
}
