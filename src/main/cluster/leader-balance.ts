/**
 * Spreads leadership: from time to time a node hands one of its groups over to the voter that
 * should lead it (placement.ts), if that one is well, has the whole log and has replayed it.
 */
import type { PeerTransport } from '../net/transport.ts'
import type { RaftNode } from '../replication/raft-node.ts'
import { preferredLeader } from './placement.ts'

export interface LeaderBalanceOptions {
  readonly nodeId: number
  readonly node: RaftNode
  readonly transport: Pick<PeerTransport, 'isReachable'>
  readonly groups: number
  readonly isLeading: (group: number) => boolean
  /** Whether a member could lead the group and write at once. */
  readonly isReady: (group: number, member: number) => Promise<boolean>
  readonly handOver: (group: number, target: number) => Promise<void>
  /** Milliseconds from look to look; long enough that a node that comes and goes gets nothing. */
  readonly intervalMs: number
}

export class LeaderBalance {
  readonly #options: LeaderBalanceOptions
  #timer: NodeJS.Timeout | undefined
  #isHandingOver = false

  constructor(options: LeaderBalanceOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), this.#options.intervalMs)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Hands over one group, if one should be led elsewhere. */
  async look(): Promise<void> {
    if (this.#isHandingOver) return
    this.#isHandingOver = true
    try {
      for (let group = 0; group < this.#options.groups; group++) {
        const target = this.#targetOf(group)
        if (target === undefined || !(await this.#options.isReady(group, target))) continue
        await this.#options.handOver(group, target)
        return
      }
    } catch {
      // It leads as well as before; the next look tries again.
    } finally {
      this.#isHandingOver = false
    }
  }

  #targetOf(group: number): number | undefined {
    const { nodeId, node, transport, isLeading } = this.#options
    if (!isLeading(group)) return undefined
    const { configuration, progress, commit } = node.status(group)
    const target = preferredLeader(group, configuration.voters)
    if (target === undefined || target === nodeId || !transport.isReachable(target))
      return undefined
    const known = progress.get(target)
    return known?.isActive === true && known.match >= commit ? target : undefined
  }
}
