/** Puts a finished table into the bucket, and through the local cache. */
import { tableKey } from '../../codec/bucket-layout.ts'
import { MetastoreError } from '../../codec/errors.ts'
import { putOnce } from '../../shared/conditional-put.ts'
import type { BuiltTable } from '../../shared/io-tasks.ts'
import { TableMemory } from '../../shared/tables/table-memory.ts'
import type { FetchContext } from './table-fetch.ts'
import type { FinishedTable } from './table-output.ts'

/** @throws CONFLICT when somebody else's table has the name; whatever the bucket fails with */
export async function storeTable(
  { bucket, cache, deadlineMs }: FetchContext,
  { description, bytes }: FinishedTable,
): Promise<BuiltTable> {
  const key = tableKey(description)
  // First: were the name somebody else's, the cache file of that table must not be touched.
  if ((await putOnce(bucket, key, bytes, { deadlineMs })) === 'exists') {
    throw new MetastoreError('CONFLICT', `${key} is already in the bucket: another writer?`)
  }
  const isCached = await cache.write(key, bytes)
  const source = {
    sizeBytes: bytes.length,
    read: (offset: number, length: number) => bytes.subarray(offset, offset + length),
  }
  const { memory } = TableMemory.open(source, key)
  return { description, memory, cachedBytes: isCached ? bytes.length : 0 }
}
