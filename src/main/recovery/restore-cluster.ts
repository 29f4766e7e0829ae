/**
 * Restores a cluster from the bucket alone, as a new one: its own id, new domain uuids, and in each
 * domain a first manifest that refers to the ancestor's tables. A source that is still alive writes
 * under other names, so neither disturbs the other. The order of steps makes a crash harmless:
 * dataDir's cluster.json, written last, is what makes the rest count.
 */
import { clusterKey, committedKey, manifestKey } from '../../codec/bucket-layout.ts'
import { type ClusterFile, decodeCluster, encodeCluster } from '../../codec/cluster-file.ts'
import { decodeCommitted } from '../../codec/committed-pointer.ts'
import { conflict, corruption, invalidRequest } from '../../codec/errors.ts'
import { decodeManifest, encodeManifest, type Manifest } from '../../codec/manifest.ts'
import type { IoPool } from '../io-pool.ts'
import { DiskLog } from '../log/disk-log.ts'
import type { Logger } from '../options.ts'
import { ENTRY_KIND } from '../replication/replicated-log.ts'
import { claimCluster, newCluster } from './create-cluster.ts'
import type { DataDir } from './data-dir.ts'

export interface RestoreOptions {
  sourceId: string
  /** Of the new cluster; default a random one. */
  clusterId: string | undefined
  /** Must be the source's, if given: the spread of partitions over domains cannot change. */
  partitions: number | undefined
  durability: 'fsync' | 'os'
  logger: Logger
  now: () => number
}

/** @throws INVALID_REQUEST for a source that is not there, CORRUPTION for one that is not whole */
export async function restoreCluster(
  dataDir: DataDir,
  io: IoPool,
  options: RestoreOptions,
): Promise<ClusterFile> {
  const source = await readSource(io, options.sourceId)
  if (options.partitions !== undefined && options.partitions !== source.domains.length) {
    throw invalidRequest(
      `partitions is ${options.partitions}; cluster ${source.clusterId} has ` +
        `${source.domains.length}`,
    )
  }
  const ancestors = await Promise.all(source.domains.map(uuid => readCommitted(io, uuid)))
  const cluster = newCluster(options.clusterId, source.domains.length, options.now())
  await dataDir.clear()
  await dataDir.writeIntent(encodeCluster(cluster))
  await claimCluster(io, cluster)
  const manifests = ancestors.map((ancestor, i) =>
    ancestor === null ? null : adopt(ancestor, cluster, cluster.domains[i], options.now()),
  )
  for (const manifest of manifests) if (manifest !== null) await publish(io, manifest)
  await writeLog(dataDir, manifests, options)
  await dataDir.finishIntent()
  for (const [domain, manifest] of manifests.entries()) {
    const { lastSequence = 0, createdAt = null } = ancestors[domain] ?? {}
    options.logger.info(
      { domain, lastSequence, createdAt, tables: manifest?.tables.length ?? 0 },
      'restored a metastore partition from its newest committed manifest',
    )
  }
  return cluster
}

async function readSource(io: IoPool, clusterId: string): Promise<ClusterFile> {
  const key = clusterKey(clusterId)
  const bytes = await io.run({ type: 'read', key })
  if (bytes !== null) return decodeCluster(bytes, key)
  const present = await io.run({ type: 'listClusters' })
  throw invalidRequest(
    `from.clusterId ${clusterId} is not in the bucket; it has ` +
      (present.join(', ') || 'no cluster'),
    { clusterIds: present },
  )
}

/** The newest committed manifest of a domain; null when it never flushed. */
async function readCommitted(io: IoPool, domain: string): Promise<Manifest | null> {
  const key = committedKey(domain)
  const pointer = await io.run({ type: 'read', key })
  if (pointer === null) return null
  const name = manifestKey(decodeCommitted(pointer, key))
  const bytes = await io.run({ type: 'read', key: name })
  if (bytes === null) throw corruption(`${name} is not in the bucket`, { file: name })
  return decodeManifest(bytes, name)
}

/** The first manifest of a domain that goes on where its ancestor is. */
function adopt(ancestor: Manifest, cluster: ClusterFile, domain: string, now: number): Manifest {
  return {
    ...ancestor,
    clusterId: cluster.clusterId,
    domain,
    // Names in the bucket never fall, also over restores.
    epoch: ancestor.epoch + 1,
    version: ancestor.version + 1,
    parent: { domain: ancestor.domain, epoch: ancestor.epoch, version: ancestor.version },
    lastIndex: 0,
    createdAt: now,
  }
}

async function publish(io: IoPool, manifest: Manifest): Promise<void> {
  const bytes = encodeManifest(manifest)
  const key = manifestKey(manifest)
  if ((await io.run({ type: 'create', key, bytes })) === 'exists') {
    throw conflict(`${key} is already in the bucket`)
  }
  const { domain, epoch, version } = manifest
  await io.run({ type: 'moveCommitted', manifest: { domain, epoch, version } })
}

/** A log in which each domain's first entry is its manifest. */
async function writeLog(
  dataDir: DataDir,
  manifests: readonly (Manifest | null)[],
  { durability, logger }: RestoreOptions,
): Promise<void> {
  const log = await DiskLog.open({
    directory: dataDir.logDirectory,
    durability,
    logger,
    onFatal: error => logger.error({ err: error }, 'the log failed during a restore'),
  })
  try {
    for (const [group, manifest] of manifests.entries()) {
      if (manifest === null) continue
      log.setHardState(group, manifest.epoch, 0)
      log.append(group, manifest.epoch, 1, ENTRY_KIND.manifest, encodeManifest(manifest))
    }
    log.flush()
    await log.drained()
  } finally {
    await log.close()
  }
}
