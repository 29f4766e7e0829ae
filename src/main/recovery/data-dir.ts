/**
 * The dataDir: who owns it, which cluster it belongs to, and where its parts are.
 *
 *   LOCK            held, by an advisory lock of the system, while an instance has it open
 *   cluster.json    written last at creation: its presence means that creation was finished
 *   cluster.json.creating  what a creation under way is about to create
 *   node.json       of a cluster of several: which node it is, and whether it was a founder
 *   replica.json    of a read replica: who it is (codec/replica-file.ts); it has no other file
 *   log/            the Raft log (docs/log-format.md)
 *   cache/          copies of tables, under their names in the bucket
 */
import { closeSync, openSync } from 'node:fs'
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type ClusterFile, decodeCluster } from '../../codec/cluster-file.ts'
import { conflict, corruption } from '../../codec/errors.ts'
import { decodeReplica, encodeReplica, type ReplicaFile } from '../../codec/replica-file.ts'
import { fsExtensions } from '../../shared/fs-extensions.ts'
import { syncDirectory, writeDurably } from '../durable-file.ts'

const CLUSTER_FILE = 'cluster.json'
const INTENT_FILE = 'cluster.json.creating'
const NODE_FILE = 'node.json'
const REPLICA_FILE = 'replica.json'
const NODE_FORMAT = 'waymark-node'
const NODE_VERSION = 1

export interface NodeIdentity {
  readonly nodeId: number
  /**
   * Whether it was among the first voters. Else its groups have no members until others add it: a
   * voter with an empty log would have forgotten its votes.
   */
  readonly isFounder: boolean
}

export class DataDir {
  readonly path: string
  readonly #lock: number

  private constructor(path: string, lock: number) {
    this.path = path
    this.#lock = lock
  }

  /** Creates the directory when absent. @throws CONFLICT when another process or instance has it */
  static async open(dataDir: string): Promise<DataDir> {
    const path = resolve(dataDir)
    await mkdir(path, { recursive: true })
    const lock = openSync(join(path, 'LOCK'), 'a+')
    if (!fsExtensions.tryLock(lock)) {
      closeSync(lock)
      throw conflict(`dataDir ${path} is open in another process or instance`)
    }
    return new DataDir(path, lock)
  }

  /** Whether a cluster's creation was finished there; anybody may ask. */
  static isCreated(dataDir: string): Promise<boolean> {
    return exists(join(dataDir, CLUSTER_FILE))
  }

  get logDirectory(): string {
    return join(this.path, 'log')
  }

  get cacheDirectory(): string {
    return join(this.path, 'cache')
  }

  /** The cluster that the directory belongs to; undefined when it is new. @throws CORRUPTION */
  async readCluster(): Promise<ClusterFile | undefined> {
    const path = join(this.path, CLUSTER_FILE)
    try {
      return decodeCluster(await readFile(path), path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  /** What a creation that did not end was about to create; undefined when there is none. */
  async readIntent(): Promise<ClusterFile | undefined> {
    try {
      const path = join(this.path, INTENT_FILE)
      return decodeCluster(await readFile(path), path)
    } catch (error) {
      // Torn by a crash, it is as good as absent: nothing followed it.
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT' || code === 'CORRUPTION') return undefined
      throw error
    }
  }

  /** Notes what is to be created, durably, before the bucket hears of it. */
  async writeIntent(bytes: Uint8Array): Promise<void> {
    await writeDurably(this.path, INTENT_FILE, bytes)
  }

  /** Ends a creation: after this the directory is a cluster's, whatever happens. */
  async finishIntent(): Promise<void> {
    await rename(join(this.path, INTENT_FILE), join(this.path, CLUSTER_FILE))
    await syncDirectory(this.path)
  }

  /**
   * Which node of a cluster of several this is; undefined in a cluster of one.
   * @throws CORRUPTION
   */
  async readNode(): Promise<NodeIdentity | undefined> {
    const path = join(this.path, NODE_FILE)
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    if (text === undefined) return undefined
    const { format, version, nodeId, isFounder } = JSON.parse(text) as Record<string, unknown>
    const isGood =
      format === NODE_FORMAT &&
      version === NODE_VERSION &&
      Number.isSafeInteger(nodeId) &&
      typeof isFounder === 'boolean'
    if (!isGood) throw corruption(`${path} does not say which node this is`, { file: path })
    return { nodeId: nodeId as number, isFounder: isFounder as boolean }
  }

  async writeNode(node: NodeIdentity): Promise<void> {
    const text = JSON.stringify({ format: NODE_FORMAT, version: NODE_VERSION, ...node })
    await writeDurably(this.path, NODE_FILE, text)
  }

  /** Which read replica this is; undefined when it is none, or not yet. @throws CORRUPTION */
  async readReplica(): Promise<ReplicaFile | undefined> {
    const path = join(this.path, REPLICA_FILE)
    try {
      return decodeReplica(await readFile(path), path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  async writeReplica(replica: ReplicaFile): Promise<void> {
    await writeDurably(this.path, REPLICA_FILE, encodeReplica(replica))
  }

  /** Removes what a creation that did not end has left; nothing of it was ever acknowledged. */
  async clear(): Promise<void> {
    await rm(this.logDirectory, { recursive: true, force: true })
    await rm(this.cacheDirectory, { recursive: true, force: true })
    await rm(join(this.path, NODE_FILE), { force: true })
  }

  close(): void {
    fsExtensions.unlock(this.#lock)
    closeSync(this.#lock)
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
