/**
 * Waymark's records() over all its domains, as something to load rows into. A batch belongs to one
 * topic partition, so batches go round a few in each domain.
 */
import type { TopicPartition } from '../src/index.ts'
import type { KeyValueStore, Value } from './peers/key-value-store.ts'
import { openStore, partitionsByDomain } from './stores.ts'

const PARTITIONS_PER_DOMAIN = 8

/** With the defaults, but for durability. */
export async function openWaymarkRecords(
  directory: string,
): Promise<Pick<KeyValueStore, 'putBatch' | 'gets' | 'close'>> {
  const metastore = await openStore(directory, {
    durability: 'os',
    memtableBytesMax: 32 * 1024 * 1024,
  })
  const records = metastore.records('bench')
  const partitions = transposed(partitionsByDomain(PARTITIONS_PER_DOMAIN))
  let batches = 0
  /** Which of the partitions has a row is not remembered: one of them does. */
  const get = async (key: Buffer): Promise<Value> => {
    const found = await Promise.all(partitions.map(at => records.get(at, key)))
    return found.find(value => value !== undefined)
  }
  return {
    gets: () => [{ variant: 'get', later: get }],
    putBatch: rows => {
      const at = partitions[batches++ % partitions.length]
      return records.batch(
        at,
        rows.map(({ key, value }) => ({ type: 'put', key, value })),
      )
    },
    close: () => metastore.close(),
  }
}

/** The first of each domain, then the second of each, and so on. */
function transposed(domains: readonly TopicPartition[][]): TopicPartition[] {
  return domains[0].flatMap((_, i) => domains.map(partitions => partitions[i]))
}
