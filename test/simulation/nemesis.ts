/**
 * The nemesis: does to the cluster what happens in the world, and more often. Each fault ends by
 * itself after a while; several go on at the same time.
 */
import type { ConfigChange, MemberChange } from '../../src/codec/config-change.ts'
import type { Message } from '../../src/main/raft/message.ts'
import type { Dice } from './dice.ts'
import type { EventQueue } from './event-queue.ts'
import { FAIR_WEATHER, type Link, type Network } from './network.ts'
import { APPLY_DELAY_MS, type SimNode } from './node.ts'
import type { ClusterSettings } from './settings.ts'
import type { Trace } from './trace.ts'

export interface NemesisOptions {
  readonly settings: ClusterSettings
  readonly queue: EventQueue
  readonly dice: Dice
  readonly nodes: readonly SimNode[]
  readonly network: Network<Link & { group: number; message: Message }>
  readonly trace: Trace
}

const OPERATIONS = ['voter', 'voter', 'learner', 'remove'] as const
const TRANSITIONS = ['auto', 'auto', 'implicit', 'explicit'] as const

export class Nemesis {
  readonly #options: NemesisOptions
  readonly #electionMs: number
  readonly #faults: readonly (readonly [weight: number, fault: () => void])[]
  /** What was begun before the last calm does not end in the next storm. */
  #storm = 0
  #isActive = false

  constructor(options: NemesisOptions) {
    this.#options = options
    const { tickMs, raft } = options.settings
    this.#electionMs = tickMs * raft.electionTicks
    this.#faults = [
      [6, () => this.#powerLoss()],
      [1, () => this.#blackout()],
      [3, () => this.#restart()],
      [2, () => this.#failDisk()],
      [3, () => this.#slowDisk()],
      [2, () => this.#overtakeDisk()],
      [3, () => this.#slowMachine()],
      [4, () => this.#pause()],
      [4, () => this.#isolate()],
      [4, () => this.#split()],
      [3, () => this.#ring()],
      [4, () => this.#oneWay()],
      [3, () => this.#badWeather()],
      [4, () => this.#transfer()],
      [2, () => this.#transferAndCut()],
      [2, () => this.#tempt()],
      [6, () => this.#change()],
      [2, () => this.#leaveBehind()],
      [1, () => this.#campaign()],
      [1, () => this.#forgetLeader()],
      [1, () => this.#report()],
    ]
  }

  start(): void {
    this.#isActive = true
    this.#plan()
  }

  /** Every fault ends now. */
  calm(): void {
    const { nodes, network } = this.#options
    this.#isActive = false
    this.#storm++
    network.weather = { ...FAIR_WEATHER }
    network.mendAll()
    for (const node of nodes) {
      node.disk.latencyMs = 2
      node.applyDelayMs = APPLY_DELAY_MS
      node.disk.failsNextSync = false
      node.stopAfter(Number.POSITIVE_INFINITY)
      node.goOn()
      node.start()
    }
  }

  #plan(): void {
    const { dice, settings } = this.#options
    this.#later(dice.between(0, 2 * settings.faultEveryMs), () => {
      this.#draw()()
      this.#plan()
    })
  }

  #draw(): () => void {
    const { dice } = this.#options
    let left = dice.below(this.#faults.reduce((sum, [weight]) => sum + weight, 0))
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

  /** A while: from shorter than a heartbeat to several election timeouts. */
  #while(): number {
    const { dice } = this.#options
    return this.#electionMs * dice.pick([0.1, 0.5, 1, 2, 4]) * dice.between(0.5, 1.5)
  }

  #say(what: string): void {
    this.#options.trace(() => `-- ${what}`)
  }

  // -------------------------------------------------------------- nodes and disks

  /** At any step of what the node does next. */
  #powerLoss(): void {
    const { dice, nodes } = this.#options
    const node = dice.pick(nodes)
    this.#say(`power loss at ${node.id} soon`)
    node.stopAfter(dice.whole(1, 40))
    this.#later(this.#while(), () => {
      node.stopAfter(Number.POSITIVE_INFINITY)
      this.#later(dice.chance(50) ? 0 : this.#while(), () => node.start())
    })
  }

  #restart(): void {
    const node = this.#options.dice.pick(this.#options.nodes)
    node.stop('a restart')
    node.start()
  }

  #blackout(): void {
    const { dice, nodes } = this.#options
    for (const node of nodes) {
      node.stop('a blackout')
      this.#later(dice.below(3) * this.#while(), () => node.start())
    }
  }

  #failDisk(): void {
    const node = this.#options.dice.pick(this.#options.nodes)
    node.disk.failsNextSync = true
    this.#later(this.#while(), () => node.start())
  }

  #slowDisk(): void {
    const { dice, nodes } = this.#options
    const { disk } = dice.pick(nodes)
    disk.latencyMs = dice.pick([10, 100, 500])
    this.#later(this.#while(), () => {
      disk.latencyMs = 2
    })
  }

  /** What the leader's disk has not yet written is replaced by another leader, but for its begin. */
  #overtakeDisk(): void {
    const { dice } = this.#options
    const leader = this.#leaders().at(0)?.node
    if (leader === undefined) return
    const { disk, id } = leader
    disk.latencyMs = 4 * this.#electionMs
    this.#later(dice.between(0, this.#electionMs / 4), () => {
      const forMs = this.#electionMs * dice.between(1, 3)
      this.#cut(
        this.#links((from, to) => from === id || to === id),
        forMs,
      )
      this.#later(forMs + this.#electionMs, () => {
        disk.latencyMs = 2
      })
    })
  }

  /** What is committed is applied much later. */
  #slowMachine(): void {
    const { dice, nodes } = this.#options
    const node = dice.pick(nodes)
    node.applyDelayMs = this.#while()
    this.#later(2 * this.#while(), () => {
      node.applyDelayMs = APPLY_DELAY_MS
    })
  }

  #pause(): void {
    const { dice, nodes } = this.#options
    const node = this.#leaderOr(dice.pick(nodes))
    this.#say(`node ${node.id} is paused`)
    node.pause()
    this.#later(this.#while(), () => {
      this.#say(`node ${node.id} goes on`)
      node.goOn()
    })
  }

  // -------------------------------------------------------------- network

  #cut(links: readonly Link[], forMs: number): void {
    const { dice, network } = this.#options
    const how = dice.chance(60) ? 'lose' : 'hold'
    this.#say(`cut, ${how}: ${links.map(({ from, to }) => `${from}>${to}`).join(' ')}`)
    network.cut(links, how)
    this.#later(forMs, () => {
      this.#say('mended')
      network.mend(links)
    })
  }

  #links(isCut: (from: number, to: number) => boolean): Link[] {
    const ids = this.#options.nodes.map(({ id }) => id)
    const all = ids.flatMap(from => ids.map(to => ({ from, to })))
    return all.filter(({ from, to }) => from !== to && isCut(from, to))
  }

  #isolate(): void {
    const { id } = this.#leaderOr(this.#options.dice.pick(this.#options.nodes))
    this.#cut(
      this.#links((from, to) => from === id || to === id),
      this.#while(),
    )
  }

  /** Two sides; sometimes one node is in both: a bridge. */
  #split(): void {
    const { dice, nodes } = this.#options
    const ids = nodes.map(({ id }) => id)
    const side = new Set(dice.some(ids))
    const bridge = dice.chance(30) ? dice.pick(ids) : 0
    this.#cut(
      this.#links(
        (from, to) => side.has(from) !== side.has(to) && from !== bridge && to !== bridge,
      ),
      this.#while(),
    )
  }

  /** Each node reaches its neighbours only. */
  #ring(): void {
    const count = this.#options.nodes.length
    this.#cut(
      this.#links((from, to) => ![1, count - 1].includes((from - to + count) % count)),
      this.#while(),
    )
  }

  #oneWay(): void {
    const { dice, nodes } = this.#options
    const { id } = this.#leaderOr(dice.pick(nodes))
    const kind = dice.below(3)
    this.#cut(
      this.#links((from, to) =>
        kind === 0 ? from === id : kind === 1 ? to === id : dice.chance(30),
      ),
      this.#while(),
    )
  }

  #badWeather(): void {
    const { dice, network } = this.#options
    network.weather = {
      lossPercent: dice.pick([0, 5, 30]),
      doubledPercent: dice.pick([0, 10, 30]),
      latencyMs: dice.pick([2, 10, this.#electionMs]),
      lateMs: this.#electionMs * dice.whole(1, 8),
      latePercent: dice.pick([0, 5, 20]),
    }
    this.#later(2 * this.#while(), () => {
      network.weather = { ...FAIR_WEATHER }
    })
  }

  // -------------------------------------------------------------- operators

  #leaders(): { node: SimNode; group: number }[] {
    const { nodes, settings } = this.#options
    return nodes.flatMap(node =>
      Array.from({ length: settings.groups }, (_, group) => ({ node, group })).filter(
        ({ group }) => node.isUp && node.replica(group).core.role === 'leader',
      ),
    )
  }

  /** A leader of some group, most of the time, if there is one. */
  #leaderOr(other: SimNode): SimNode {
    const leaders = this.#leaders()
    const { dice } = this.#options
    return leaders.length > 0 && dice.chance(60) ? dice.pick(leaders).node : other
  }

  #transfer(): void {
    const { dice, nodes } = this.#options
    for (const { node, group } of this.#leaders()) {
      const target = dice.pick(nodes).id
      this.#say(`group ${group} of ${node.id} is to be led by ${target}`)
      node.ask(group, ({ core }) => core.transferLeadership(target))
    }
  }

  #transferAndCut(): void {
    const { dice } = this.#options
    for (const { node, group } of this.#leaders()) {
      this.#say(`group ${group} of ${node.id} is to be led by another, and it hears no more`)
      node.ask(group, ({ core }) => {
        core.transferLeadership(dice.pick(core.status().configuration.voters))
      })
      this.#later(dice.between(0, 12), () => this.#deafen(node, group, false))
    }
  }

  /**
   * Some followers hear the leader no more, then it is alone. Those that it could reach to the
   * end have promised to wait, though they restart or an operator wants one of them to campaign.
   */
  #tempt(): void {
    const { dice, nodes } = this.#options
    const leaders = this.#leaders()
    if (leaders.length === 0) return
    const { node: leader, group } = dice.pick(leaders)
    const { voters } = leader.replica(group).core.status().configuration
    const others = nodes.filter(node => node !== leader && voters.includes(node.id))
    const first = dice.below(others.length + 1)
    const isLost = (id: number): boolean =>
      others.some((node, i) => node.id === id && (i + first) % others.length < others.length >> 1)
    const longMs = this.#electionMs * dice.between(1.5, 3)
    const isBetween = (from: number, to: number): boolean =>
      (from === leader.id && isLost(to)) || (to === leader.id && isLost(from))
    this.#cut(this.#links(isBetween), longMs + this.#electionMs)
    this.#later(longMs, () => {
      this.#deafen(leader, group, true)
      const restarts = dice.chance(70)
      for (const node of others) {
        if (!restarts || isLost(node.id)) continue
        node.stop('a restart')
        node.start()
      }
      if (others.length > 0) dice.pick(others).ask(group, ({ core }) => core.campaign())
    })
  }

  /** The leader hears nobody for a while, but is asked: whatever it still answers must be right. */
  #deafen(leader: SimNode, group: number, isMute: boolean): void {
    const forMs = this.#while()
    const { id } = leader
    this.#cut(
      this.#links((from, to) => to === id || (isMute && from === id)),
      forMs,
    )
    this.#askReads(leader, group, this.#options.queue.nowMs + Math.min(forMs, this.#electionMs))
  }

  #askReads(leader: SimNode, group: number, untilMs: number): void {
    const { dice, queue } = this.#options
    if (queue.nowMs > untilMs || !leader.isUp) return
    if (leader.replica(group).core.role !== 'leader') return
    leader.read(group, 'any', () => {})
    this.#later(dice.between(1, 8), () => this.#askReads(leader, group, untilMs))
  }

  #change(): void {
    const { dice, nodes } = this.#options
    const leaders = this.#leaders()
    if (leaders.length === 0) return
    const { node, group } = dice.pick(leaders)
    const changes = Array.from(
      { length: dice.below(4) },
      (): MemberChange => ({ operation: dice.pick(OPERATIONS), member: dice.pick(nodes).id }),
    )
    const change: ConfigChange = { transition: dice.pick(TRANSITIONS), changes }
    this.#say(`change of group ${group} by ${node.id}: ${JSON.stringify(change)}`)
    node.ask(group, ({ core }) => core.proposeChange(change))
  }

  /**
   * Some voters are removed, and apply so late that they go by the old configuration, in which they
   * may be a majority; then they are among themselves.
   */
  #leaveBehind(): void {
    const { dice, nodes } = this.#options
    const leaders = this.#leaders()
    if (leaders.length === 0) return
    const { node: leader, group } = dice.pick(leaders)
    const { voters } = leader.replica(group).core.status().configuration
    const left = dice.some(nodes.filter(node => node !== leader && voters.includes(node.id)))
    const ids = left.map(({ id }) => id)
    this.#say(`group ${group} leaves ${ids} behind`)
    for (const node of left) node.applyDelayMs = 4 * this.#electionMs
    const changes = ids.map((member): MemberChange => ({ operation: 'remove', member }))
    leader.ask(group, ({ core }) => core.proposeChange({ transition: 'auto', changes }))
    this.#later(dice.between(10, 100), () => {
      const forMs = this.#electionMs * dice.between(2, 4)
      this.#cut(
        this.#links((from, to) => ids.includes(from) !== ids.includes(to)),
        forMs,
      )
      this.#later(forMs, () => {
        for (const node of left) node.applyDelayMs = APPLY_DELAY_MS
      })
    })
  }

  #campaign(): void {
    const { dice, nodes, settings } = this.#options
    dice.pick(nodes).ask(dice.below(settings.groups), ({ core }) => core.campaign())
  }

  #forgetLeader(): void {
    const { dice, nodes, settings } = this.#options
    dice.pick(nodes).ask(dice.below(settings.groups), ({ core }) => core.forgetLeader())
  }

  /** A transport that is wrong about what became of its messages. */
  #report(): void {
    const { dice, nodes } = this.#options
    const other = dice.pick(nodes).id
    for (const { node, group } of this.#leaders()) {
      if (dice.chance(50)) node.ask(group, ({ core }) => core.reportUnreachable(other))
      else node.ask(group, ({ core }) => core.reportSnapshot(other, dice.chance(50)))
    }
  }
}
