/** What status() says, from the parts that know it. */
import type { Manifest } from '../codec/manifest.ts'
import type { LevelStatus, PartitionStatus, StorageStatus } from '../shared/api.ts'
import type { DomainHandle } from './domain-handle.ts'
import type { RaftNode } from './replication/raft-node.ts'
import type { CachedBlocks } from './storage/cached-blocks.ts'
import type { Storage } from './storage/storage.ts'
import type { TableStore } from './storage/table-store.ts'

export function partitionStatus(
  domain: DomainHandle,
  log: RaftNode | undefined,
  worker: number,
  storage: Storage | undefined,
): PartitionStatus {
  const { number } = domain
  return {
    partition: number,
    role: log?.roleOf(number) ?? 'follower',
    leader: log?.leader(number) || null,
    term: log?.term(number) ?? 0,
    worker,
    committedSequence: domain.visibleSequence,
    flushedSequence: domain.manifest?.lastSequence ?? 0,
    shippedSequence: storage?.tailOf(number)?.shippedSequence ?? null,
    recoveryPointMs: recoveryPointMs(domain, storage),
    memtableBytes: domain.memtables.usedBytes,
    frozenMemtables: domain.memtables.frozen.length,
    logBytes: log?.groupBytes(domain.number) ?? 0,
    levels: levelsOf(domain.manifest),
  }
}

/** null: whoever leads the domain ships its tail, and knows. */
function recoveryPointMs(domain: DomainHandle, storage: Storage | undefined): number | null {
  const tail = storage?.tailOf(domain.number)
  if (tail !== undefined) return tail.recoveryPointMs
  if (storage?.tailStatus !== null && !domain.isLeading) return null
  const { unflushedSince } = domain.memtables
  return unflushedSince === undefined ? 0 : Math.max(1, Date.now() - unflushedSince)
}

export function storageStatus(
  domains: readonly DomainHandle[],
  tables: TableStore,
  blocks: readonly CachedBlocks[],
  storage: Storage | undefined,
): StorageStatus {
  const written = storage?.writtenBytes ?? { flushed: 0, compacted: 0 }
  const stats = blocks.map(cache => cache.stats)
  return {
    rowBytes: domains.reduce((sum, domain) => sum + domain.proposedBytes, 0),
    flushedBytes: written.flushed,
    compactedBytes: written.compacted,
    cacheBytes: tables.cache.sizeBytes,
    cacheEvictions: tables.cache.evictions,
    fetches: tables.fetches,
    fetchedBytes: tables.fetchedBytes,
    damagedReads: tables.damagedReads,
    tableMemoryBytes: tables.memoryBytes,
    blockHits: stats.reduce((sum, { hits }) => sum + hits, 0),
    blockMisses: stats.reduce((sum, { misses }) => sum + misses, 0),
  }
}

/** Levels that have tables, top down. */
function levelsOf(manifest: Manifest | null): LevelStatus[] {
  const levels: LevelStatus[] = []
  for (const { level, sizeBytes } of manifest?.tables ?? []) {
    let status = levels.find(known => known.level === level)
    if (status === undefined) {
      status = { level, tables: 0, sizeBytes: 0 }
      levels.push(status)
    }
    status.tables++
    status.sizeBytes += sizeBytes
  }
  return levels.sort((a, b) => a.level - b.level)
}
