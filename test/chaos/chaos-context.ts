/** What all parts of a run share: the nodes, the dice, and where problems and events go. */
import type { Dice } from '../simulation/dice.ts'
import type { ChaosCluster } from './chaos-cluster.ts'
import type { ChaosNode } from './chaos-node.ts'
import type { Place } from './node-messages.ts'

export interface ChaosContext {
  readonly cluster: ChaosCluster
  readonly places: readonly Place[]
  readonly dice: Dice
  /** What must not be; the run goes on and fails. */
  readonly problem: (what: string) => void
  /** What is done when, for people. */
  readonly note: (what: string) => void
  /** Milliseconds since the start. */
  readonly elapsedMs: () => number
}

/** Any that is open as far as is known; it may be stopped or cut off. */
export function someNode({ cluster }: ChaosContext, dice: Dice): ChaosNode | undefined {
  const up = cluster.nodes.filter(({ isUp }) => isUp)
  return up.length === 0 ? undefined : dice.pick(up)
}
