/** Nodes as processes, with a proxy for each way from one to another, and all of it in one folder. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PartitionStatus } from '../../src/index.ts'
import { freePorts } from '../free-ports.ts'
import { ChaosNode } from './chaos-node.ts'
import { FAIR_BUCKET } from './faulty-object-store.ts'
import { FAIR, TcpProxy } from './tcp-proxy.ts'

export interface ClusterSettings {
  readonly nodes: number
  readonly replicas: number
  readonly partitions: number
  readonly electionTimeoutMs: number
  /** With a small file system of its own for each node's data; needs root. */
  readonly hasSmallDisks: boolean
}

/** One id for all: each node sees the others at other addresses. */
const CLUSTER_ID = '11111111-2222-4333-8444-555555555555'
const HOST = '127.0.0.1'
const KIB = 1024
const SMALL_DISK_MIB = 192
const FILLER = 'filler'

export class ChaosCluster {
  readonly settings: ClusterSettings
  readonly nodes: readonly ChaosNode[]
  readonly #proxies: ReadonlyMap<string, TcpProxy>
  readonly #directory: string
  #mounts: string[] = []

  private constructor(
    settings: ClusterSettings,
    directory: string,
    nodes: ChaosNode[],
    proxies: Map<string, TcpProxy>,
  ) {
    this.settings = settings
    this.#directory = directory
    this.nodes = nodes
    this.#proxies = proxies
  }

  /** @param directory an empty one; it is removed by the end() */
  static async start(
    settings: ClusterSettings,
    directory: string,
    onProblem: (problem: string) => void,
  ): Promise<ChaosCluster> {
    const { nodes: size } = settings
    const ids = Array.from({ length: size }, (_, i) => i + 1)
    const ports = await freePorts(size * size)
    /** Where `from` finds `to`; its own is where it listens. */
    const port = (from: number, to: number): number => ports[(from - 1) * size + to - 1]
    const proxies = new Map<string, TcpProxy>()
    for (const from of ids) {
      for (const to of ids.filter(id => id !== from)) {
        proxies.set(`${from}>${to}`, await TcpProxy.start(port(to, to), port(from, to)))
      }
    }
    const nodes = ids.map(nodeId => {
      const members = ids.map(to => ({ nodeId: to, host: HOST, port: port(nodeId, to) }))
      const dataDir = join(directory, `node-${nodeId}`)
      mkdirSync(dataDir)
      return new ChaosNode(
        nodeId,
        {
          bucketDirectory: join(directory, 'bucket'),
          logFile: join(directory, `node-${nodeId}.log`),
          options: nodeOptions(settings, nodeId, dataDir, members),
        },
        onProblem,
      )
    })
    const cluster = new ChaosCluster(settings, directory, nodes, proxies)
    try {
      if (settings.hasSmallDisks) cluster.#mountDisks()
      await Promise.all(nodes.map(node => node.start()))
      return cluster
    } catch (error) {
      await cluster.end()
      throw error
    }
  }

  proxy(from: number, to: number): TcpProxy {
    const proxy = this.#proxies.get(`${from}>${to}`)
    if (proxy === undefined) throw new Error(`there is no way from ${from} to ${to}`)
    return proxy
  }

  get proxies(): TcpProxy[] {
    return [...this.#proxies.values()]
  }

  // -------------------------------------------------------------- disks

  #mountDisks(): void {
    for (const { nodeId } of this.nodes) {
      const path = join(this.#directory, `node-${nodeId}`)
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SMALL_DISK_MIB}m`, 'tmpfs', path])
      this.#mounts.push(path)
    }
  }

  get hasSmallDisks(): boolean {
    return this.#mounts.length > 0
  }

  /** Takes all the room that is left. */
  fillDisk(nodeId: number): void {
    const part = new Uint8Array(64 * KIB)
    try {
      for (;;) writeFileSync(this.#filler(nodeId), part, { flag: 'a' })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }

  clearDisk(nodeId: number): void {
    rmSync(this.#filler(nodeId), { force: true })
  }

  #filler(nodeId: number): string {
    return join(this.#directory, `node-${nodeId}`, FILLER)
  }

  // -------------------------------------------------------------- the end

  /** No more faults: all nodes run, and reach each other and their disk and bucket. */
  async heal(): Promise<void> {
    for (const proxy of this.proxies) proxy.weather = FAIR
    await Promise.all(
      this.nodes.map(async node => {
        node.signal('SIGCONT')
        if (this.hasSmallDisks) this.clearDisk(node.nodeId)
        // Its disk may still be broken, or it may be failing by it just now.
        if (node.mayFail) await node.kill()
        node.mayFail = false
        if (!node.isRunning) await node.start()
        await node.ask('bucket', { weather: FAIR_BUCKET })
      }),
    )
  }

  /**
   * Waits until all replicas of a partition are at the same sequence, and somebody leads it.
   * @returns for each partition the nodes that have it
   */
  async converged(deadlineMs: number): Promise<ChaosNode[][]> {
    const endsAt = performance.now() + deadlineMs
    for (;;) {
      const views = await Promise.all(
        this.nodes.map(async node => ({ node, status: await node.ask('status', {}) })),
      )
      const replicas = Array.from({ length: this.settings.partitions }, (_, partition) =>
        views
          .map(({ node, status }) => ({ node, is: status.partitions[partition] }))
          .filter(({ is }) => is.role !== 'none'),
      )
      if (replicas.every(of => isConverged(of.map(({ is }) => is)))) {
        return replicas.map(of => of.map(({ node }) => node))
      }
      if (performance.now() > endsAt) {
        const states = replicas.map(of =>
          of.map(
            ({ node, is }) => `${node.nodeId}: ${is.role} of ${is.leader}, ${is.committedSequence}`,
          ),
        )
        throw new Error(`not converged in ${deadlineMs} ms: ${JSON.stringify(states)}`)
      }
      await sleep(50)
    }
  }

  /** Whatever state it is in: nothing is left of it but the logs' folder. */
  async end(): Promise<void> {
    for (const node of this.nodes) node.signal('SIGCONT')
    await Promise.all(this.nodes.map(node => node.kill()))
    await Promise.all(this.proxies.map(proxy => proxy.close()))
    for (const path of this.#mounts.splice(0)) execFileSync('umount', [path])
  }
}

function isConverged(replicas: readonly PartitionStatus[]): boolean {
  const [{ leader, committedSequence }] = replicas
  return (
    leader !== null &&
    replicas.some(({ role }) => role === 'leader') &&
    replicas.every(is => is.leader === leader && is.committedSequence === committedSequence)
  )
}

/** Small memtables and a small log: tables, manifests, cuts and snapshots come often. */
function nodeOptions(
  settings: ClusterSettings,
  nodeId: number,
  dataDir: string,
  members: { nodeId: number; host: string; port: number }[],
): ConstructorParameters<typeof ChaosNode>[1]['options'] {
  const { partitions, replicas, electionTimeoutMs } = settings
  return {
    dataDir,
    clusterId: CLUSTER_ID,
    partitions,
    workers: 1,
    ioThreads: { min: 1, max: 1 },
    flushIntervalMs: 3_000,
    memtableBytesMax: 128 * KIB,
    logBytesMax: 512 * KIB,
    garbageDelayMs: 20_000,
    cluster: {
      nodeId,
      listen: { host: HOST, port: members[nodeId - 1].port },
      members,
      replicationFactor: replicas,
      secret: 'a secret of the chaos',
      electionTimeoutMs,
    },
  }
}
