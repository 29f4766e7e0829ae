/** Inserts into one memtable, and reads of it by its own thread and by another one. */
import { Memtable } from '../../src/shared/memtable.ts'
import type { Answers } from '../answers.ts'
import { type BenchContext, sized } from '../bench-context.ts'
import type { Round } from '../measure.ts'
import { MemtableReader } from '../memtable-reader.ts'
import { type InsertOrder, insertOrder, MemtableRows, type ReadKind } from '../memtable-rows.ts'

const ORDERS: readonly InsertOrder[] = ['random', 'partition', 'round robin']
const READS: readonly ReadKind[] = ['gets', 'seeks']
/** Room for a row, its links, and its part of indexes that were outgrown. */
const ROW_BYTES_MAX = 300

export async function runMemtable(context: BenchContext): Promise<void> {
  const rows = sized(context, 1_000_000, 5_000)
  const partitionCounts = context.isSmall ? [50] : [1000, 5000]
  const memory = newMemory(memoryRows(rows, context.rounds))
  // The system hands out a page when it is first written, which takes longer than using it.
  new Uint8Array(memory).fill(0)
  for (const partitions of partitionCounts) {
    const table = new MemtableRows(partitions)
    for (const order of ORDERS) await inserts(context, table, order, rows, partitions, memory)
    await reads(context, table, rows, partitions, memory)
  }
  await inserts(context, new MemtableRows(partitionCounts[0]), 'random', rows, partitionCounts[0])
}

/** Those at the start of the reads, and what is inserted during them. */
function memoryRows(rows: number, rounds: number): number {
  const insertingCases = READS.length + 2
  return rows + (rows / 10) * rounds * insertingCases
}

function newMemory(rows: number): SharedArrayBuffer {
  return new SharedArrayBuffer(rows * ROW_BYTES_MAX + 1024 * 1024)
}

/** Makes the memory of the memtable before it an empty memtable. */
function reusedMemtable(memory: SharedArrayBuffer): Memtable {
  new Uint8Array(memory, 0, new Memtable(memory).usedBytes).fill(0)
  return new Memtable(memory)
}

/** @param memory to use; without it each round gets fresh memory, as each memtable of a store */
async function inserts(
  { measure }: BenchContext,
  table: MemtableRows,
  kind: InsertOrder,
  rows: number,
  partitions: number,
  memory?: SharedArrayBuffer,
): Promise<void> {
  const order = insertOrder(kind, rows, partitions)
  const next = (): Memtable =>
    memory === undefined ? new Memtable(newMemory(rows)) : reusedMemtable(memory)
  let memtable = next()
  await measure({
    workload: 'memtable-insert',
    variant: `${partitions} partitions, ${kind}${memory === undefined ? ', fresh memory' : ''}`,
    unit: 'rows',
    prepare: () => {
      memtable = next()
    },
    run: () => {
      const { elapsedMs } = clocked(() => table.insert(memtable, order, 1))
      const answers = table.read(memtable, 'gets', rows, rows / 10)
      return { operations: rows, elapsedMs, answers }
    },
  })
}

async function reads(
  context: BenchContext,
  table: MemtableRows,
  rows: number,
  partitions: number,
  memory: SharedArrayBuffer,
): Promise<void> {
  const { measure } = context
  const readCount = rows / 4
  const extraRows = rows / 10
  const memtable = reusedMemtable(memory)
  table.insert(memtable, insertOrder('random', rows, partitions), 1)
  const reader = new MemtableReader(memtable.memory, partitions)
  const random = insertOrder('random', extraRows, partitions)
  let rowCount = rows
  /** Rows that are not there yet, in random order. */
  const insertMore = (): number => {
    const order = random.map(row => row + rowCount)
    const { elapsedMs } = clocked(() => table.insert(memtable, order, rowCount + 1))
    rowCount += extraRows
    return elapsedMs
  }
  const unbounded = Number.MAX_SAFE_INTEGER
  for (const kind of READS) {
    const common = { workload: `memtable-${kind}`, unit: kind }
    const run = (): Round => {
      const { result: answers, elapsedMs } = clocked(
        (): Answers => table.read(memtable, kind, rows, readCount),
      )
      return { operations: readCount, elapsedMs, answers }
    }
    await measure({ ...common, variant: `${partitions} partitions, owner`, run })
    await measure({
      ...common,
      variant: `${partitions} partitions, other thread, owner idle`,
      run: () => reader.read({ kind, rowCount: rows, count: readCount }),
    })
  }
  for (const kind of READS) {
    await measure({
      ...{ workload: `memtable-${kind}`, unit: kind },
      variant: `${partitions} partitions, other thread, owner inserts`,
      run: () => reader.read({ kind, rowCount: rows, count: unbounded }, insertMore),
    })
  }
  const more = { workload: 'memtable-insert', unit: 'rows' }
  await measure({
    ...{ ...more, variant: `${partitions} partitions, a tenth more, alone` },
    run: () => {
      const elapsedMs = insertMore()
      const answers = table.read(memtable, 'gets', rowCount, extraRows)
      return { operations: extraRows, elapsedMs, answers }
    },
  })
  await measure({
    ...{ ...more, variant: `${partitions} partitions, a tenth more, other thread seeks` },
    run: async () => {
      let elapsedMs = 0
      const request = { kind: 'seeks', rowCount: rows, count: unbounded } as const
      const { answers } = await reader.read(request, () => {
        elapsedMs = insertMore()
      })
      return { operations: extraRows, elapsedMs, answers }
    },
  })
  await reader.stop()
}

function clocked<T>(run: () => T): { result: T; elapsedMs: number } {
  const startedAt = performance.now()
  const result = run()
  return { result, elapsedMs: performance.now() - startedAt }
}
