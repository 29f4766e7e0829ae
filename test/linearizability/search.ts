/**
 * Is there an order of the operations that the model allows and real time too? Wing & Gong, Testing
 * and verifying concurrent objects, 1993 (search over what may come next), with the memo and the
 * just-in-time rule of Lowe, Testing for linearizability, 2017: an operation is placed no sooner
 * than some return needs it, so that a configuration is the next deadline, which of the operations
 * under way are placed, and the state. A configuration is looked at once.
 *
 * More rules prune what cannot matter, above all of operations never answered (lost), which may be
 * many and of which any subset may have happened:
 * 1. A read-only operation whose answer fits is placed at once and nothing else is tried: any order
 *    that places it later stays allowed with it moved here.
 * 2. A lost operation that would leave the state as it is, is not placed: it is free to come later
 *    or never.
 * 3. What follows a lost operation must need it: where it would have had the same answer and led to
 *    the same state without, the order without the lost one is as good.
 * 4. Lost operations are tried only after all orders without one more of them have failed.
 */
import { type Candidate, type Deadlines, deadlinesOf } from './deadlines.ts'
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
  /** How it was come by; absent in the first one. */
  readonly last?: Operation<Input, Output>
  readonly before?: Configuration<State, Input, Output>
}

/** A configuration, and what is to be placed next. */
interface Branch<State, Input, Output> {
  readonly from: Configuration<State, Input, Output>
  readonly tries: 'answered' | 'lost'
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
  readonly #deadlines: Deadlines<Input, Output>['deadlines']
  readonly #lost: Deadlines<Input, Output>['lost']
  readonly #limits: Limits
  /** Not yet looked at; the last is next, so that the search goes deep first. */
  readonly #open: Branch<State, Input, Output>[]
  readonly #seen = new Set<string>()
  readonly #stateIds = new Map<string, number>()
  #steps = 0
  #furthest = 0
  readonly #furthestStates = new Set<string>()

  constructor(
    model: Model<State, Input, Output>,
    { deadlines, lost }: Deadlines<Input, Output>,
    limits: Limits,
  ) {
    this.#model = model
    this.#deadlines = deadlines
    this.#lost = lost
    this.#limits = limits
    const from = { deadline: 0, placed: 0n, state: model.initial }
    this.#open = [{ from, tries: 'answered' }]
  }

  run(): Finding<Input, Output> {
    for (let next = this.#open.pop(); next !== undefined; next = this.#open.pop()) {
      const { from, tries } = next
      if (from.deadline === this.#deadlines.length) {
        return { verdict: 'linearizable', order: orderOf(from) }
      }
      if (tries === 'lost') this.#tryLost(from)
      else if (this.#isNew(from)) {
        this.#noteFurthest(from)
        this.#tryAnswered(from)
      }
      if (this.#steps > this.#limits.stepsMax) return { verdict: 'unknown', limit: 'stepsMax' }
      if (this.#seen.size + this.#open.length > this.#limits.configurationsMax) {
        return { verdict: 'unknown', limit: 'configurationsMax' }
      }
    }
    const stuckAt = this.#deadlines[this.#furthest].due.operation
    return { verdict: 'not linearizable', stuckAt, states: [...this.#furthestStates] }
  }

  #tryAnswered(from: Configuration<State, Input, Output>): void {
    const branches: Branch<State, Input, Output>[] = [{ from, tries: 'lost' }]
    for (const candidate of this.#deadlines[from.deadline].underWay) {
      if ((from.placed & candidate.bit) !== 0n) continue
      const { input, output: expected } = candidate.operation
      const { state, output } = this.#apply(from.state, input)
      if (output !== expected || !this.#needsLast(from, input, state, output)) continue
      const branch = this.#place(from, candidate, state)
      if (this.#model.isReadOnly(input, output)) {
        this.#open.push(branch)
        return
      }
      branches.push(branch)
    }
    this.#open.push(...branches)
  }

  #tryLost(from: Configuration<State, Input, Output>): void {
    for (let i = this.#deadlines[from.deadline].lostCount - 1; i >= 0; i--) {
      const candidate = this.#lost[i]
      if ((from.placed & candidate.bit) !== 0n) continue
      const { input } = candidate.operation
      const { state } = this.#apply(from.state, input)
      if (state === from.state || !this.#needsLast(from, input, state, undefined)) continue
      this.#open.push(this.#place(from, candidate, state))
    }
  }

  #apply(state: State, input: Input): { state: State; output: Output } {
    this.#steps++
    return this.#model.apply(state, input)
  }

  /** Whether the input would lead elsewhere without the last operation, if that is a lost one. */
  #needsLast(
    { last, before }: Configuration<State, Input, Output>,
    input: Input,
    state: State,
    output: Output | undefined,
  ): boolean {
    if (before === undefined || last?.output !== undefined) return true
    const without = this.#apply(before.state, input)
    return without.state !== state || (output !== undefined && without.output !== output)
  }

  #place(
    before: Configuration<State, Input, Output>,
    { operation, bit }: Candidate<Input, Output>,
    state: State,
  ): Branch<State, Input, Output> {
    let deadline = before.deadline
    let placed = before.placed | bit
    // Deadlines met are passed, and their bits are free for later operations.
    for (; deadline < this.#deadlines.length; deadline++) {
      const { due } = this.#deadlines[deadline]
      if ((placed & due.bit) === 0n) break
      placed ^= due.bit
    }
    return { from: { deadline, placed, state, last: operation, before }, tries: 'answered' }
  }

  #isNew({ deadline, placed, state }: Configuration<State, Input, Output>): boolean {
    const key = `${deadline} ${placed.toString(32)} ${this.#stateId(state)}`
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
