/** A cluster of several nodes in one process, over loopback, with one bucket in memory. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Metastore, type MetastoreOptions } from '../../src/index.ts'
import { freePorts } from '../free-ports.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

let clusters = 0

export class TestCluster implements AsyncDisposable {
  readonly directory: string
  readonly ports: readonly number[]
  readonly nodes: Map<number, Metastore> = new Map()
  readonly #bucket = `memory:test-cluster-${process.pid}-${++clusters}`
  readonly #options: Partial<MetastoreOptions>

  private constructor(
    directory: string,
    ports: readonly number[],
    options: Partial<MetastoreOptions>,
  ) {
    this.directory = directory
    this.ports = ports
    this.#options = options
  }

  /** Starts nodes 1 to `size`. */
  static async start(size: number, options: Partial<MetastoreOptions> = {}): Promise<TestCluster> {
    const cluster = new TestCluster(await temporaryDirectory(), await freePorts(size), options)
    await Promise.all(cluster.ports.map((_, i) => cluster.open(i + 1)))
    return cluster
  }

  async open(nodeId: number): Promise<Metastore> {
    const host = '127.0.0.1'
    const node = await Metastore.open({
      dataDir: join(this.directory, `node-${nodeId}`),
      objectStore: this.#bucket,
      partitions: 2,
      workers: 1,
      ...this.#options,
      cluster: {
        nodeId,
        listen: { host, port: this.ports[nodeId - 1] },
        members: this.ports.map((port, i) => ({ nodeId: i + 1, host, port })),
        electionTimeoutMs: 300,
        heartbeatIntervalMs: 50,
        secret: 'a secret of the tests',
      },
    })
    this.nodes.set(nodeId, node)
    return node
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
    await rm(this.directory, { recursive: true })
  }
}
