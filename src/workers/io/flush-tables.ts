/** Turns a frozen memtable into tables. Runs in an I/O thread, on the memory itself: no copy. */
import type { TableNaming } from '../../shared/io-tasks.ts'
import type { Memtable } from '../../shared/memtable.ts'
import { MemtableVersions } from '../../shared/memtable-versions.ts'
import { type FinishedTable, TableOutput } from './table-output.ts'
import { VersionFilter } from './version-filter.ts'

export interface FlushJob extends TableNaming {
  /** No row of a later batch is in the tables. */
  lastSequence: number
  /** Live ones, whose versions are kept. */
  snapshots: readonly number[]
}

/** The versions that somebody can see, deletes included, in order. */
export function* flushTables(
  memtable: Memtable,
  job: FlushJob,
  output: TableOutput = new TableOutput(job, 0),
): Generator<FinishedTable> {
  const versions = new MemtableVersions(memtable, job.lastSequence)
  const filter = new VersionFilter(job.snapshots)
  for (; versions.valid; versions.next()) {
    if (!versions.isSameKey) {
      filter.beginKey()
      if (output.isFull) yield* finished(output)
    }
    // A delete stays: tables below may hold the key.
    if (filter.keeps(versions.sequence, false)) {
      output.add(versions.key, versions.sequence, versions.isDelete, versions.value)
    }
  }
  yield* finished(output)
}

function* finished(output: TableOutput): Generator<FinishedTable> {
  const table = output.finish()
  if (table !== undefined) yield table
}
