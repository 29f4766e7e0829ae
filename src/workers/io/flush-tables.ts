/** Turns a frozen memtable into tables. Runs in an I/O thread, on the memory itself: no copy. */
import type { TableNaming } from '../../shared/io-tasks.ts'
import type { Memtable } from '../../shared/memtable.ts'
import { MemtableVersions } from '../../shared/memtable-versions.ts'
import { type FinishedTable, TableOutput } from './table-output.ts'
import { VersionFilter } from './version-filter.ts'

/** Some tenths of a millisecond. */
const ROWS_A_BREATH = 256

export interface FlushJob extends TableNaming {
  /** No row of a later batch is in the tables. */
  lastSequence: number
  /** Live ones, whose versions are kept. */
  snapshots: readonly number[]
}

/**
 * The versions that somebody can see, deletes included, in order.
 * @param store puts a finished table where it belongs, before the next one is begun
 * @param breathe gives the thread's other tasks a turn now and then; called every few rows
 */
export async function flushTables(
  memtable: Memtable,
  job: FlushJob,
  store: (table: FinishedTable) => Promise<void>,
  breathe: () => Promise<void> | undefined,
  output: TableOutput = new TableOutput(job, 0),
): Promise<void> {
  const versions = new MemtableVersions(memtable, job.lastSequence)
  const filter = new VersionFilter(job.snapshots)
  let rowsToBreath = ROWS_A_BREATH
  for (; versions.valid; versions.next()) {
    if (--rowsToBreath === 0) {
      rowsToBreath = ROWS_A_BREATH
      await breathe()
    }
    if (!versions.isSameKey) {
      filter.beginKey()
      if (output.isFull) await finish(output, store)
    }
    // A delete stays: tables below may hold the key.
    if (filter.keeps(versions.sequence, false)) {
      output.add(versions.key, versions.sequence, versions.isDelete, versions.value)
    }
  }
  await finish(output, store)
}

async function finish(
  output: TableOutput,
  store: (table: FinishedTable) => Promise<void>,
): Promise<void> {
  const table = output.finish()
  if (table !== undefined) await store(table)
}
