/**
 * Linearizability by its definition, to check the checker: every choice of the unanswered
 * operations that happened, every order, compared with real time and replayed. Six operations are a
 * thousand orders; knows of no keys and no memo.
 */
import type { Operation } from './history.ts'
import type { Answer, Model } from './model.ts'

export function isLinearizable<State, Input, Output extends Answer>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
): boolean {
  const answered = operations.filter(({ output }) => output !== undefined)
  const unanswered = operations.filter(({ output }) => output === undefined)
  return subsetsOf(unanswered).some(happened =>
    permutationsOf([...answered, ...happened]).some(
      order => isInRealTime(order) && isAllowed(model, order),
    ),
  )
}

/** Nothing stands after what was called only when it had returned. */
export function isInRealTime(order: readonly Operation<unknown, unknown>[]): boolean {
  return order.every((operation, i) =>
    order.slice(i + 1).every(later => later.returnedAt > operation.calledAt),
  )
}

/** One client that did all this in this order would have had these answers. */
export function isAllowed<State, Input, Output extends Answer>(
  model: Model<State, Input, Output>,
  order: readonly Operation<Input, Output>[],
): boolean {
  let state = model.initial
  return order.every(({ input, output: expected }) => {
    const applied = model.apply(state, input)
    state = applied.state
    return expected === undefined || applied.output === expected
  })
}

function subsetsOf<T>(items: readonly T[]): T[][] {
  return items.reduce<T[][]>(
    (subsets, item) => subsets.flatMap(subset => [subset, [...subset, item]]),
    [[]],
  )
}

function permutationsOf<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]]
  return items.flatMap((item, i) =>
    permutationsOf(items.toSpliced(i, 1)).map(others => [item, ...others]),
  )
}
