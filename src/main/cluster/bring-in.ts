/**
 * After a restore the node that made the cluster is the only voter of every group. When the other
 * members that its options name are connected, it brings them in: a change of members, as by call.
 * Broken off, it goes on after the next opening, as long as a group has no other voter.
 */

import type { Logger } from '../logger.ts'
import type { PeerTransport } from '../net/transport.ts'
import type { Member } from './member-book.ts'

const LOOK_MS = 200

export interface BringInOptions {
  readonly others: readonly Member[]
  readonly replicationFactor: number
  readonly transport: Pick<PeerTransport, 'isReachable'>
  readonly change: (
    added: readonly Member[],
    removed: readonly number[],
    replicationFactor: number,
  ) => Promise<void>
  readonly logger: Logger
}

export class BringIn {
  readonly #options: BringInOptions
  #timer: NodeJS.Timeout | undefined
  #isChanging = false

  constructor(options: BringInOptions) {
    this.#options = options
  }

  start(): void {
    const nodeIds = this.#options.others.map(({ nodeId }) => nodeId)
    this.#options.logger.info({ nodeIds }, 'waits for the other members, to bring them in')
    this.#timer = setInterval(() => void this.#look(), LOOK_MS)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    const { others, transport, change, replicationFactor, logger } = this.#options
    if (this.#isChanging || !others.every(({ nodeId }) => transport.isReachable(nodeId))) return
    this.#isChanging = true
    try {
      await change(others, [], replicationFactor)
      this.close()
      logger.info({ replicationFactor }, 'the other members were brought in')
    } catch (error) {
      logger.warn({ err: error }, 'the other members are not brought in yet')
    } finally {
      this.#isChanging = false
    }
  }
}
