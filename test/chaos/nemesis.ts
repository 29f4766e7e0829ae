/**
 * Does to the cluster what happens in the world, and more often. Each fault ends by itself; several
 * go on at the same time. Which ones, and for how long, the dice say.
 */
import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dice } from '../simulation/dice.ts'
import type { ChaosContext } from './chaos-context.ts'
import { type ChaosNode, OperationError } from './chaos-node.ts'
import { type BucketWeather, FAIR_BUCKET } from './faulty-object-store.ts'
import { FAIR, type Weather } from './tcp-proxy.ts'

const BETWEEN_MS_MAX = 1_500
const UNDER_WAY_MAX = 3
/** Nothing is done for so long at times, so that the cluster also gets far. */
const CALM_MS = 4_000
const CALM_PERCENT = 10

export class Nemesis {
  readonly #context: ChaosContext
  readonly #dice: Dice
  /** Each as often as its weight says. */
  readonly #faults: readonly (() => Promise<void>)[]
  readonly #underWay = new Set<Promise<void>>()
  readonly #done: Promise<void>
  readonly #stopping = new AbortController()
  count = 0

  constructor(context: ChaosContext) {
    this.#context = context
    this.#dice = context.dice.fork()
    // As many as faults that wait.
    setMaxListeners(0, this.#stopping.signal)
    const weighted: [weight: number, fault: () => Promise<void>][] = [
      [6, () => this.#kill()],
      [1, () => this.#killAll()],
      [3, () => this.#restart()],
      [4, () => this.#pause()],
      [6, () => this.#isolate()],
      [3, () => this.#split()],
      [4, () => this.#oneWay()],
      [3, () => this.#slow()],
      [8, () => this.#transfer()],
      [4, () => this.#bucket()],
      [3, () => this.#administer()],
      [2, () => this.#breakDisk()],
      [context.cluster.hasSmallDisks ? 2 : 0, () => this.#fillDisk()],
    ]
    this.#faults = weighted.flatMap(([weight, fault]) =>
      Array.from({ length: weight }, () => fault),
    )
    this.#done = this.#run()
  }

  /** Resolves when no fault is under way any more; not all of them are undone by then. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#done
    await Promise.all(this.#underWay)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const isCalm = this.#dice.chance(CALM_PERCENT)
      await this.#wait(isCalm ? CALM_MS : this.#dice.between(0, BETWEEN_MS_MAX))
      // Mostly a majority is left.
      if (this.#underWay.size >= this.#dice.whole(1, UNDER_WAY_MAX)) continue
      const fault = this.#dice.pick(this.#faults)
      if (signal.aborted) break
      this.count++
      const work = fault().catch((error: unknown) => {
        if (error instanceof OperationError) return
        this.#context.problem(`a fault could not be ended: ${String(error)}`)
      })
      this.#underWay.add(work)
      void work.then(() => this.#underWay.delete(work))
    }
  }

  /** Shorter when it is stopped meanwhile. */
  async #wait(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => {})
  }

  #note(what: string): void {
    this.#context.note(what)
  }

  /** One that no other fault has in hand, for as long as `work` takes. */
  async #withNode(work: (node: ChaosNode) => Promise<void>): Promise<void> {
    const free = this.#context.cluster.nodes.filter(node => node.isUp && !node.isBusy)
    if (free.length === 0) return
    const node = this.#dice.pick(free)
    node.isBusy = true
    try {
      await work(node)
    } finally {
      node.isBusy = false
    }
  }

  // -------------------------------------------------------------- processes

  #kill(): Promise<void> {
    return this.#withNode(async node => {
      const awayMs = this.#dice.between(0, 4_000)
      this.#note(`kill node ${node.nodeId}, back after ${awayMs.toFixed()} ms`)
      await node.kill()
      await this.#wait(awayMs)
      await node.start()
      this.#note(`node ${node.nodeId} is open again`)
    })
  }

  async #killAll(): Promise<void> {
    const nodes = this.#context.cluster.nodes.filter(node => !node.isBusy)
    this.#note(`kill nodes ${nodes.map(({ nodeId }) => nodeId)} at once`)
    for (const node of nodes) node.isBusy = true
    try {
      await Promise.all(nodes.map(node => node.kill()))
      await Promise.all(nodes.map(node => node.start()))
    } finally {
      for (const node of nodes) node.isBusy = false
    }
    this.#note('they are open again')
  }

  #restart(): Promise<void> {
    return this.#withNode(async node => {
      this.#note(`close node ${node.nodeId}`)
      await node.close()
      await this.#wait(this.#dice.between(0, 2_000))
      await node.start()
      this.#note(`node ${node.nodeId} is open again`)
    })
  }

  #pause(): Promise<void> {
    return this.#withNode(async node => {
      const pauseMs = this.#dice.between(100, 6_000)
      this.#note(`stop node ${node.nodeId} for ${pauseMs.toFixed()} ms`)
      node.signal('SIGSTOP')
      await this.#wait(pauseMs)
      node.signal('SIGCONT')
    })
  }

  // -------------------------------------------------------------- network

  async #weather(
    what: string,
    ways: readonly (readonly [from: number, to: number])[],
    weather: Weather,
  ): Promise<void> {
    const { cluster } = this.#context
    const forMs = this.#dice.between(300, 5_000)
    this.#note(`${what} for ${forMs.toFixed()} ms`)
    for (const [from, to] of ways) cluster.proxy(from, to).weather = weather
    await this.#wait(forMs)
    for (const [from, to] of ways) {
      const proxy = cluster.proxy(from, to)
      // Another fault may have changed it since.
      if (proxy.weather === weather) proxy.weather = FAIR
    }
    this.#note(`end of: ${what}`)
  }

  /** Connections end, or nothing comes through any more. */
  #cut(): Weather {
    const isCut = this.#dice.chance(50)
    return { ...FAIR, isCut, holdsForward: !isCut, holdsBack: !isCut }
  }

  /** Mostly one that leads: what it has proposed and cannot commit is replaced by others. */
  async #isolate(): Promise<void> {
    const ids = this.#ids()
    const one = (this.#dice.chance(70) && (await this.#someLeader())) || this.#dice.pick(ids)
    const others = ids.filter(id => id !== one)
    const cut = this.#cut()
    const how = cut.isCut ? 'cut' : 'hold'
    await this.#weather(`${how} all to and from node ${one}`, between([one], others), cut)
  }

  async #someLeader(): Promise<number | null> {
    const node = this.#dice.pick(this.#context.cluster.nodes)
    const { partitions } = await node.ask('status', {}, 1_000)
    return this.#dice.pick(partitions).leader
  }

  #split(): Promise<void> {
    const ids = this.#ids()
    const some = this.#dice.some(ids)
    const others = ids.filter(id => !some.includes(id))
    const cut = this.#cut()
    const how = cut.isCut ? 'cut' : 'hold'
    return this.#weather(`${how} between ${some} and ${others}`, between(some, others), cut)
  }

  #oneWay(): Promise<void> {
    const ids = this.#ids()
    const from = this.#dice.pick(ids)
    const to = this.#dice.pick(ids.filter(id => id !== from))
    const holds = this.#dice.pick(['forward', 'back', 'both'])
    const weather = {
      ...FAIR,
      holdsForward: holds !== 'back',
      holdsBack: holds !== 'forward',
    }
    return this.#weather(`hold ${holds} on ${from} > ${to}`, [[from, to]], weather)
  }

  #slow(): Promise<void> {
    const ids = this.#ids()
    const ways = this.#dice.some(
      ids.flatMap(from => ids.filter(id => id !== from).map(to => [from, to] as const)),
    )
    const delayMs = this.#dice.whole(1, 300)
    const bytesPerSecond = this.#dice.chance(50) ? 0 : this.#dice.whole(20_000, 500_000)
    const what = `${delayMs} ms and ${bytesPerSecond} bytes/s on ${ways.map(way => way.join('>'))}`
    return this.#weather(what, ways, { ...FAIR, delayMs, bytesPerSecond })
  }

  #ids(): number[] {
    return this.#context.cluster.nodes.map(({ nodeId }) => nodeId)
  }

  // -------------------------------------------------------------- disk and bucket

  async #bucket(): Promise<void> {
    const { nodes } = this.#context.cluster
    const some = this.#dice.chance(30) ? [...nodes] : this.#dice.some(nodes)
    const weather: BucketWeather = {
      delayMsMax: this.#dice.pick([0, 50, 1_000]),
      failPercent: this.#dice.pick([0, 20, 100]),
    }
    const forMs = this.#dice.between(500, 8_000)
    const ids = some.map(({ nodeId }) => nodeId)
    this.#note(`bucket of ${ids} for ${forMs.toFixed()} ms: ${JSON.stringify(weather)}`)
    const tell = (is: BucketWeather): Promise<unknown> =>
      Promise.allSettled(some.map(node => node.ask('bucket', { weather: is }, 2_000)))
    await tell(weather)
    await this.#wait(forMs)
    await tell(FAIR_BUCKET)
    this.#note(`bucket of ${ids} is fair`)
  }

  /** Every write to a file fails; the node must end, and have lost nothing when it is back. */
  #breakDisk(): Promise<void> {
    return this.#withNode(async node => {
      node.mayFail = true
      if (!node.breakDisk()) return
      this.#note(`the disk of node ${node.nodeId} fails`)
      await this.#wait(this.#dice.between(500, 4_000))
      await node.kill()
      node.mayFail = false
      await node.start()
      this.#note(`node ${node.nodeId} is open again, with its disk`)
    })
  }

  #fillDisk(): Promise<void> {
    return this.#withNode(async node => {
      const { cluster } = this.#context
      const fullMs = this.#dice.between(1_000, 6_000)
      this.#note(`the disk of node ${node.nodeId} is full for ${fullMs.toFixed()} ms`)
      node.mayFail = true
      cluster.fillDisk(node.nodeId)
      await this.#wait(fullMs)
      const isAlive = node.isUp
      if (!isAlive) await node.kill()
      cluster.clearDisk(node.nodeId)
      if (!isAlive) await node.start()
      this.#note(`node ${node.nodeId} has room again; it had ${isAlive ? 'gone on' : 'failed'}`)
      // What it met while the disk was full may take effect a little later.
      await this.#wait(1_000)
      if (!node.isUp && !node.isRunning) await node.start()
      node.mayFail = false
    })
  }

  // -------------------------------------------------------------- administration

  async #transfer(): Promise<void> {
    const { cluster } = this.#context
    const partition = this.#dice.below(cluster.settings.partitions)
    const to = this.#dice.pick(this.#ids())
    await this.#order(`transfer of ${partition} to node ${to}`, node =>
      node.ask('transfer', { partition, to }),
    )
  }

  async #administer(): Promise<void> {
    const partition = this.#dice.below(this.#context.cluster.settings.partitions)
    const name = this.#dice.pick(['flush', 'compact', 'collectGarbage'] as const)
    await this.#order(`${name} of ${partition}`, async node => {
      if (name === 'collectGarbage') await node.ask(name, {})
      else await node.ask(name, { partition })
    })
  }

  async #order(what: string, call: (node: ChaosNode) => Promise<unknown>): Promise<void> {
    const node = this.#dice.pick(this.#context.cluster.nodes)
    try {
      await call(node)
      this.#note(`${what} at node ${node.nodeId}: done`)
    } catch (error) {
      this.#note(`${what} at node ${node.nodeId}: ${error}`)
      // Orders may be refused for many reasons; never for one that is not known.
      if (!(error instanceof OperationError)) throw error
    }
  }
}

function between(some: readonly number[], others: readonly number[]): [number, number][] {
  return some.flatMap(one =>
    others.flatMap((other): [number, number][] => [
      [one, other],
      [other, one],
    ]),
  )
}
