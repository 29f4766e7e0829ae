/**
 * A bucket with a domain, its leaders, readers, checkpoints and the clusters restored from it, and
 * collectors that run at any time. After each request to the bucket, everything that somebody may
 * still use must be there; in the end, when nobody does any more, nothing else.
 */
import {
  clusterKey,
  committedKey,
  manifestKey,
  objectIdOf,
  objectKey,
  originKey,
  tableKey,
  tailOfKey,
} from '../../../src/codec/bucket-layout.ts'
import { encodeCluster } from '../../../src/codec/cluster-file.ts'
import { clusterOf, SimDomain } from './sim-domain.ts'
import { SimLeader } from './sim-leader.ts'
import { makeCheckpoint, readByLease, restore, retire } from './visitors.ts'
import { World } from './world.ts'

const ACTIONS = 150
const DOMAINS_MAX = 3
/** A restore by steps is done long before the longest is over. */
const DELAYS_MS = [0, 0, 30, 300, 20_000]
const STEPPED_RESTORE_MS = 20_000

type Action = () => void | Promise<void>

export interface GarbageOutcome {
  steps: number
  restores: number
  failovers: number
  /** Requests to delete that named something. */
  deleted: number
}

export async function simulateGarbage(seed: number): Promise<GarbageOutcome> {
  const simulation = new GarbageSimulation(seed)
  try {
    return await simulation.run()
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
  }
}

class GarbageSimulation {
  readonly #world: World
  readonly #delayMs: number
  #domains: SimDomain[] = []
  readonly #outcome: GarbageOutcome = { steps: 0, restores: 0, failovers: 0, deleted: 0 }
  readonly #restored = new Set<SimDomain>()
  #restoresUnderWay = 0

  constructor(seed: number) {
    this.#world = new World(seed)
    this.#delayMs = this.#world.dice.pick(DELAYS_MS)
  }

  async run(): Promise<GarbageOutcome> {
    const { dice, store } = this.#world
    const first = new SimDomain(this.#world, this.#world.uuid())
    await store.put(clusterKey(first.clusterId), encodeCluster(clusterOf(first)))
    this.#lead(first)
    for (let i = 0; i < ACTIONS; i++) {
      await this.#draw()()
      for (let steps = dice.whole(0, 12); steps > 0; steps--) await this.#step()
    }
    await this.#drain()
    await this.#finish()
    this.#outcome.steps = this.#world.steps
    return this.#outcome
  }

  #lead(domain: SimDomain): void {
    domain.leader = new SimLeader(this.#world, domain, this.#delayMs)
    if (!this.#domains.includes(domain)) this.#domains.push(domain)
  }

  #draw(): Action {
    const world = this.#world
    const { dice } = world
    const domain = dice.pick(this.#domains)
    const { leader } = domain
    const actions: [number, Action][] = [
      [20, () => domain.add()],
      [16, () => domain.drop()],
      [14, () => leader?.begin('flush')],
      [8, () => leader?.begin('compact')],
      [8, () => leader?.begin('ship')],
      [16, () => leader?.begin('collect')],
      [6, () => world.spawn(() => readByLease(world, domain))],
      [4, () => world.spawn(() => makeCheckpoint(world, domain))],
      [3, () => this.#failOver(domain)],
      [2, () => this.#restore(domain)],
      [
        3,
        () => {
          world.now += dice.whole(0, this.#delayMs)
        },
      ],
    ]
    let rest = dice.below(100)
    for (const [weight, action] of actions) {
      rest -= weight
      if (rest < 0) return action
    }
    return () => {}
  }

  #failOver(domain: SimDomain): void {
    // What is in the log of a majority is committed by whoever comes next.
    const proposed = domain.leader?.proposed
    if (proposed !== undefined && this.#world.dice.chance(50)) {
      domain.install(proposed, this.#delayMs)
    }
    this.#lead(domain)
    this.#outcome.failovers++
  }

  #restore(source: SimDomain): void {
    if (this.#domains.length + this.#restoresUnderWay >= DOMAINS_MAX) return
    const world = this.#world
    const bucket = this.#delayMs >= STEPPED_RESTORE_MS ? world.bucket : world.store
    this.#restoresUnderWay++
    world.spawn(async () => {
      const domain = await restore(world, bucket, source, this.#delayMs)
      this.#restoresUnderWay--
      if (domain === undefined) return
      this.#restored.add(domain)
      this.#outcome.restores++
      this.#lead(domain)
    })
  }

  async #step(): Promise<void> {
    const { keys } = this.#world.store
    const before = keys.size
    await this.#world.step()
    if (keys.size < before) this.#outcome.deleted++
    for (const domain of this.#domains) {
      for (const { who, keys: needed } of domain.needs()) {
        const missing = needed.find(key => !keys.has(key))
        if (missing === undefined) continue
        const number = this.#domains.indexOf(domain)
        throw new Error(`${missing} is gone; ${who} of domain ${number} needs it`)
      }
    }
  }

  async #drain(): Promise<void> {
    while (this.#world.hasActors) await this.#step()
  }

  /** When nobody uses anything any more, and some of the clusters are gone. */
  async #finish(): Promise<void> {
    const world = this.#world
    if (world.dice.chance(60)) {
      const left = world.dice.pick(this.#domains)
      for (const domain of this.#domains) if (domain !== left) await retire(world, domain)
      this.#domains = [left]
    }
    for (let round = 0; round < 3; round++) {
      world.now += 100_000
      for (const domain of this.#domains) {
        domain.leader?.begin('collect')
        await this.#drain()
      }
    }
    for (const domain of this.#domains) this.#expectNothingElse(domain)
    if (this.#domains.length === 1) this.#expectNoGarbage(this.#domains[0])
  }

  /** But what is needed, of the domain's own. */
  #expectNothingElse(domain: SimDomain): void {
    const { uuid, committed } = domain
    const expected = new Set<string>()
    if (committed !== null) expected.add(committedKey(uuid)).add(manifestKey(committed))
    if (this.#restored.has(domain)) expected.add(originKey(uuid))
    for (const { committed: other } of this.#domains) {
      for (const table of other?.tables ?? []) expected.add(tableKey(table))
    }
    for (const key of this.#world.store.keys) {
      const isOwn = key.startsWith(`domain/${uuid}/`) || key.includes(`${domain.clusterId}/check`)
      const tail = tailOfKey(key)
      const isNeeded = tail !== undefined && tail.last > (committed?.lastSequence ?? 0)
      if (isOwn && !isNeeded && !expected.has(key)) throw new Error(`${key} was left behind`)
    }
  }

  /** Without relatives: of the objects that the domain knows. */
  #expectNoGarbage(domain: SimDomain): void {
    const upTo = domain.committed?.lastSequence ?? 0
    for (const id of domain.garbageAt(upTo)) {
      const key = objectKey(id)
      if (objectIdOf(key) === undefined) throw new Error(`${key} is no object's`)
      if (this.#world.store.keys.has(key)) throw new Error(`${key} was left behind`)
    }
  }
}
