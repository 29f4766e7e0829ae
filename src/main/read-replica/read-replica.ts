/** The public face of a read replica: all reads (metastore-reads.ts), of what the bucket has. */
import { invalidRequest } from '../../codec/errors.ts'
import { TP_BYTES } from '../../codec/keys.ts'
import type { ReadOptions, TopicPartition } from '../../shared/api.ts'
import { checkConsistency, MetastoreReads } from '../metastore-reads.ts'
import { type RecordDomain, RecordStore } from '../record-store.ts'
import { show } from '../show.ts'
import { ReplicaEngine } from './replica-engine.ts'
import { checkReplicaOptions, type ReadReplicaOptions } from './replica-options.ts'

/**
 * Reads a cluster from its bucket, without the cluster: docs/replicas.md. Every read sees a state
 * that was committed, and none sees an older one than a read before it; how old it may be says
 * lagMs(). Consistency is 'stale' or absent; any other is INVALID_REQUEST.
 */
export class ReadReplica extends MetastoreReads implements AsyncDisposable {
  readonly #engine: ReplicaEngine

  private constructor(engine: ReplicaEngine) {
    super({
      domains: engine.domains,
      expectOpen: () => engine.expectOpen(),
      checkConsistency: expectStale,
    })
    this.#engine = engine
  }

  /**
   * Resolves when everything is there that the bucket had at the call; no table is read for it.
   * @throws INVALID_REQUEST naming an option, or when the bucket has no such cluster (details
   *   {clusterIds: those there}), or when dataDir is another cluster's or a Metastore's; CONFLICT
   *   when it is open elsewhere; UNAVAILABLE or CORRUPTION when the bucket cannot be read
   */
  static async open(options: ReadReplicaOptions): Promise<ReadReplica> {
    return new ReadReplica(await ReplicaEngine.open(checkReplicaOptions(options)))
  }

  /**
   * Takes over what is newer in the bucket; what was put there before the call is seen by reads
   * after it. Happens by itself every refreshIntervalMs. Calls at the same time share one.
   * @throws UNAVAILABLE or CORRUPTION when the bucket cannot be read: reads go on as before
   */
  async refresh(): Promise<void> {
    this.#engine.expectOpen()
    await this.#engine.refresh()
  }

  /**
   * Milliseconds that the bucket may be ahead: now less the time of the newest state of it that was
   * taken over, of the metastore partition that is furthest behind. What the cluster has not
   * brought to the bucket yet comes on top.
   */
  lagMs(): number {
    return this.#engine.lagMs()
  }

  /** Answers what was called; leaves no thread, timer, lock or lease. May be called again. */
  close(): Promise<void> {
    return this.#engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get clusterId(): string {
    return this.#engine.cluster.clusterId
  }

  get partitionCount(): number {
    return this.#engine.domains.length
  }

  /**
   * Rows of a kind of your own; its writes are READ_ONLY.
   * @throws INVALID_REQUEST for a bad kind
   */
  records(kind: string): RecordStore {
    const placeOf = (topicPartition: TopicPartition): { domain: RecordDomain; tp: Uint8Array } => {
      const { domain, tp } = this.router.route(topicPartition, 'topicPartition')
      this.#engine.expectOpen()
      return { domain: this.#engine.domains[domain], tp: tp.subarray(0, TP_BYTES) }
    }
    return new RecordStore(kind, placeOf, expectStale)
  }
}

/** A replica cannot know what was acknowledged elsewhere. @throws INVALID_REQUEST */
function expectStale(options: ReadOptions | undefined): void {
  checkConsistency(options)
  const consistency = options?.consistency
  if (consistency === undefined || consistency === 'stale') return
  throw invalidRequest(`consistency of a read replica is stale or absent, not ${show(consistency)}`)
}
