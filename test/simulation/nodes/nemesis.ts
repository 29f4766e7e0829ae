/**
 * The nemesis of whole nodes: stops, pauses and slows them, their disks, workers, network and
 * bucket, and has operators at work meanwhile. Each fault ends by itself after a while.
 */
import type { Dice } from '../dice.ts'
import type { EventQueue } from '../event-queue.ts'
import { FAIR_WEATHER, type Link, type Network } from '../network.ts'
import type { Trace } from '../trace.ts'
import { type BucketWeather, FAIR_BUCKET } from './bucket.ts'
import type { StopKind } from './host.ts'
import type { Operators } from './operators.ts'
import type { Packet } from './peers.ts'
import type { NodeSettings } from './settings.ts'
import type { SimNode } from './sim-node.ts'

export interface NemesisOptions {
  readonly settings: NodeSettings
  readonly queue: EventQueue
  readonly dice: Dice
  readonly nodes: readonly SimNode[]
  readonly network: Network<Packet>
  readonly operators: Operators
  readonly trace: Trace
}

export class Nemesis {
  readonly #options: NemesisOptions
  readonly #faults: readonly (readonly [weight: number, fault: () => void])[]
  /** What was begun before the last calm does not end in the next storm. */
  #storm = 0
  #isActive = false

  constructor(options: NemesisOptions) {
    this.#options = options
    const { operators, settings } = options
    this.#faults = [
      [8, () => this.#stopSoon()],
      [3, () => this.#restart()],
      [4, () => this.#close()],
      [1, () => this.#blackout()],
      [3, () => this.#failDisk()],
      [4, () => this.#slowDisk()],
      [4, () => this.#slowWorker()],
      [4, () => this.#pause()],
      [5, () => this.#isolate()],
      [3, () => this.#split()],
      [3, () => this.#oneWay()],
      [3, () => this.#badWeather()],
      [6, () => this.#badBucket()],
      [4, () => operators.administer('transfer')],
      [5, () => operators.administer('flush')],
      [2, () => operators.administer('compact')],
      [12, () => operators.administer('collectGarbage')],
      settings.changesMembers
        ? [12, () => operators.changeMembers()]
        : [4, () => operators.place()],
    ]
  }

  start(): void {
    this.#isActive = true
    this.#plan()
  }

  /** Every fault ends now. */
  calm(): void {
    const { nodes, network, queue, operators } = this.#options
    this.#isActive = false
    this.#storm++
    network.weather = { ...FAIR_WEATHER }
    network.mendAll()
    for (const node of nodes) {
      node.diskDelayMs = 1
      node.workerDelayMs = 0.3
      node.failsNextSync = false
      node.bucket.weather = { ...FAIR_BUCKET }
      node.host.dieAfter(Number.POSITIVE_INFINITY, 'power')
      node.host.goOn()
      queue.after(0, () => node.start())
      queue.after(0, () => node.meet())
    }
    operators.calm()
  }

  #plan(): void {
    const { dice, settings } = this.#options
    this.#later(dice.between(0, 2 * settings.faultEveryMs), () => {
      this.#draw()()
      this.#plan()
    })
  }

  #draw(): () => void {
    let left = this.#options.dice.below(this.#faults.reduce((sum, [weight]) => sum + weight, 0))
    for (const [weight, fault] of this.#faults) {
      left -= weight
      if (left < 0) return fault
    }
    throw new Error('weights do not add up')
  }

  #later(delayMs: number, work: () => void): void {
    const storm = this.#storm
    this.#options.queue.after(delayMs, () => {
      if (storm === this.#storm && this.#isActive) work()
    })
  }

  #while(): number {
    const { dice, settings } = this.#options
    return settings.electionTimeoutMs * dice.pick([0.1, 0.5, 1, 2, 4]) * dice.between(0.5, 1.5)
  }

  #say(what: string): void {
    this.#options.trace(() => `-- ${what}`)
  }

  #any(): SimNode {
    return this.#options.dice.pick(this.#options.nodes)
  }

  /** One that leads some domain, most of the time, if there is one. */
  #leaderOrAny(): SimNode {
    const { dice, nodes } = this.#options
    const leaders = nodes.filter(({ open }) =>
      open?.domains.some(({ number }) => open.replication?.isLeading(number)),
    )
    return leaders.length > 0 && dice.chance(60) ? dice.pick(leaders) : this.#any()
  }

  // -------------------------------------------------------------- nodes

  #kind(): StopKind {
    return this.#options.dice.chance(60) ? 'power' : 'process'
  }

  /** At any effect of what it does next. */
  #stopSoon(): void {
    const node = this.#leaderOrAny()
    node.host.dieAfter(this.#options.dice.whole(1, 60), this.#kind())
    this.#later(this.#while(), () => {
      node.host.dieAfter(Number.POSITIVE_INFINITY, 'power')
      this.#startLater(node)
    })
  }

  #startLater(node: SimNode): void {
    this.#later(this.#options.dice.chance(50) ? 0.1 : this.#while(), () => node.start())
  }

  #restart(): void {
    const node = this.#any()
    node.stop(this.#kind(), 'a restart')
    this.#later(0.1, () => node.start())
  }

  /** In order: it hands over what it leads first. */
  #close(): void {
    const node = this.#leaderOrAny()
    this.#options.queue.after(0, () => node.close(() => this.#startLater(node)))
  }

  #blackout(): void {
    for (const node of this.#options.nodes) {
      node.stop('power', 'a blackout')
      this.#startLater(node)
    }
  }

  #failDisk(): void {
    const node = this.#any()
    node.failsNextSync = true
    this.#later(this.#while(), () => {
      node.failsNextSync = false
      this.#startLater(node)
    })
  }

  #slowDisk(): void {
    const node = this.#leaderOrAny()
    node.diskDelayMs = this.#options.dice.pick([10, 100, 500])
    this.#say(`the disk of node ${node.id} takes ${node.diskDelayMs} ms`)
    this.#later(this.#while(), () => {
      node.diskDelayMs = 1
    })
  }

  #slowWorker(): void {
    const node = this.#leaderOrAny()
    node.workerDelayMs = this.#options.dice.pick([5, 50, 500])
    this.#say(`the workers of node ${node.id} take ${node.workerDelayMs} ms`)
    this.#later(this.#while(), () => {
      node.workerDelayMs = 0.3
    })
  }

  #pause(): void {
    const node = this.#leaderOrAny()
    this.#say(`node ${node.id} is paused`)
    node.host.pause()
    this.#later(this.#while(), () => {
      this.#say(`node ${node.id} goes on`)
      node.host.goOn()
    })
  }

  // -------------------------------------------------------------- network and bucket

  #cut(isCut: (from: number, to: number) => boolean): void {
    const { dice, network, nodes } = this.#options
    const ids = nodes.map(({ id }) => id)
    const all = ids.flatMap((from): Link[] => ids.map(to => ({ from, to })))
    const links = all.filter(({ from, to }) => from !== to && isCut(from, to))
    const how = dice.chance(60) ? 'lose' : 'hold'
    this.#say(`cut, ${how}: ${links.map(({ from, to }) => `${from}>${to}`).join(' ')}`)
    network.cut(links, how)
    this.#later(this.#while(), () => {
      this.#say('mended')
      network.mend(links)
    })
  }

  #isolate(): void {
    const { id } = this.#leaderOrAny()
    this.#cut((from, to) => from === id || to === id)
  }

  #split(): void {
    const { dice, nodes } = this.#options
    const side = new Set(dice.some(nodes.map(({ id }) => id)))
    this.#cut((from, to) => side.has(from) !== side.has(to))
  }

  #oneWay(): void {
    const { id } = this.#leaderOrAny()
    const isOut = this.#options.dice.chance(50)
    this.#cut((from, to) => (isOut ? from : to) === id)
  }

  #badWeather(): void {
    const { dice, network, settings } = this.#options
    network.weather = {
      lossPercent: dice.pick([0, 5, 30]),
      doubledPercent: dice.pick([0, 10, 30]),
      latencyMs: dice.pick([2, 10, settings.electionTimeoutMs]),
      lateMs: settings.electionTimeoutMs * dice.whole(1, 8),
      latePercent: dice.pick([0, 5, 20]),
    }
    this.#later(2 * this.#while(), () => {
      network.weather = { ...FAIR_WEATHER }
    })
  }

  /** For one node, or for all. */
  #badBucket(): void {
    const { dice, nodes } = this.#options
    const weather: BucketWeather = {
      latencyMs: dice.pick([10, 200, 2000]),
      failedPercent: dice.pick([0, 20, 100]),
      lostPercent: dice.pick([0, 20]),
      hungPercent: dice.pick([0, 2]),
      cutPercent: dice.pick([0, 10]),
    }
    const hit = dice.chance(50) ? nodes : [this.#leaderOrAny()]
    this.#say(`bucket of ${hit.map(({ id }) => id)}: ${JSON.stringify(weather)}`)
    for (const node of hit) node.bucket.weather = weather
    this.#later(2 * this.#while(), () => {
      for (const node of hit) node.bucket.weather = { ...FAIR_BUCKET }
    })
  }
}
