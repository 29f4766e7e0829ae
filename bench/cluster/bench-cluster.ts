/** Nodes as processes of this machine, over loopback, with one directory as their bucket. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { MetastoreOptions } from '../../src/index.ts'
import { DOMAINS } from '../stores.ts'
import { freePorts, HOST } from './free-ports.ts'
import type { NodeRequests, NodeResponse, RequestName } from './node-requests.ts'

const PROGRAM = fileURLToPath(new URL('./cluster-node.js', import.meta.url))
const NODES = 3
const CLUSTER_ID = '5b1f2c3d-0000-4000-8000-000000000001'
/** Large enough that nothing is flushed. */
const MEMTABLE_BYTES_MAX: number = 128 * 1024 * 1024
const LOOK_MS = 20
const TRANSFER_ATTEMPTS = 10
const SETTLE_TIMEOUT_MS = 60_000

export interface BenchClusterOptions {
  /** Default 3; one is no cluster. */
  nodes?: number
  electionTimeoutMs: number
  /** Instead of the bench's own. */
  options?: Partial<MetastoreOptions>
}

export class BenchCluster implements AsyncDisposable {
  readonly #directory: string
  readonly #ports: readonly number[]
  readonly #settings: BenchClusterOptions
  /** By node id. */
  readonly #nodes = new Map<number, NodeProcess>()

  private constructor(directory: string, ports: readonly number[], settings: BenchClusterOptions) {
    this.#directory = directory
    this.#ports = ports
    this.#settings = settings
  }

  /** Resolves when all partitions are led, as spreadLeaders() has it. */
  static async start(directory: string, settings: BenchClusterOptions): Promise<BenchCluster> {
    const ports = await freePorts(settings.nodes ?? NODES)
    const cluster = new BenchCluster(directory, ports, settings)
    try {
      await Promise.all(cluster.nodeIds.map(nodeId => cluster.open(nodeId)))
      await cluster.spreadLeaders()
    } catch (error) {
      await cluster[Symbol.asyncDispose]()
      throw error
    }
    return cluster
  }

  get nodeIds(): number[] {
    return this.#ports.map((_, i) => i + 1)
  }

  /** Starts a node's process; resolves when its member is open. */
  async open(nodeId: number): Promise<void> {
    const node = new NodeProcess()
    this.#nodes.set(nodeId, node)
    await node.ask('open', this.#options(nodeId))
  }

  /** Where it is kept, and as what: all that a restore gets to know. */
  get source(): { objectStore: string; clusterId: string } {
    return { objectStore: `file:${join(this.#directory, 'bucket')}`, clusterId: CLUSTER_ID }
  }

  #options(nodeId: number): MetastoreOptions {
    const { electionTimeoutMs, options } = this.#settings
    const members = this.#ports.map((port, i) => ({ nodeId: i + 1, host: HOST, port }))
    return {
      dataDir: join(this.#directory, `node-${nodeId}`),
      ...this.source,
      partitions: DOMAINS,
      memtableBytesMax: MEMTABLE_BYTES_MAX,
      ...options,
      ...(members.length > 1 && {
        cluster: {
          nodeId,
          listen: { host: HOST, port: this.#ports[nodeId - 1] },
          members,
          secret: 'of the bench',
          electionTimeoutMs,
        },
      }),
    }
  }

  ask<N extends RequestName>(
    nodeId: number,
    name: N,
    ask: NodeRequests[N]['ask'],
  ): Promise<NodeRequests[N]['answer']> {
    const node = this.#nodes.get(nodeId)
    if (node === undefined) throw new Error(`node ${nodeId} is not there`)
    return node.ask(name, ask)
  }

  /** The same of all nodes that are there, at the same time. */
  askAll<N extends RequestName>(
    name: N,
    ask: NodeRequests[N]['ask'],
  ): Promise<NodeRequests[N]['answer'][]> {
    return Promise.all([...this.#nodes.values()].map(node => node.ask(name, ask)))
  }

  /**
   * Lets each node lead as many metastore partitions as another: the first elections are won by
   * whoever was there first.
   */
  async spreadLeaders(): Promise<number[]> {
    const wanted = (domain: number): number => this.nodeIds[domain % this.nodeIds.length]
    for (let attempt = 0; attempt < TRANSFER_ATTEMPTS; attempt++) {
      const leaders = await this.settled()
      const others = leaders.flatMap((leader, domain) =>
        leader === wanted(domain) ? [] : [domain],
      )
      if (others.length === 0) return leaders
      for (const partition of others) {
        // One that does not succeed in time leaves everything as it was.
        await this.ask(wanted(partition), 'lead', { partition }).catch(() => {})
      }
    }
    throw new Error(`leaders could not be spread in ${TRANSFER_ATTEMPTS} attempts`)
  }

  /**
   * The leaders by metastore partition. Waits until all nodes that are there say the same, and have
   * caught up with one another; to be called while nobody writes.
   */
  async settled(): Promise<number[]> {
    const endsAt = performance.now() + SETTLE_TIMEOUT_MS
    for (;;) {
      const [one, ...others] = await this.askAll('partitions', undefined)
      const isSettled = one.every(
        ({ leader, sequence }, domain) =>
          this.#nodes.has(leader) &&
          others.every(of => of[domain].leader === leader && of[domain].sequence === sequence),
      )
      if (isSettled) return one.map(({ leader }) => leader)
      if (performance.now() > endsAt) throw new Error('the nodes do not come to agree')
      await sleep(LOOK_MS)
    }
  }

  /** SIGKILL. @returns when, in milliseconds since the epoch */
  kill(nodeId: number): number {
    const node = this.#nodes.get(nodeId)
    this.#nodes.delete(nodeId)
    node?.kill()
    return performance.timeOrigin + performance.now()
  }

  /** SIGKILL of all at once; resolves when they are gone. @returns as kill() */
  async killAll(): Promise<number> {
    const nodes = [...this.#nodes.values()]
    const killedAt = Date.now()
    for (const nodeId of this.nodeIds) this.kill(nodeId)
    await Promise.all(nodes.map(node => node.exited))
    return killedAt
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#nodes.values()].map(node => node.end()))
  }
}

/** A forked node, which answers one request after the other. */
class NodeProcess {
  readonly #child: ChildProcess
  readonly exited: Promise<unknown>
  #waiter: { resolve: (answer: unknown) => void; reject: (error: Error) => void } | undefined

  constructor() {
    this.#child = fork(PROGRAM, { serialization: 'advanced', stdio: ['ignore', 2, 2, 'ipc'] })
    this.exited = once(this.#child, 'exit')
    this.#child.on('message', (response: NodeResponse) => {
      if ('error' in response) this.#waiter?.reject(new Error(`a node says: ${response.error}`))
      else this.#waiter?.resolve(response.answer)
    })
    this.#child.on('exit', code => this.#waiter?.reject(new Error(`a node has ended: ${code}`)))
  }

  async ask<N extends RequestName>(
    name: N,
    ask: NodeRequests[N]['ask'],
  ): Promise<NodeRequests[N]['answer']> {
    const answer = await new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
      this.#child.send({ name, ask })
    })
    return answer as NodeRequests[N]['answer']
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  async end(): Promise<void> {
    try {
      await this.ask('close', undefined)
    } finally {
      if (this.#child.connected) this.#child.disconnect()
      await this.exited
    }
  }
}
