/** A domain as the simulation knows it: its history, its manifests, and who needs what of it. */
import { manifestKey, objectKey, tableKey, tableOfKey } from '../../../src/codec/bucket-layout.ts'
import type { ClusterFile } from '../../../src/codec/cluster-file.ts'
import type { Manifest, TableDescription } from '../../../src/codec/manifest.ts'
import type { SimLeader } from './sim-leader.ts'
import type { World } from './world.ts'

/** A batch of rows: an object gets its extents, or loses the last of them. */
interface Change {
  kind: 'add' | 'drop'
  id: string
}

/** Who needs objects of the bucket, until when. */
export interface Holder {
  who: string
  keys: readonly string[]
  until: number
}

export class SimDomain {
  readonly uuid: string
  readonly clusterId: string
  /** The change of sequence n is at n - 1. */
  readonly changes: Change[]
  /** Objects that have extents. */
  readonly live: Set<string> = new Set()
  committed: Manifest | null = null
  /** Replaced ones, with the time until when whoever has begun to read by them may go on. */
  holders: Holder[] = []
  epoch = 1
  leader: SimLeader | undefined
  /** Up to where tail objects were shipped. */
  shipped = 0
  readonly #world: World

  constructor(world: World, clusterId: string, changes: Change[] = []) {
    this.#world = world
    this.uuid = world.uuid()
    this.clusterId = clusterId
    this.changes = changes
    for (const { kind, id } of changes) {
      if (kind === 'add') this.live.add(id)
      else this.live.delete(id)
    }
  }

  async add(): Promise<void> {
    const id = this.#world.uuid()
    await this.#world.store.put(objectKey(id), new Uint8Array(3))
    this.changes.push({ kind: 'add', id })
    this.live.add(id)
  }

  drop(): void {
    if (this.live.size === 0) return
    const id = this.#world.dice.pick([...this.live])
    this.changes.push({ kind: 'drop', id })
    this.live.delete(id)
  }

  /** Keys of the objects that have extents at a sequence. */
  objectsAt(sequence: number): string[] {
    const live = new Set<string>()
    for (const { kind, id } of this.changes.slice(0, sequence)) {
      if (kind === 'add') live.add(id)
      else live.delete(id)
    }
    return [...live].map(objectKey)
  }

  /** Ids of the objects that were garbage at a sequence. */
  garbageAt(sequence: number): string[] {
    const upTo = this.changes.slice(0, sequence)
    return upTo.filter(({ kind }) => kind === 'drop').map(({ id }) => id)
  }

  install(manifest: Manifest, delayMs: number): void {
    const { now } = this.#world
    if (this.committed !== null) {
      const who = `a reader of the replaced version ${this.committed.version}`
      const objects = this.objectsAt(this.committed.lastSequence)
      const keys = [...keysOf(this.committed), ...objects]
      this.holders.push({ who, keys, until: now + delayMs })
    }
    this.committed = manifest
  }

  /** What must be in the bucket for this domain, by who needs it. */
  needs(): Holder[] {
    const { now } = this.#world
    this.holders = this.holders.filter(({ until }) => until > now)
    const needs = [...this.holders]
    const always = { until: Number.POSITIVE_INFINITY }
    const live = [...this.live].map(objectKey)
    needs.push({ who: 'a reader of the newest state', keys: live, ...always })
    if (this.committed !== null) {
      needs.push({ who: 'the committed manifest', keys: keysOf(this.committed), ...always })
    }
    const uploaded = this.leader?.uploaded ?? []
    needs.push({ who: 'a job under way', keys: [...uploaded], ...always })
    return needs
  }
}

/** Its cluster has no other. */
export function clusterOf({ clusterId, uuid }: SimDomain): ClusterFile {
  return { clusterId, hashing: 'murmur2', domains: [uuid], createdAt: 1 }
}

export function keysOf(manifest: Manifest): string[] {
  return [manifestKey(manifest), ...manifest.tables.map(tableKey)]
}

/** A table of level 0 by the name that a key has. */
export function describeTable(key: string): TableDescription {
  const name = tableOfKey(key)
  if (name === undefined) throw new Error(`${key} is no table`)
  return {
    ...{ ...name, level: 0, sizeBytes: 3, checksum: '', rows: 1, deletes: 0 },
    ...{ smallestKey: Uint8Array.of(1), greatestKey: Uint8Array.of(2) },
    ...{ smallestSequence: 1, greatestSequence: 1 },
  }
}
