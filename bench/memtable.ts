/** Inserts into one memtable, and reads of it by its own thread and by another one. */
import { Memtable } from '../src/shared/memtable.ts'
import type { Answers } from './answers.ts'
import { type BenchContext, sized } from './bench-context.ts'
import type { Round } from './measure.ts'
import { MemtableReader } from './memtable-reader.ts'
import { type InsertOrder, insertOrder, MemtableRows, type ReadKind } from './memtable-rows.ts'

const ORDERS: readonly InsertOrder[] = ['random', 'partition', 'round robin']
const READS: readonly ReadKind[] = ['gets', 'seeks']
/** Room for a row, its links, and its part of indexes that were outgrown. */
const ROW_BYTES_MAX = 400

export async function runMemtable(context: BenchContext): Promise<void> {
  const rows = sized(context, 1_000_000, 5_000)
  const partitionCounts = context.isSmall ? [50] : [1000, 5000]
  for (const partitions of partitionCounts) {
    const table = new MemtableRows(partitions)
    for (const order of ORDERS) await inserts(context, table, order, rows, partitions)
    await reads(context, table, rows, partitions)
  }
}

function newMemtable(rows: number): Memtable {
  return new Memtable(new SharedArrayBuffer(rows * ROW_BYTES_MAX + 1024 * 1024))
}

async function inserts(
  { measure }: BenchContext,
  table: MemtableRows,
  kind: InsertOrder,
  rows: number,
  partitions: number,
): Promise<void> {
  const order = insertOrder(kind, rows, partitions)
  let memtable = newMemtable(rows)
  await measure({
    workload: 'memtable-insert',
    variant: `${partitions} partitions, order ${kind}`,
    unit: 'rows',
    prepare: () => {
      memtable = newMemtable(rows)
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
): Promise<void> {
  const { rounds, measure } = context
  const extraRows = rows / 10
  const busyCases = READS.length + 1
  const memtable = newMemtable(rows + extraRows * rounds * busyCases)
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
        (): Answers => table.read(memtable, kind, rows, rows),
      )
      return { operations: rows, elapsedMs, answers }
    }
    await measure({ ...common, variant: `${partitions} partitions, owner`, run })
    await measure({
      ...common,
      variant: `${partitions} partitions, other thread, owner idle`,
      run: () => reader.read({ kind, rowCount: rows, count: rows }),
    })
  }
  for (const kind of READS) {
    await measure({
      ...{ workload: `memtable-${kind}`, unit: kind },
      variant: `${partitions} partitions, other thread, owner inserts`,
      run: () => reader.read({ kind, rowCount: rows, count: unbounded }, insertMore),
    })
  }
  await measure({
    ...{ workload: 'memtable-insert', unit: 'rows' },
    variant: `${partitions} partitions, random, other thread seeks`,
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
