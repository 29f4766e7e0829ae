/**
 * Restores a cluster from the bucket alone, as a new one: its own id, new domain uuids, in each
 * domain a first manifest that refers to the ancestor's tables, and behind it in the log what the
 * tail has. A source that is still alive writes under other names, so neither disturbs the other.
 * The order of steps makes a crash harmless (docs/bucket-layout.md): dataDir's cluster.json,
 * written last, is what makes the rest count.
 */
import { committedKey, manifestKey } from '../../codec/bucket-layout.ts'
import { type ClusterFile, encodeCluster } from '../../codec/cluster-file.ts'
import { conflict, invalidRequest, MetastoreError } from '../../codec/errors.ts'
import { encodeManifest, type Manifest, manifestName } from '../../codec/manifest.ts'
import type { RestoreReport } from '../../shared/api.ts'
import type { IoRunner } from '../io-pool.ts'
import type { Logger } from '../logger.ts'
import { inParallel } from '../slots.ts'
import { chooserOf } from './choose-state.ts'
import { claimCluster, expectClaimable, newCluster } from './create-cluster.ts'
import type { DataDir } from './data-dir.ts'
import { type FoundState, findState, noState } from './found-state.ts'
import { putOrigins } from './put-origins.ts'
import { writeRestoredLog } from './restore-log.ts'
import { logReport, reportOf } from './restore-report.ts'
import type { RestoreRequest } from './restore-request.ts'
import { expectTables, RestoreSource } from './restore-source.ts'
import { TailWalk } from './tail-walk.ts'

/** Of which the sizes of 32 tables each may be asked for at a time. */
const DOMAINS_AT_ONCE = 4
const PUBLISHED_AT_ONCE = 16

export interface RestoreOptions {
  request: RestoreRequest
  /** Of the new cluster; default a random one. */
  clusterId: string | undefined
  /** Must be the source's, if given: the spread of partitions over domains cannot change. */
  partitions: number | undefined
  /** This node in a cluster of several, whose only voter it is at first; undefined: of one. */
  nodeId: number | undefined
  durability: 'fsync' | 'os'
  logger: Logger
  now: () => number
}

export interface RestoredCluster {
  readonly cluster: ClusterFile
  readonly report: RestoreReport
}

/**
 * Makes the new cluster, or goes on with a restore into the same dataDir that broke off.
 * @throws INVALID_REQUEST for what is not there to be restored; CORRUPTION, details {file, domain},
 *   for what is not whole; CONFLICT when the bucket has another cluster of the id wanted
 */
export async function restoreCluster(
  dataDir: DataDir,
  io: IoRunner,
  options: RestoreOptions,
): Promise<RestoredCluster> {
  const { request, durability, logger } = options
  const source = await RestoreSource.open(io, request.sourceId)
  const { domains } = source.cluster
  if (options.partitions !== undefined && options.partitions !== domains.length) {
    throw invalidRequest(
      `partitions is ${options.partitions}; cluster ${request.sourceId} has ${domains.length}`,
    )
  }
  const found = await findStates(source, request)
  const cluster = await beginCluster(dataDir, io, options, domains.length)
  const groups = found.map((state, number) => groupOf(source, state, cluster, number, request))
  await writeRestoredLog(groups, { directory: dataDir.logDirectory, durability, logger })
  const origins = groups.map(({ domain, tail: { reached } }, number) => {
    return { domain, ancestor: domains[number], sequence: reached }
  })
  await putOrigins(io, origins)
  await claimCluster(io, cluster)
  await inParallel(groups, PUBLISHED_AT_ONCE, of => publish(io, of.domain, of.manifest))
  // A source that is alive may have collected something before it could see who refers to it.
  await inParallel(groups, DOMAINS_AT_ONCE, async ({ manifest }) => {
    if (manifest) await expectTables(io, manifest.tables)
  })
  if (options.nodeId !== undefined) {
    await dataDir.writeNode({ nodeId: options.nodeId, isFounder: true })
  }
  await dataDir.finishIntent()
  const report = reportOf(request, cluster, found, groups)
  logReport(report, logger)
  return { cluster, report }
}

/** @throws INVALID_REQUEST when a domain, or with `partial` every one, has no state that old */
async function findStates(source: RestoreSource, request: RestoreRequest): Promise<FoundState[]> {
  const choose = await chooserOf(source, request.at)
  const refusals: MetastoreError[] = []
  const { domains } = source.cluster
  const found = await inParallel(domains, DOMAINS_AT_ONCE, async (domain, number) => {
    try {
      return await inDomain(number, () => findState(source, domain, choose))
    } catch (error) {
      if (!(error instanceof MetastoreError)) throw error
      const isTooOld = error.code === 'INVALID_REQUEST'
      if (isTooOld) refusals.push(error)
      else if (error.code !== 'CORRUPTION' || !request.isPartial) throw error
      return noState(domain, error.message)
    }
  })
  if (refusals.length > 0 && (!request.isPartial || refusals.length === found.length)) {
    const oldest = (error: MetastoreError): number =>
      (error.details as { oldestTimestamp: number }).oldestTimestamp
    // From then on every domain has a state.
    throw refusals.reduce((a, b) => (oldest(b) > oldest(a) ? b : a))
  }
  return found
}

/** Adds to a failure which domain it is about. */
async function inDomain<T>(number: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { code, message, details } = error as MetastoreError
    if (code !== 'CORRUPTION' && code !== 'INVALID_REQUEST') throw error
    throw new MetastoreError(code, `metastore partition ${number}: ${message}`, {
      details: { ...(details as object | undefined), domain: number },
      cause: error,
    })
  }
}

/** Empties dataDir and notes there what is about to be made. */
async function beginCluster(
  dataDir: DataDir,
  io: IoRunner,
  { clusterId, nodeId, now }: RestoreOptions,
  partitions: number,
): Promise<ClusterFile> {
  const founders = nodeId === undefined ? {} : { founders: [nodeId] }
  const wanted: ClusterFile = { ...newCluster(clusterId, partitions, now()), ...founders }
  const begun = await dataDir.readIntent()
  const isSame =
    begun?.clusterId === wanted.clusterId &&
    begun.domains.length === partitions &&
    String(begun.founders) === String(wanted.founders)
  const cluster = isSame ? begun : wanted
  await expectClaimable(io, cluster)
  await dataDir.clear()
  await dataDir.writeIntent(encodeCluster(cluster))
  return cluster
}

interface Group {
  readonly domain: string
  readonly epoch: number
  readonly manifest: Manifest | null
  readonly tail: TailWalk
}

function groupOf(
  source: RestoreSource,
  { manifest, newest, tails, tailUntil }: FoundState,
  cluster: ClusterFile,
  number: number,
  { isPartial }: RestoreRequest,
): Group {
  const domain = cluster.domains[number]
  // Names in the bucket never fall, also over restores.
  const epochs = [manifest, newest, ...tails].map(name => name?.epoch ?? 0)
  const epoch = epochs.reduce((a, b) => Math.max(a, b)) + 1
  const tail = new TailWalk({
    names: tails,
    after: manifest?.lastSequence ?? 0,
    until: tailUntil,
    passesDamage: isPartial,
    read: name => inDomain(number, () => source.tail(name)),
  })
  return { domain, epoch, tail, manifest: manifest && adopt(manifest, cluster, domain, epoch) }
}

/** The first manifest of a domain that goes on where its ancestor is. */
function adopt(
  ancestor: Manifest,
  { clusterId, createdAt }: ClusterFile,
  domain: string,
  epoch: number,
): Manifest {
  return {
    ...ancestor,
    ...{ clusterId, domain, epoch },
    version: ancestor.version + 1,
    parent: { domain: ancestor.domain, epoch: ancestor.epoch, version: ancestor.version },
    lastIndex: 0,
    // Nobody can ask for a state of the cluster before its first one; and a repetition has to come
    // to the same bytes.
    createdAt,
  }
}

/** @throws CONFLICT when an attempt before this one has published something else */
async function publish(io: IoRunner, domain: string, manifest: Manifest | null): Promise<void> {
  if (manifest === null) {
    const key = committedKey(domain)
    if ((await io.run({ type: 'read', key })) !== null) throw publishedBefore(key)
    return
  }
  const bytes = encodeManifest(manifest)
  const key = manifestKey(manifest)
  if ((await io.run({ type: 'create', key, bytes })) === 'exists') {
    const present = await io.run({ type: 'read', key })
    if (present === null || Buffer.compare(present, bytes) !== 0) throw publishedBefore(key)
  }
  await io.run({ type: 'moveCommitted', manifest: manifestName(manifest) })
}

function publishedBefore(key: string): MetastoreError {
  return conflict(`${key} is already in the bucket: a restore that broke off was of another state`)
}
