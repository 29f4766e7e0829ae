/** Metastores for benches: in a folder, with a directory as the bucket. */
import { join } from 'node:path'
import { Metastore, type MetastoreOptions, type TopicPartition } from '../src/index.ts'
import { Router } from '../src/main/router.ts'

export const DOMAINS = 8
/** Large enough that nothing is flushed unless a bench says so. */
export const MEMTABLE_BYTES_MAX: number = 512 * 1024 * 1024

export function openStore(folder: string, options: Partial<MetastoreOptions>): Promise<Metastore> {
  return Metastore.open({
    dataDir: join(folder, 'data'),
    objectStore: `file:${join(folder, 'bucket')}`,
    partitions: DOMAINS,
    memtableBytesMax: MEMTABLE_BYTES_MAX,
    ...options,
  })
}

/**
 * For each domain, `perDomain` topic partitions that belong to it, after the first `skipped` of
 * them. The same in every run.
 */
export function partitionsByDomain(perDomain: number, skipped = 0): TopicPartition[][] {
  const router = new Router(DOMAINS)
  const domains: TopicPartition[][] = Array.from({ length: DOMAINS }, () => [])
  const wanted = skipped + perDomain
  for (let i = 0; domains.some(partitions => partitions.length < wanted); i++) {
    const topicId = `be9c4ba0-0000-4000-8000-${Math.floor(i / 10)
      .toString(16)
      .padStart(12, '0')}`
    const topicPartition = { topicId, partition: i % 10 }
    const partitions = domains[router.route(topicPartition, 'topicPartition').domain]
    if (partitions.length < wanted) partitions.push(topicPartition)
  }
  return domains.map(partitions => partitions.slice(skipped))
}
