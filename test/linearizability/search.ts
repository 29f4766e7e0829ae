/**
 * Is there an order of the operations that the model allows and real time too? Wing & Gong, Testing
 * and verifying concurrent objects, 1993 (search over what may come next), with the memo and the
 * just-in-time rule of Lowe, Testing for linearizability, 2017: an operation is placed no sooner
 * than some return needs it, so that a configuration is the next deadline, which of the operations
 * under way are placed, and the state. A configuration is looked at once.
 *
 * Two more rules prune what cannot matter:
 * 1. A read-only operation whose answer fits is placed at once and nothing else is tried: any order
 *    that places it later stays allowed with it moved here.
 * 2. An operation that was never answered and would leave the state as it is, is not placed: it is
 *    free to come later or never.
 */
import { type Candidate, type Deadline, deadlinesOf } from './deadlines.ts'
import type { Operation } from './history.ts'
import type { Answer, Model } from './model.ts'

const STATES_SHOWN_MAX = 8

export interface Limits {
  /** Applications of the model, a bound of time. */
  readonly stepsMax: number
  /** Configurations remembered, a bound of memory (some 200 bytes each, and the states). */
  readonly configurationsMax: number
}

export type Finding<Input, Output> =
  /** The order is the proof; operations never answered may be left out. */
  | { readonly verdict: 'linearizable'; readonly order: readonly Operation<Input, Output>[] }
  | {
      readonly verdict: 'not linearizable'
      /** All that returned earlier can be ordered, together with this one it cannot. */
      readonly stuckAt: Operation<Input, Output>
      /** Fingerprints of some states that were possible while it was under way. */
      readonly states: readonly string[]
    }
  | { readonly verdict: 'unknown'; readonly limit: keyof Limits }

interface Configuration<State, Input, Output> {
  /** Index of the first deadline not met. */
  readonly deadline: number
  /** Bits of the operations that are placed and under way. */
  readonly placed: bigint
  readonly state: State
  /** How it was come by; undefined for the first one. */
  readonly last?: Operation<Input, Output>
  readonly before?: Configuration<State, Input, Output>
}

export function findOrder<State, Input, Output extends Answer>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  limits: Limits,
): Finding<Input, Output> {
  return new Search(model, deadlinesOf(operations), limits).run()
}

class Search<State, Input, Output extends Answer> {
  readonly #model: Model<State, Input, Output>
  readonly #deadlines: readonly Deadline<Input, Output>[]
  readonly #limits: Limits
  /** Not yet looked at; the last is next, so that the search goes deep first. */
  readonly #open: Configuration<State, Input, Output>[]
  readonly #seen = new Set<string>()
  readonly #stateIds = new Map<string, number>()
  #steps = 0
  #furthest = 0
  readonly #furthestStates = new Set<string>()

  constructor(
    model: Model<State, Input, Output>,
    deadlines: readonly Deadline<Input, Output>[],
    limits: Limits,
  ) {
    this.#model = model
    this.#deadlines = deadlines
    this.#limits = limits
    this.#open = [{ deadline: 0, placed: 0n, state: model.initial }]
  }

  run(): Finding<Input, Output> {
    for (let next = this.#open.pop(); next !== undefined; next = this.#open.pop()) {
      if (next.deadline === this.#deadlines.length) {
        return { verdict: 'linearizable', order: orderOf(next) }
      }
      if (!this.#isNew(next)) continue
      this.#noteFurthest(next)
      this.#open.push(...this.#successors(next))
      if (this.#steps > this.#limits.stepsMax) return { verdict: 'unknown', limit: 'stepsMax' }
      if (this.#seen.size + this.#open.length > this.#limits.configurationsMax) {
        return { verdict: 'unknown', limit: 'configurationsMax' }
      }
    }
    const stuckAt = this.#deadlines[this.#furthest].due.operation
    return { verdict: 'not linearizable', stuckAt, states: [...this.#furthestStates] }
  }

  /** With one more operation placed; the most urgent one last. */
  #successors(
    from: Configuration<State, Input, Output>,
  ): readonly Configuration<State, Input, Output>[] {
    const found: Configuration<State, Input, Output>[] = []
    for (const candidate of this.#deadlines[from.deadline].underWay) {
      if ((from.placed & candidate.bit) !== 0n) continue
      const { input, output: expected } = candidate.operation
      this.#steps++
      const { state, output } = this.#model.apply(from.state, input)
      if (expected === undefined) {
        if (state !== from.state) found.push(this.#place(from, candidate, state))
      } else if (output === expected) {
        const placed = this.#place(from, candidate, state)
        if (this.#model.isReadOnly(input, expected)) return [placed]
        found.push(placed)
      }
    }
    return found
  }

  #place(
    before: Configuration<State, Input, Output>,
    { operation, bit }: Candidate<Input, Output>,
    state: State,
  ): Configuration<State, Input, Output> {
    let deadline = before.deadline
    let placed = before.placed | bit
    // Deadlines met are passed, and their bits are free for later operations.
    for (; deadline < this.#deadlines.length; deadline++) {
      const { due } = this.#deadlines[deadline]
      if ((placed & due.bit) === 0n) break
      placed ^= due.bit
    }
    return { deadline, placed, state, last: operation, before }
  }

  #isNew({ deadline, placed, state }: Configuration<State, Input, Output>): boolean {
    const key = `${deadline} ${placed.toString(36)} ${this.#stateId(state)}`
    if (this.#seen.has(key)) return false
    this.#seen.add(key)
    return true
  }

  /** Fingerprints may be long; each is kept once. */
  #stateId(state: State): number {
    const fingerprint = this.#model.fingerprint(state)
    const known = this.#stateIds.get(fingerprint)
    if (known !== undefined) return known
    this.#stateIds.set(fingerprint, this.#stateIds.size)
    return this.#stateIds.size - 1
  }

  #noteFurthest({ deadline, state }: Configuration<State, Input, Output>): void {
    if (deadline > this.#furthest) {
      this.#furthest = deadline
      this.#furthestStates.clear()
    }
    if (deadline < this.#furthest || this.#furthestStates.size >= STATES_SHOWN_MAX) return
    this.#furthestStates.add(this.#model.fingerprint(state))
  }
}

function orderOf<State, Input, Output>(
  end: Configuration<State, Input, Output>,
): Operation<Input, Output>[] {
  const order: Operation<Input, Output>[] = []
  let at: Configuration<State, Input, Output> | undefined = end
  for (; at?.last !== undefined; at = at.before) order.push(at.last)
  return order.reverse()
}
