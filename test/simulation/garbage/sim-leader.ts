/**
 * A leader of a domain as far as the bucket sees it: flushes, compactions, tail objects and
 * collection side by side, attempts that fail half way, and a deposed one whose requests go on.
 */
import {
  committedKey,
  manifestKey,
  objectKey,
  tableKey,
  tailKey,
} from '../../../src/codec/bucket-layout.ts'
import { encodeCommitted } from '../../../src/codec/committed-pointer.ts'
import {
  encodeManifest,
  type Manifest,
  type TableDescription,
} from '../../../src/codec/manifest.ts'
import { collectGarbage } from '../../../src/workers/io/garbage/collect-garbage.ts'
import { describeTable, type SimDomain } from './sim-domain.ts'
import type { World } from './world.ts'

const BYTES = new Uint8Array(3)
const DEADLINE_MS = 60_000
type Tables = TableDescription[]

export class SimLeader {
  /** Tables of jobs that may still be committed. */
  readonly uploaded: Set<string> = new Set()
  /** In the log, and not known to be committed. */
  proposed: Manifest | undefined
  readonly #world: World
  readonly #domain: SimDomain
  readonly #delayMs: number
  readonly #epoch: number
  readonly #jobs = new Set<number>()
  readonly #busy = new Set<string>()
  #nextTableId: number
  #nextVersion: number
  #isCommitting = false
  #announced: Manifest | null = null
  #announcedAt = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(world: World, domain: SimDomain, delayMs: number) {
    this.#world = world
    this.#domain = domain
    this.#delayMs = delayMs
    this.#epoch = ++domain.epoch
    this.#nextTableId = domain.committed?.nextTableId ?? 1
    this.#nextVersion = (domain.committed?.version ?? 0) + 1
  }

  get #isDeposed(): boolean {
    return this.#domain.leader !== this
  }

  /** One of a kind at a time. */
  begin(kind: 'flush' | 'compact' | 'ship' | 'collect'): void {
    if (this.#busy.has(kind)) return
    this.#busy.add(kind)
    this.#world.spawn(async () => {
      await this[kind]()
      this.#busy.delete(kind)
    })
  }

  async flush(): Promise<void> {
    const lastSequence = this.#domain.changes.length
    if (lastSequence === (this.#domain.committed?.lastSequence ?? 0)) return
    await this.#job(1, tables => this.#commit(lastSequence, before => [...tables, ...before]))
  }

  async compact(): Promise<void> {
    const inputs = new Set(this.#domain.committed?.tables.map(tableKey) ?? [])
    if (inputs.size < 2) return
    await this.#job(this.#world.dice.whole(1, 2), tables =>
      this.#commit(undefined, before => [
        ...before.filter(table => !inputs.has(tableKey(table))),
        ...tables,
      ]),
    )
  }

  async ship(): Promise<void> {
    const { uuid, shipped, committed, changes } = this.#domain
    const first = Math.max(shipped, committed?.lastSequence ?? 0) + 1
    const last = changes.length
    if (first > last) return
    this.#domain.shipped = last
    await this.#world.bucket.put(tailKey({ domain: uuid, epoch: this.#epoch, first, last }), BYTES)
  }

  async collect(): Promise<void> {
    await this.announce()
    // The confirmation that it still leads.
    for (let left = this.#world.dice.whole(1, 5); left > 0; left--) await this.#world.turn()
    if (this.#isDeposed) return
    const { bucket, now } = this.#world
    const announced = this.#announced
    const isQuiet = announced === this.#domain.committed && !this.#isCommitting
    const found = await collectGarbage(
      bucket,
      {
        ...{ clusterId: this.#domain.clusterId, domain: this.#domain.uuid, committed: announced },
        ...{ announcedAt: this.#announcedAt, epoch: this.#epoch },
        ...{ firstIdUnderWay: Math.min(this.#nextTableId, ...this.#jobs) },
        firstVersionUnderWay: isQuiet ? this.#nextVersion : (announced?.version ?? 0) + 1,
        ...{ delayMs: this.#delayMs, now, isDryRun: false, isFirst: true },
      },
      DEADLINE_MS,
    )
    const ids = this.#domain.garbageAt(found.objectsUpTo)
    const keys = ids.map(objectKey).filter(key => this.#world.store.keys.has(key))
    if (keys.length > 0) await bucket.delete(keys)
  }

  /** Moves the pointer to what is committed. */
  announce(): Promise<void> {
    return this.#exclusively(async () => {
      const { committed, uuid } = this.#domain
      if (committed === null || committed === this.#announced) return
      await this.#world.turn()
      // A request that outlives its leader by more than the delay could move the pointer back.
      if (this.#isDeposed) return
      await this.#world.store.put(committedKey(uuid), encodeCommitted(committed))
      this.#announced = committed
      this.#announcedAt = this.#world.now
    })
  }

  async #job(count: number, commit: (tables: Tables) => Promise<void>): Promise<void> {
    const { bucket, dice } = this.#world
    const { uuid: domain } = this.#domain
    const id = this.#nextTableId
    this.#nextTableId += count
    this.#jobs.add(id)
    const keys: string[] = []
    for (let i = 0; i < count; i++) {
      keys.push(tableKey({ domain, epoch: this.#epoch, id: id + i }))
      await bucket.put(keys[i], BYTES)
      this.uploaded.add(keys[i])
    }
    // A job that fails leaves its tables.
    if (!dice.chance(20)) await commit(keys.map(describeTable))
    for (const key of keys) this.uploaded.delete(key)
    this.#jobs.delete(id)
    await this.announce()
  }

  #commit(flushed: number | undefined, edit: (before: Tables) => Tables): Promise<void> {
    return this.#exclusively(async () => {
      const { committed } = this.#domain
      if (this.#isDeposed) return
      this.#isCommitting = true
      const manifest: Manifest = {
        ...{ clusterId: this.#domain.clusterId, domain: this.#domain.uuid, epoch: this.#epoch },
        ...{ version: this.#nextVersion++, parent: committed, lastIndex: 0, createdAt: 0 },
        lastSequence: flushed ?? committed?.lastSequence ?? 0,
        ...{ nextTableId: this.#nextTableId, compactionCursors: [] },
        tables: edit(committed?.tables ?? []),
      }
      await this.#world.bucket.put(manifestKey(manifest), encodeManifest(manifest))
      if (!this.#world.dice.chance(15) && !this.#isDeposed) {
        this.proposed = manifest
        await this.#world.turn()
        if (!this.#isDeposed) this.#domain.install(manifest, this.#delayMs)
      }
      this.proposed = undefined
      this.#isCommitting = false
    })
  }

  #exclusively(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work, work)
    this.#last = turn
    return turn
  }
}
