/**
 * Checkpoints of a cluster: objects that name a committed manifest of each domain, which collection
 * keeps until they expire (docs/restore.md).
 */
import { checkpointKey, checkpointNameOf, checkpointPrefix } from '../codec/bucket-layout.ts'
import {
  type CheckpointDomain,
  type CheckpointFile,
  decodeCheckpoint,
  encodeCheckpoint,
} from '../codec/checkpoint-file.ts'
import type { ClusterFile } from '../codec/cluster-file.ts'
import { conflict, MetastoreError } from '../codec/errors.ts'
import type { Checkpoint } from '../shared/api.ts'
import type { IoRunner } from './io-pool.ts'
import { RestoreSource } from './recovery/restore-source.ts'

/** Manifests are kept for a while after they are replaced, so the second attempt is rare. */
const ATTEMPTS_MAX = 3

/** What the leader of a domain has committed and announced. */
export type Announced = Pick<CheckpointDomain, 'sequence' | 'manifest'>

export interface CheckpointsOptions {
  readonly io: IoRunner
  readonly cluster: ClusterFile
  /** Flushes the domain, wherever it is led, and says what the bucket has of it then. */
  readonly flushed: (domain: number) => Promise<Announced>
  readonly now: () => number
}

export class Checkpoints {
  readonly #options: CheckpointsOptions
  readonly #source: RestoreSource

  constructor(options: CheckpointsOptions) {
    this.#options = options
    this.#source = new RestoreSource(options.io, options.cluster)
  }

  /**
   * @param ttlMs until it expires; undefined: never
   * @throws CONFLICT when the name is taken; what a flush fails with
   */
  async create(name: string, ttlMs: number | undefined): Promise<Checkpoint> {
    const { io } = this.#options
    const key = this.#key(name)
    if ((await io.run({ type: 'read', key })) !== null) throw taken(name)
    let checkpoint = await this.#next(name, ttlMs)
    if ((await io.run({ type: 'create', key, bytes: encodeCheckpoint(checkpoint) })) === 'exists') {
      throw taken(name)
    }
    for (let attempt = 1; !(await this.#isWhole(checkpoint)); attempt++) {
      if (attempt === ATTEMPTS_MAX) {
        await io.run({ type: 'remove', keys: [key] })
        const why = 'its manifests were collected before it could keep them'
        throw new MetastoreError('UNAVAILABLE', `checkpoint ${name} was not made: ${why}`)
      }
      checkpoint = await this.#next(name, ttlMs)
      await io.run({ type: 'overwrite', key, bytes: encodeCheckpoint(checkpoint) })
    }
    return described(checkpoint)
  }

  /** All that there are, by name; also those that have expired. @throws CORRUPTION */
  async list(): Promise<Checkpoint[]> {
    const { io, cluster } = this.#options
    const keys = await io.run({ type: 'keys', prefix: checkpointPrefix(cluster.clusterId) })
    const found: Checkpoint[] = []
    for (const key of keys) {
      if (checkpointNameOf(key) === undefined) continue
      const bytes = await io.run({ type: 'read', key })
      if (bytes !== null) found.push(described(decodeCheckpoint(bytes, key)))
    }
    return found
  }

  /** What it has kept may be collected from now on. One that is not there is no error. */
  async delete(name: string): Promise<void> {
    await this.#options.io.run({ type: 'remove', keys: [this.#key(name)] })
  }

  #key(name: string): string {
    return checkpointKey(this.#options.cluster.clusterId, name)
  }

  async #next(name: string, ttlMs: number | undefined): Promise<CheckpointFile> {
    const { cluster, flushed, now } = this.#options
    const domains = await Promise.all(
      cluster.domains.map(async (domain, number) => ({ domain, ...(await flushed(number)) })),
    )
    const createdAt = now()
    const expiresAt = ttlMs === undefined ? null : createdAt + ttlMs
    return { name, clusterId: cluster.clusterId, createdAt, expiresAt, domains }
  }

  /** Whether what it names is still there, now that collection can see that it is named. */
  async #isWhole({ domains }: CheckpointFile): Promise<boolean> {
    try {
      for (const { manifest: name } of domains) {
        if (name === null) continue
        const manifest = await this.#source.manifest(name)
        if (manifest === undefined) return false
        await this.#source.expectTables(manifest)
      }
      return true
    } catch (error) {
      if (error instanceof MetastoreError && error.code === 'CORRUPTION') return false
      throw error
    }
  }
}

function described({ name, createdAt, expiresAt, domains }: CheckpointFile): Checkpoint {
  const sequences = domains.map(({ sequence }, domain) => ({ domain, sequence }))
  return { name, createdAt, expiresAt, domains: sequences }
}

function taken(name: string): MetastoreError {
  return conflict(`there is a checkpoint ${name} already`)
}
