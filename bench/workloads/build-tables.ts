/** Tables made of one memtable, on this thread: the work of a flush without files. */
import { KeyBuilder, putU32be, TP_BYTES } from '../../src/codec/keys.ts'
import { UUID_BYTES } from '../../src/codec/uuid.ts'
import { Memtable } from '../../src/shared/memtable.ts'
import { type FlushJob, flushTables } from '../../src/workers/io/flush-tables.ts'
import type { FinishedTable } from '../../src/workers/io/table-output.ts'
import { Answers } from '../answers.ts'
import type { BenchContext } from '../bench-context.ts'
import { ROW_BYTES, recordKey } from '../records.ts'
import { ValueMaker } from '../values.ts'

const PARTITIONS = 64
const MEMTABLE_ROW_BYTES = 400
const COMPRESSIONS = ['lz4', 'none'] as const
const KIND: Uint8Array = new TextEncoder().encode('bench')

export async function buildBench(context: BenchContext, rows: number): Promise<void> {
  const memtable = fill(rows)
  for (const compression of COMPRESSIONS) {
    const job: FlushJob = {
      domain: 'be9c4ba0-0000-4000-8000-000000000000',
      epoch: 1,
      firstTableId: 1,
      lastTableId: 64,
      lastSequence: rows,
      snapshots: [],
      compression,
      createdAt: 0,
    }
    await context.measure({
      workload: 'flush',
      variant: `tables in memory, one thread, compression ${compression}`,
      unit: 'rows',
      operationBytes: ROW_BYTES,
      run: async () => {
        let builtRows = 0
        const count = async ({ description }: FinishedTable): Promise<void> => {
          builtRows += description.rows
        }
        const startedAt = performance.now()
        await flushTables(memtable, job, count, () => undefined)
        const elapsedMs = performance.now() - startedAt
        const answers = new Answers()
        answers.expect(builtRows, rows)
        return { operations: rows, elapsedMs, answers }
      },
    })
  }
}

function fill(rows: number): Memtable {
  const memtable = new Memtable(new SharedArrayBuffer(rows * MEMTABLE_ROW_BYTES + 1024 * 1024))
  const keys = new KeyBuilder()
  const values = new ValueMaker()
  const tp = new Uint8Array(TP_BYTES)
  for (let row = 0; row < rows; row++) {
    putU32be(tp, UUID_BYTES, row % PARTITIONS)
    const key = keys.record(tp, KIND, recordKey(row))
    const value = values.of(row)
    if (!memtable.insert(key, 0, key.length, row + 1, false, value, 0, value.length)) {
      throw new Error('the memtable is too small for the bench')
    }
  }
  return memtable
}
