/** What shipping the tail costs: puts and commits as fast as they go, with it and without. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Metastore } from '../../src/index.ts'
import { Answers } from '../answers.ts'
import { type BenchContext, sized } from '../bench-context.ts'
import { Committer } from '../committer.ts'
import { callInFlight } from '../in-flight.ts'
import { Latencies } from '../latencies.ts'
import type { Case } from '../measure.ts'
import { Records, ROW_BYTES } from '../records.ts'
import { openStore } from '../stores.ts'

/** A fifth of the default, so that a round has several; the bytes are the same. */
const TAIL_INTERVAL_MS = 1000
const SMALL_INTERVAL_MS = 20
const HOUR_MS = 3_600_000
const EXTENTS_A_COMMIT = 10
const PARTITIONS_PER_DOMAIN = 100

interface Load {
  name: string
  unit: string
  inFlight: number
  calls: number
  operationBytes?: number
  /** @returns what makes the i-th call, and what checks them all afterwards */
  begin: (store: Metastore, calls: number, answers: Answers) => Promise<Calls>
}

interface Calls {
  call: (i: number) => Promise<void>
  check: () => Promise<void>
}

const LOADS: readonly Load[] = [
  {
    ...{ name: 'puts, 1024 in flight', unit: 'rows', inFlight: 1024, calls: 400_000 },
    operationBytes: ROW_BYTES,
    begin: async (store, calls, answers) => {
      const records = new Records(store)
      return {
        call: i => records.put(i),
        check: () => records.checkPuts(0, calls, answers),
      }
    },
  },
  {
    ...{
      name: 'commits of 10 extents, 64 in flight',
      unit: 'commits',
      inFlight: 64,
      calls: 30_000,
    },
    begin: async (store, calls, answers) => {
      const committer = new Committer(store, PARTITIONS_PER_DOMAIN, EXTENTS_A_COMMIT)
      await committer.preregister(calls)
      return {
        call: i => committer.commit(i, answers),
        check: () => committer.checkOffsets(answers),
      }
    },
  },
]

export async function runTail(context: BenchContext): Promise<void> {
  const intervalMs = sized(context, TAIL_INTERVAL_MS, SMALL_INTERVAL_MS)
  for (const load of LOADS) {
    await context.measure(tailCase(context, load, null), tailCase(context, load, intervalMs))
  }
}

function tailCase(context: BenchContext, load: Load, tailIntervalMs: number | null): Case {
  const { name, unit, inFlight, operationBytes } = load
  const folder = join(context.directory, 'round')
  const count = sized(context, load.calls, inFlight * 2)
  let store: Metastore
  return {
    ...{ workload: 'tail', unit, ...(operationBytes !== undefined && { operationBytes }) },
    variant: `${name}, ${tailIntervalMs === null ? 'no tail' : 'tail shipped'}`,
    prepare: async () => {
      store = await openStore(folder, { durability: 'os', tailIntervalMs })
    },
    run: async () => {
      const answers = new Answers()
      const latencies = new Latencies()
      const { call, check } = await load.begin(store, count, answers)
      await inBucket(store)
      const [cpu, before] = [process.cpuUsage(), await store.status()]
      const elapsedMs = await callInFlight(count, inFlight, latencies, call)
      // Its last part is paid for as well.
      await inBucket(store)
      const { user, system } = process.cpuUsage(cpu)
      const details = {
        [`CPU us of ${unit}`]: (user + system) / count,
        ...(await shippedSince(store, before, elapsedMs)),
      }
      await check()
      return { operations: count, elapsedMs, answers, latencies, details }
    },
    finish: async () => {
      await store.close()
      await rm(folder, { recursive: true })
    },
  }
}

/** With a tail: resolves when it has everything. */
async function inBucket(store: Metastore): Promise<void> {
  for (;;) {
    const { tail, recoveryPointMs } = await store.status()
    if (tail === null || recoveryPointMs === 0) return
    await sleep(10)
  }
}

async function shippedSince(
  store: Metastore,
  before: Awaited<ReturnType<Metastore['status']>>,
  elapsedMs: number,
): Promise<Record<string, number>> {
  const { tail, storage } = await store.status()
  if (tail === null || before.tail === null) return {}
  const bytes = tail.bytes - before.tail.bytes
  return {
    'puts an hour': ((tail.puts - before.tail.puts) * HOUR_MS) / elapsedMs,
    'MB an hour': (bytes / 1e6) * (HOUR_MS / elapsedMs),
    'bytes over rows': bytes / (storage.rowBytes - before.storage.rowBytes),
  }
}
