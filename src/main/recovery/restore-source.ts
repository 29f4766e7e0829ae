/** A cluster as the bucket has it: its identity, and each domain's pointer, manifests and tail. */
import {
  checkpointKey,
  checkpointNameOf,
  checkpointPrefix,
  committedKey,
  manifestKey,
  manifestOfKey,
  manifestPrefix,
  tableKey,
  tailKey,
  tailOfKey,
  tailPrefix,
} from '../../codec/bucket-layout.ts'
import { type CheckpointFile, decodeCheckpoint } from '../../codec/checkpoint-file.ts'
import type { ClusterFile } from '../../codec/cluster-file.ts'
import { decodeCommitted } from '../../codec/committed-pointer.ts'
import { corruption, invalidRequest } from '../../codec/errors.ts'
import {
  decodeManifest,
  isNewerManifest,
  type Manifest,
  type ManifestName,
} from '../../codec/manifest.ts'
import { decodeTail, type Tail, type TailName } from '../../codec/tail.ts'
import type { IoRunner } from '../io-pool.ts'
import { readCluster } from './read-cluster.ts'

/** Of a source that is alive: how often its pointer may move on while it is followed. */
const POINTER_READS_MAX = 5

export class RestoreSource {
  readonly cluster: ClusterFile
  readonly #io: IoRunner

  constructor(io: IoRunner, cluster: ClusterFile) {
    this.#io = io
    this.cluster = cluster
  }

  /** @throws INVALID_REQUEST when it is not there, details {clusterIds: those that are} */
  static async open(io: IoRunner, clusterId: string): Promise<RestoreSource> {
    return new RestoreSource(io, await readCluster(io, clusterId, 'from.clusterId'))
  }

  /**
   * The newest committed manifest; null for a domain that never flushed.
   * @throws CORRUPTION for a pointer or manifest that is damaged or lost
   */
  async committed(domain: string): Promise<Manifest | null> {
    const key = committedKey(domain)
    let before: ManifestName | undefined
    for (let reads = 0; reads < POINTER_READS_MAX; reads++) {
      const bytes = await this.#io.run({ type: 'read', key })
      if (bytes === null) {
        await this.#expectNeverCommitted(domain)
        return null
      }
      const name = decodeCommitted(bytes, key)
      const manifest = await this.manifest(name)
      if (manifest !== undefined) return manifest
      // A source that is alive may have replaced and collected it since.
      if (before !== undefined && !isNewerManifest(name, before)) break
      before = name
    }
    throw missing(manifestKey(before as ManifestName))
  }

  /** Undefined when it is not there. @throws CORRUPTION */
  async manifest(name: ManifestName): Promise<Manifest | undefined> {
    const key = manifestKey(name)
    const bytes = await this.#io.run({ type: 'read', key })
    return bytes === null ? undefined : decodeManifest(bytes, key)
  }

  /** Names of the domain's manifests that are newer than `than`, ascending. */
  async manifestsAfter(domain: string, than: ManifestName | null): Promise<ManifestName[]> {
    const keys = await this.#keys(manifestPrefix(domain), than && manifestKey(than))
    return keys.map(manifestOfKey).filter(name => name !== undefined)
  }

  /** Names of the domain's tail objects. */
  async tails(domain: string): Promise<TailName[]> {
    const keys = await this.#keys(tailPrefix(domain), null)
    return keys.map(tailOfKey).filter(name => name !== undefined)
  }

  /** @throws CORRUPTION when it is missing, damaged, or not what its name says */
  async tail(name: TailName): Promise<Tail> {
    const key = tailKey(name)
    const bytes = await this.#io.run({ type: 'read', key })
    if (bytes === null) throw missing(key)
    const tail = decodeTail(bytes, key)
    if (tailKey(tail) !== key || tail.clusterId !== this.cluster.clusterId) {
      throw corruption(`${key} says that it is ${tailKey(tail)} of cluster ${tail.clusterId}`, {
        file: key,
      })
    }
    return tail
  }

  /** @throws INVALID_REQUEST when there is none of that name, details {checkpoints: those there} */
  async checkpoint(name: string): Promise<CheckpointFile> {
    const { clusterId } = this.cluster
    const key = checkpointKey(clusterId, name)
    const bytes = await this.#io.run({ type: 'read', key })
    if (bytes !== null) return decodeCheckpoint(bytes, key)
    const names = await this.#checkpointNames()
    throw invalidRequest(
      `from.at.checkpoint ${name} is not in the bucket; cluster ${clusterId} has ` +
        (names.join(', ') || 'no checkpoint'),
      { checkpoints: names },
    )
  }

  /** The manifests of a domain that checkpoints name and the bucket still has. */
  async checkpointed(domain: string): Promise<Manifest[]> {
    const found: Manifest[] = []
    for (const name of await this.#checkpointNames()) {
      const { domains } = await this.checkpoint(name)
      const named = domains.find(of => of.domain === domain)?.manifest
      const manifest = named && (await this.manifest(named))
      if (manifest) found.push(manifest)
    }
    return found
  }

  /** @throws CORRUPTION naming a table that is missing or has another size than it should */
  async expectTables({ tables }: Manifest): Promise<void> {
    await expectTables(this.#io, tables)
  }

  async #checkpointNames(): Promise<string[]> {
    const keys = await this.#keys(checkpointPrefix(this.cluster.clusterId), null)
    return keys.map(checkpointNameOf).filter(name => name !== undefined)
  }

  /** What has a parent in its own domain was made from a manifest that was committed. */
  async #expectNeverCommitted(domain: string): Promise<void> {
    const newest = (await this.manifestsAfter(domain, null)).at(-1)
    const manifest = newest && (await this.manifest(newest))
    if (manifest?.parent?.domain === domain) throw missing(committedKey(domain))
  }

  #keys(prefix: string, after: string | null): Promise<string[]> {
    return this.#io.run({ type: 'keys', prefix, ...(after === null ? {} : { after }) })
  }
}

/** @throws CORRUPTION naming a table that is missing, or has another size than the manifest says */
export async function expectTables(io: IoRunner, tables: Manifest['tables']): Promise<void> {
  const keys = tables.map(tableKey)
  const sizes = await io.run({ type: 'sizes', keys })
  for (const [i, { sizeBytes }] of tables.entries()) {
    if (sizes[i] === null) throw missing(keys[i])
    if (sizes[i] !== sizeBytes) {
      const is = `${keys[i]} has ${sizes[i]} bytes, and its manifest says ${sizeBytes}`
      throw corruption(is, { file: keys[i] })
    }
  }
}

export function missing(file: string): Error {
  return corruption(`${file} is not in the bucket`, { file })
}
