/** A cluster of several nodes in one process, over loopback, with one bucket in memory. */
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Metastore, type MetastoreOptions } from '../../src/index.ts'
import type { ClusterOptions } from '../../src/main/cluster/cluster-options.ts'
import { freePorts } from '../free-ports.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { TestNetwork } from './test-network.ts'

let clusters = 0

interface ClusterSettings {
  /** Wires between the nodes that can be cut. */
  hasWires?: boolean
  cluster?: Partial<ClusterOptions>
}

export class TestCluster implements AsyncDisposable {
  readonly directory: string
  readonly ports: number[]
  readonly nodes: Map<number, Metastore> = new Map()
  /** Its own: ports may be another cluster's in a moment. */
  readonly #clusterId = randomUUID()
  readonly bucket: string = `memory:test-cluster-${process.pid}-${++clusters}`
  readonly #options: Partial<MetastoreOptions>
  readonly #settings: ClusterSettings
  #network: TestNetwork | undefined

  private constructor(
    directory: string,
    ports: number[],
    options: Partial<MetastoreOptions>,
    settings: ClusterSettings,
  ) {
    this.directory = directory
    this.ports = ports
    this.#options = options
    this.#settings = settings
  }

  /** Starts nodes 1 to `size`. */
  static async start(
    size: number,
    options: Partial<MetastoreOptions> = {},
    settings: ClusterSettings = {},
  ): Promise<TestCluster> {
    const ports = await freePorts(size)
    const cluster = new TestCluster(await temporaryDirectory(), ports, options, settings)
    if (settings.hasWires === true) cluster.#network = await TestNetwork.between(ports)
    await Promise.all(cluster.ports.map((_, i) => cluster.open(i + 1)))
    return cluster
  }

  /** The wires, of a cluster that has them. */
  get network(): TestNetwork {
    if (this.#network === undefined) throw new Error('the cluster was started without wires')
    return this.#network
  }

  directoryOf(nodeId: number): string {
    return join(this.directory, `node-${nodeId}`)
  }

  async open(nodeId: number, options: Partial<MetastoreOptions> = {}): Promise<Metastore> {
    const host = '127.0.0.1'
    const node = await Metastore.open({
      dataDir: this.directoryOf(nodeId),
      objectStore: this.bucket,
      clusterId: this.#clusterId,
      partitions: 2,
      workers: 1,
      ...this.#options,
      ...options,
      cluster: {
        nodeId,
        listen: { host, port: this.ports[nodeId - 1] },
        members: this.ports.map((port, i) => ({
          nodeId: i + 1,
          host,
          port: this.#network?.portFor(nodeId, i + 1) ?? port,
        })),
        electionTimeoutMs: 300,
        heartbeatIntervalMs: 50,
        secret: 'a secret of the tests',
        ...this.#settings.cluster,
      },
    })
    this.nodes.set(nodeId, node)
    return node
  }

  /** Starts one more node, which nobody knows yet. @returns its address */
  async join(): Promise<{ nodeId: number; host: string; port: number }> {
    const [port] = await freePorts(1)
    this.ports.push(port)
    const nodeId = this.ports.length
    await this.open(nodeId)
    return { nodeId, host: '127.0.0.1', port }
  }

  node(nodeId: number): Metastore {
    const node = this.nodes.get(nodeId)
    if (node === undefined) throw new Error(`node ${nodeId} is not open`)
    return node
  }

  async close(nodeId: number): Promise<void> {
    const node = this.node(nodeId)
    this.nodes.delete(nodeId)
    await node.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.nodes.values()].map(node => node.close()))
    await this.#network?.close()
    await rm(this.directory, { recursive: true })
  }
}
