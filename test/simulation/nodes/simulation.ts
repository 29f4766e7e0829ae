/**
 * A whole cluster of nodes in virtual time, decided by its seed: the production code from callers
 * down to log, state machine and bucket. Storms of faults while clients work, and between them calms
 * in which every group must go on, flush, and be the same everywhere.
 */
import assert from 'node:assert/strict'
import type { ClusterFile } from '../../../src/codec/cluster-file.ts'
import { assertLinearizable } from '../../linearizability/checker.ts'
import { keyValue } from '../../linearizability/key-value.ts'
import { Dice } from '../dice.ts'
import { EventQueue } from '../event-queue.ts'
import { SimulationFailure } from '../failure.ts'
import { Network } from '../network.ts'
import { NO_TRACE, type Trace, Transcript } from '../trace.ts'
import { Bucket } from './bucket.ts'
import { Calm } from './calm.ts'
import { Clients } from './clients.ts'
import { Invariants } from './invariants.ts'
import { Nemesis } from './nemesis.ts'
import { Operators } from './operators.ts'
import type { Packet } from './peers.ts'
import { Registrants } from './registrants.ts'
import { drawSettings, type NodeSettings } from './settings.ts'
import { SimNode } from './sim-node.ts'
import { VirtualTime } from './virtual-time.ts'

const STORMS = 2
const STORM_MS = 3000
/** What calls, elections, retries and flushes may take when nothing is in their way. */
const CALM_MS_MAX = 90_000
const LOOK_MS = 300
/** What a node may take to close, in calm. */
const CLOSE_MS_MAX = 5000
/** Only workers and bucket are slow for so long. */
const SLOW_MS = 2000
export const CREATED_AT = 1_750_000_000_000

/** What a run came to; of runs that never did a thing nothing is shown. */
export interface NodeOutcome {
  readonly leaderships: number
  readonly manifests: number
  readonly cuts: number
  readonly rebuilds: number
  readonly writes: number
  readonly reads: number
  readonly refused: number
  readonly unknown: number
  readonly requests: number
  readonly repeats: number
  readonly collected: number
  readonly changes: number
  readonly frames: number
  readonly tails: number
  readonly timeMs: number
}

/** What a play has to do with. */
export interface Stage {
  readonly settings: NodeSettings
  readonly queue: EventQueue
  readonly cluster: ClusterFile
  readonly nodes: readonly SimNode[]
  readonly bucket: Bucket
  readonly clients: Clients
  readonly calm: Calm
  /** Virtual time passes. */
  pass(forMs: number): Promise<void>
  callersGoOn(): void
  callersPause(): void
  /** Everything settles, is written to and flushed, and is the same everywhere. */
  expectCalm(): Promise<void>
}

/** What happens in place of the storms, from the start of the nodes to the reads at the end. */
export type Play = (stage: Stage) => Promise<void>

/**
 * Runs a seed. One that fails is run again, to have its transcript; it must fail in the same way.
 * @param changed settings that shall not be those of the seed
 * @throws SimulationFailure
 */
export async function simulateNodes(
  seed: number,
  changed: Partial<NodeSettings> = {},
  play?: Play,
): Promise<NodeOutcome> {
  const first = await outcomeOf(new NodeSimulation(seed, changed, false), play)
  if (!(first instanceof Error)) return first
  const again = new NodeSimulation(seed, changed, true)
  const second = await outcomeOf(again, play)
  const isSame = second instanceof Error && second.message === first.message
  const cause = isSame ? first : new Error('not deterministic: it went otherwise the second time')
  throw new SimulationFailure(seed, cause, again.transcript.lines)
}

/** A seed with all that happens, line by line. */
export async function transcriptOf(seed: number): Promise<readonly string[]> {
  const simulation = new NodeSimulation(seed, {}, true)
  await outcomeOf(simulation)
  return simulation.transcript.lines
}

async function outcomeOf(simulation: NodeSimulation, play?: Play): Promise<NodeOutcome | Error> {
  try {
    return await simulation.run(play)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

class NodeSimulation {
  readonly transcript: Transcript
  readonly #queue = new EventQueue()
  readonly #time: VirtualTime
  readonly #settings: NodeSettings
  readonly #bucket: Bucket
  readonly #network: Network<Packet>
  readonly #nodes: SimNode[] = []
  readonly #invariants: Invariants
  readonly #cluster: ClusterFile
  readonly #clients: Clients
  readonly #registrants: Registrants
  readonly #operators: Operators
  readonly #calm: Calm
  readonly #nemesis: Nemesis
  readonly #trace: Trace
  #requests = 0
  #defect: unknown

  constructor(seed: number, changed: Partial<NodeSettings>, keepsTranscript: boolean) {
    const dice = new Dice(seed)
    const queue = this.#queue
    const settings = { ...drawSettings(dice), ...changed }
    this.#settings = settings
    this.transcript = new Transcript(() => queue.nowMs)
    const trace = keepsTranscript ? this.transcript.trace : NO_TRACE
    this.#trace = trace
    trace(() => JSON.stringify(settings))
    const time = new VirtualTime(queue, dice.fork())
    this.#time = time
    const onDefect = (error: unknown): void => {
      this.#defect ??= error
    }
    this.#bucket = new Bucket(() => CREATED_AT + queue.nowMs + settings.bucketSkewMs, onDefect)
    this.#invariants = new Invariants(this.#bucket)
    this.#network = new Network(queue, dice.fork(), packet => {
      const node = this.#nodes[packet.to - 1]
      trace(() => `${packet.from} > ${packet.to}: ${packet.frame.length} bytes`)
      node.host.run(() => node.running?.peers?.receive(packet))
    })
    const wire = {
      send: (packet: Packet) => this.#network.send(packet),
      isUp: (id: number) => this.#nodes[id - 1]?.host.isUp ?? false,
      lifeOf: (id: number) => this.#nodes[id - 1]?.host.life ?? 0,
      connects: (id: number, to: number) =>
        this.#nodes[id - 1]?.running?.peers?.connects(to) ?? false,
      nextRequest: () => ++this.#requests,
    }
    const cluster = clusterOf(settings)
    this.#cluster = cluster
    const shared = { settings, cluster, queue, time, wire, bucket: this.#bucket, trace, onDefect }
    const addNode = (id: number, members: readonly number[]): SimNode => {
      const node = new SimNode({ ...shared, id, members, dice: dice.fork() })
      this.#nodes.push(node)
      return node
    }
    const founders = cluster.founders ?? []
    for (const id of founders) addNode(id, founders)
    const world = { settings, queue, trace, nodes: this.#nodes, bucket: this.#bucket, onDefect }
    this.#clients = new Clients({ ...world, dice: dice.fork() })
    this.#registrants = new Registrants({ ...world, dice: dice.fork() })
    this.#operators = new Operators({
      ...{ ...world, dice: dice.fork() },
      addNode: members => {
        const id = this.#nodes.length + 1
        return addNode(id, [...members, id])
      },
    })
    const [network, operators] = [this.#network, this.#operators]
    this.#nemesis = new Nemesis({ ...world, dice: dice.fork(), network, operators })
    this.#calm = new Calm({
      ...{ ...world, operators, clients: this.#clients, registrants: this.#registrants },
    })
  }

  async run(play: Play = () => this.#storms()): Promise<NodeOutcome> {
    this.#time.install()
    try {
      for (const node of this.#nodes) this.#queue.after(0, () => node.start())
      await play(this.#stage())
      await this.#readAll()
    } finally {
      this.#time.uninstall()
      for (const node of this.#nodes) node.stop('process', 'the end')
    }
    assertLinearizable(keyValue, this.#clients.operations)
    const { leaderships, manifests, cuts, rebuilds } = this.#invariants
    const { writes, reads, refused, unknown } = this.#clients
    const { requests, repeats } = this.#registrants
    const { collected } = this.#bucket.guard
    const tails = this.#bucket.tails.count
    const { nowMs: timeMs } = this.#queue
    return {
      ...{ leaderships, manifests, cuts, rebuilds, writes, reads, refused, unknown },
      ...{
        requests,
        repeats,
        collected,
        tails,
        changes: this.#operators.changes,
        frames: this.#network.sent,
        timeMs,
      },
    }
  }

  async #storms(): Promise<void> {
    for (let storm = 0; storm < STORMS; storm++) {
      this.#callersGoOn()
      this.#nemesis.start()
      await this.#pass(STORM_MS)
      this.#nemesis.calm()
      this.#callersPause()
      await this.#expectCalm()
      if (storm > 0) continue
      await this.#expectHandOver()
      await this.#expectSteadyTerms()
    }
  }

  #stage(): Stage {
    return {
      ...{ settings: this.#settings, queue: this.#queue, cluster: this.#cluster },
      ...{ nodes: this.#nodes, bucket: this.#bucket, clients: this.#clients, calm: this.#calm },
      pass: forMs => this.#pass(forMs),
      callersGoOn: () => this.#callersGoOn(),
      callersPause: () => this.#callersPause(),
      expectCalm: () => this.#expectCalm(),
    }
  }

  #callersGoOn(): void {
    this.#clients.goOn()
    this.#registrants.goOn()
  }

  #callersPause(): void {
    this.#clients.pause()
    this.#registrants.pause()
  }

  async #pass(forMs: number): Promise<void> {
    await this.#time.runUntil(this.#queue.nowMs + forMs, this.#afterEach)
  }

  /** After an event and its microtasks. */
  readonly #afterEach = (): void => {
    const { owner } = this.#time
    const node = this.#nodes.find(({ host }) => host === owner)
    if (node !== undefined) {
      const wasUp = node.host.isUp
      this.#invariants.observe(node)
      node.settle()
      if (wasUp !== node.host.isUp) this.#noticed(node)
    } else this.#noticeStops()
    if (this.#defect !== undefined) throw this.#defect
  }

  readonly #up = new Map<number, number>()

  /** Nodes that were stopped or started by an event of the world. */
  #noticeStops(): void {
    for (const node of this.#nodes) {
      const life = node.host.isUp ? node.host.life : -1
      if (this.#up.get(node.id) !== life) this.#noticed(node)
    }
  }

  #noticed({ id, host }: SimNode): void {
    this.#up.set(id, host.isUp ? host.life : -1)
    for (const other of this.#nodes) if (other.id !== id) other.running?.peers?.noticed(id)
  }

  // -------------------------------------------------------------- calm

  /** Faults have stopped: everything that waits is settled, and all nodes are the same. */
  async #expectCalm(): Promise<void> {
    this.#trace(() => '-- calm')
    const endMs = this.#queue.nowMs + CALM_MS_MAX
    let why = ''
    let isFlushed = false
    while (this.#queue.nowMs < endMs) {
      // A sync that failed in the storm may be told of, and end its node, in the calm.
      for (const node of this.#nodes) this.#queue.after(0, () => node.start())
      await this.#pass(LOOK_MS)
      why = this.#calm.unsettled()
      if (why !== '') continue
      if (isFlushed) {
        await this.#calm.expectSame()
        return
      }
      // With everything settled each domain writes something new, and flushes.
      why = this.#calm.unshipped()
      if (why !== '') continue
      isFlushed = await this.#probe(endMs)
    }
    assert.fail(`no end of the calm: ${why}`)
  }

  /** @returns whether all domains were written to and flushed */
  async #probe(endMs: number): Promise<boolean> {
    let done = 0
    const isAsked = this.#calm.probe(() => {
      done++
    })
    if (!isAsked) return false
    for (let looks = 0; looks < 20 && this.#queue.nowMs < endMs; looks++) {
      await this.#pass(LOOK_MS)
      if (done === this.#settings.domains) return true
    }
    return false
  }

  /** A node that closes leaves no domain without a leader that it can hand over. */
  async #expectHandOver(): Promise<void> {
    const node = this.#calm.leaderOf(0)?.node
    assert.ok(node !== undefined)
    const left: number[] = []
    let isClosed = false
    const closed = (): void => {
      isClosed = true
      for (const domain of led) {
        const isLed = this.#nodes.some(({ open }) => open?.replication?.node.isLeader(domain))
        if (!isLed) left.push(domain)
      }
    }
    const led = this.#calm.sharedDomainsOf(node)
    this.#queue.after(0, () => node.close(closed))
    const endMs = this.#queue.nowMs + CLOSE_MS_MAX
    while (!isClosed && this.#queue.nowMs < endMs) await this.#pass(LOOK_MS)
    assert.ok(isClosed, `node ${node.id} does not come to an end`)
    assert.deepEqual(left, [], `domains that node ${node.id} has left without a leader`)
    await this.#expectCalm()
  }

  /** Workers and the bucket say nothing about who is alive. */
  async #expectSteadyTerms(): Promise<void> {
    this.#trace(() => '-- slow workers, no bucket')
    const before = this.#calm.terms()
    for (const node of this.#nodes) {
      node.workerDelayMs = 900
      node.bucket.weather = { ...node.bucket.weather, latencyMs: 3000, failedPercent: 50 }
    }
    this.#callersGoOn()
    await this.#pass(SLOW_MS)
    assert.deepEqual(this.#calm.terms(), before, 'terms while only workers and bucket were slow')
    this.#callersPause()
    this.#nemesis.calm()
    await this.#expectCalm()
  }

  /** Every key once more, at every node. */
  async #readAll(): Promise<void> {
    const nodes = this.#nodes.filter(({ isGone }) => !isGone)
    for (const node of nodes) {
      for (let domain = 0; domain < this.#settings.domains; domain++) {
        for (let key = 0; key < this.#settings.keys; key++) {
          const input = { do: 'get', key: `${domain}/${key}` } as const
          // A call to the bucket that hangs since the storm may hold one back to its deadline.
          const ask = (): void =>
            this.#clients.call(0, node, input, isAnswered => {
              if (!isAnswered) this.#queue.after(LOOK_MS, ask)
            })
          this.#queue.after(0, ask)
        }
      }
    }
    const { domains, keys } = this.#settings
    const expected = this.#clients.reads + nodes.length * domains * keys
    const endMs = this.#queue.nowMs + CALM_MS_MAX
    while (this.#clients.reads < expected && this.#queue.nowMs < endMs) await this.#pass(LOOK_MS)
    assert.equal(this.#clients.reads, expected, 'reads at the end')
  }
}

function clusterOf({ domains, nodes }: NodeSettings): ClusterFile {
  const uuid = (number: number): string =>
    `00000000-0000-4000-8000-${`${number}`.padStart(12, '0')}`
  return {
    clusterId: uuid(999),
    hashing: 'murmur2',
    domains: Array.from({ length: domains }, (_, domain) => uuid(domain + 1)),
    createdAt: CREATED_AT,
    founders: Array.from({ length: nodes }, (_, i) => i + 1),
  }
}
