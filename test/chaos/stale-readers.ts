/** For each node a reader of its own replica: what it sees never goes back while the process lives. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChaosContext } from './chaos-context.ts'
import type { ChaosNode } from './chaos-node.ts'

const PAUSE_MS = 50

export class StaleReaders {
  readonly #context: ChaosContext
  readonly #readers: Promise<void>[]
  #isStopped = false
  reads = 0

  constructor(context: ChaosContext) {
    this.#context = context
    this.#readers = context.cluster.nodes.map(node => this.#run(node))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#readers)
  }

  async #run(node: ChaosNode): Promise<void> {
    const { places, problem } = this.#context
    let seen: { life: number; offsets: Map<number, number> } = { life: 0, offsets: new Map() }
    while (!this.#isStopped) {
      await sleep(PAUSE_MS)
      if (node.lives !== seen.life) seen = { life: node.lives, offsets: new Map() }
      for (const place of places) {
        const { life, offsets } = seen
        try {
          const offset = await node.ask('nextOffset', { place, consistency: 'stale' }, 10_000)
          if (node.lives !== life) break
          const before = offsets.get(place.partition) ?? 0
          if (offset < before) {
            problem(
              `node ${node.nodeId}: its replica of partition ${place.partition} went back from ` +
                `${before} to ${offset}`,
            )
          }
          offsets.set(place.partition, offset)
          this.reads++
        } catch {
          // The process is gone or stopped, or its replica is being made anew.
          break
        }
      }
    }
  }
}
