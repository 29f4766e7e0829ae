/**
 * Reads of all stores, one caller: first as they are after loading, with the rows in memtables
 * where a store has such, then settled: everything in tables.
 */
import { join } from 'node:path'
import type { BenchContext } from '../bench-context.ts'
import { KeyValueReads } from '../key-value-reads.ts'
import { LoadedStores } from '../loaded-stores.ts'
import { LookupExtents } from '../lookup-extents.ts'
import { Rows } from '../rows.ts'

/** Workloads that read from tables. */
const SETTLED = ['lookup-table', 'get', 'miss', 'scan10', 'scan100'] as const

export async function runReads(context: BenchContext): Promise<void> {
  const rows = new Rows(context.rows)
  const wantsLookups = context.wants('lookup-memtable') || context.wants('lookup-table')
  await using stores = await LoadedStores.open(context, rows)
  await using extents = wantsLookups
    ? await LookupExtents.open(join(context.directory, 'lookups'), context)
    : undefined
  const reads = new KeyValueReads(context, rows, stores)
  const run = async (state: string, lookup: 'lookup-memtable' | 'lookup-table'): Promise<void> => {
    if (extents !== undefined && context.wants(lookup)) {
      await context.measure(...extents.cases(context, lookup), ...reads.seeks(lookup))
    }
    if (context.wants('get')) await context.measure(...reads.gets(state))
    if (context.wants('miss')) await context.measure(...reads.misses(state))
    if (context.wants('scan10')) await context.measure(...reads.scans(state, 'scan10', 10))
    if (context.wants('scan100')) await context.measure(...reads.scans(state, 'scan100', 100))
  }
  await run('as loaded', 'lookup-memtable')
  const wantsTables = SETTLED.some(workload => context.wants(workload))
  if (!wantsTables) return
  await stores.settle()
  await extents?.settle()
  await run('settled', 'lookup-table')
}
