/**
 * Commits that flow at a rate until the node is killed. What was acknowledged is kept in a file, so
 * that it can be compared with what the bucket gives back.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Metastore } from '../../src/index.ts'
import { Answers } from '../answers.ts'
import { Committer } from '../committer.ts'
import { Acknowledgements } from './acknowledgements.ts'
import type { Share } from './node-loads.ts'
import type { FlowReport, FlowSettings } from './node-requests.ts'

/** Partitions of each domain that a node commits to: others than those of the other nodes. */
const PARTITIONS_PER_DOMAIN = 30
const TICK_MS = 1
const LAG_LOOK_MS = 20

/** The committer of a node's flow: the i-th call is its i-th commit, here and after a restore. */
export function flowCommitter(store: Metastore, extents: number, { index }: Share): Committer {
  return new Committer(store, PARTITIONS_PER_DOMAIN, extents, index * PARTITIONS_PER_DOMAIN)
}

export class NodeFlow {
  readonly #store: Metastore
  readonly #settings: FlowSettings
  readonly #committer: Committer
  readonly #acknowledged: Acknowledgements
  readonly #answers = new Answers()
  readonly #startedAt = performance.now()
  #begun = 0
  #lagMsMax = 0
  /** What a call or a loop has failed with; nothing is begun any more. */
  #failure: unknown
  #isEnding = false
  readonly #loops: Promise<unknown>

  private constructor(store: Metastore, settings: FlowSettings, committer: Committer) {
    this.#store = store
    this.#settings = settings
    this.#committer = committer
    this.#acknowledged = new Acknowledgements(settings.journalPath)
    this.#loops = Promise.all([this.#flow(), this.#watchLag()])
  }

  /** Resolves when it flows. */
  static async begin(store: Metastore, share: Share, settings: FlowSettings): Promise<NodeFlow> {
    const committer = flowCommitter(store, settings.extents, share)
    await committer.preregister(settings.commitsMax)
    return new NodeFlow(store, settings, committer)
  }

  /** @throws what a call has failed with */
  async report(): Promise<FlowReport> {
    if (this.#failure !== undefined) throw this.#failure
    const { recoveryPointMs } = await this.#store.status()
    return {
      ...{ recoveryPointMs, at: Date.now() },
      commits: this.#acknowledged.count,
      elapsedMs: performance.now() - this.#startedAt,
      lagMsMax: this.#lagMsMax,
    }
  }

  async end(): Promise<void> {
    this.#isEnding = true
    await this.#loops
    this.#acknowledged.close()
  }

  get #isOver(): boolean {
    return this.#isEnding || this.#failure !== undefined
  }

  async #flow(): Promise<void> {
    const { ratePerSecond, inFlight } = this.#settings
    const underWay = new Set<Promise<void>>()
    while (!this.#isOver) {
      const elapsedMs = performance.now() - this.#startedAt
      const due = ratePerSecond === null ? Infinity : (elapsedMs * ratePerSecond) / 1000
      while (this.#begun < due && underWay.size < inFlight && !this.#isOver) {
        const call = this.#commit(this.#begun++).finally(() => underWay.delete(call))
        underWay.add(call)
      }
      await sleep(TICK_MS)
    }
    await Promise.all(underWay)
  }

  async #commit(call: number): Promise<void> {
    try {
      await this.#committer.commit(call, this.#answers)
      this.#acknowledged.add(call)
    } catch (error) {
      this.#failure ??= error
    }
  }

  async #watchLag(): Promise<void> {
    while (!this.#isOver) {
      const { tail } = await this.#store.status()
      this.#lagMsMax = Math.max(this.#lagMsMax, tail?.lagMs ?? 0)
      await sleep(LAG_LOOK_MS)
    }
  }
}
