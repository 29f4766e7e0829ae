/** Loading rows into empty stores, in batches of 1000, no fsync. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { getU32be } from '../../src/codec/keys.ts'
import { Answers } from '../answers.ts'
import type { BenchContext } from '../bench-context.ts'
import { callInFlight } from '../in-flight.ts'
import { Latencies } from '../latencies.ts'
import { type Case, WAYMARK } from '../measure.ts'
import type { KeyValueStore } from '../peers/key-value-store.ts'
import { Random } from '../random.ts'
import { BATCH_ROWS } from '../records.ts'
import { ROW_BYTES, ROW_ORDERS, type Row, type RowOrder, Rows } from '../rows.ts'
import { openWaymarkLevel } from '../waymark-level-store.ts'
import { openWaymarkRecords } from '../waymark-records-store.ts'

const SAMPLE_ROWS = 1000
/** Of a store that takes batches without being waited for: enough to keep its threads busy. */
const IN_FLIGHT = 8

type Loadable = Pick<KeyValueStore, 'putBatch' | 'gets' | 'close'>

interface Loader {
  store: string
  variant: string
  inFlight: number
  open: (directory: string) => Promise<Loadable>
}

export async function runLoad(context: BenchContext): Promise<void> {
  const rows = new Rows(context.rows)
  const awaited = 'batches one at a time'
  const loaders: Loader[] = [
    {
      ...{ store: WAYMARK, variant: `records().batch, ${IN_FLIGHT} in flight` },
      ...{ inFlight: IN_FLIGHT, open: openWaymarkRecords },
    },
    { store: WAYMARK, variant: `level: ${awaited}`, inFlight: 1, open: openWaymarkLevel },
    ...context.peers.map(({ name, open }) => ({
      ...{ store: name, variant: awaited, inFlight: 1, open },
    })),
  ]
  for (const order of ROW_ORDERS) {
    await context.measure(...loaders.map(loader => loadCase(context, loader, rows, order)))
  }
}

function loadCase(context: BenchContext, loader: Loader, rows: Rows, order: RowOrder): Case {
  const { store: name, variant, inFlight, open } = loader
  const directory = join(context.directory, 'store')
  const numbers = rows.order(order)
  const batches = Math.ceil(rows.count / BATCH_ROWS)
  let store: Loadable
  const batch = (i: number): Row[] => {
    const from = i * BATCH_ROWS
    return Array.from(numbers.subarray(from, from + BATCH_ROWS), row => rows.row(row))
  }
  return {
    ...{ workload: 'load', store: name, variant: `${variant}, ${order} order` },
    ...{ unit: 'rows', operationBytes: ROW_BYTES },
    prepare: async () => {
      await mkdir(directory)
      store = await open(directory)
    },
    run: async () => {
      const put = async (i: number): Promise<void> => store.putBatch(batch(i))
      const elapsedMs = await callInFlight(batches, inFlight, new Latencies(), put)
      return { operations: rows.count, elapsedMs, answers: await sample(store, rows) }
    },
    finish: async () => {
      await store.close()
      await rm(directory, { recursive: true })
    },
  }
}

async function sample(store: Loadable, rows: Rows): Promise<Answers> {
  const random = new Random(123_456_789)
  const answers = new Answers()
  const [get] = store.gets()
  for (let i = 0; i < SAMPLE_ROWS; i++) {
    const row = random.below(rows.count)
    const key = rows.key(row)
    const value = 'now' in get ? get.now(key) : await get.later(key)
    answers.expect(value === undefined ? -1 : getU32be(value, 0), row)
  }
  return answers
}
