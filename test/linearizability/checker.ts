/**
 * Linearizability of a history (Herlihy & Wing 1990): each operation seems to happen at one moment
 * between its call and its return; one that was never answered at any moment after its call, or
 * never. Checked key by key where the model has keys.
 */
import assert from 'node:assert/strict'
import type { Operation } from './history.ts'
import type { Answer, Model } from './model.ts'
import { type Finding, findOrder, type Limits } from './search.ts'

/** The key is that of the part which decided, undefined for a model without keys. */
export type Verdict<Input, Output> =
  | {
      readonly verdict: 'linearizable'
      /** By key; each is an order of the operations on that key. */
      readonly orders: ReadonlyMap<string | undefined, readonly Operation<Input, Output>[]>
    }
  | (Exclude<Finding<Input, Output>, { verdict: 'linearizable' }> & {
      readonly key: string | undefined
    })

/** Some seconds and a few hundred megabytes for each key that is hard. */
const LIMITS: Limits = { stepsMax: 40_000_000, configurationsMax: 1_000_000 }
/** One key that is easily refused decides, so all are tried with little before one gets much. */
const LIMIT_SHARES: readonly number[] = [1 / 64, 1]

/** The limits hold for each key. 'unknown' if one of them was hit and no key is known to be bad. */
export function checkLinearizability<State, Input, Output extends Answer>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  limits: Partial<Limits> = {},
): Verdict<Input, Output> {
  const { stepsMax, configurationsMax } = { ...LIMITS, ...limits }
  const parts = byKey(model, operations)
  const orders = new Map<string | undefined, readonly Operation<Input, Output>[]>()
  let undecided: Verdict<Input, Output> | undefined
  for (const share of LIMIT_SHARES) {
    undecided = undefined
    for (const [key, part] of parts) {
      if (orders.has(key)) continue
      const finding = findOrder(model, part, {
        stepsMax: stepsMax * share,
        configurationsMax: configurationsMax * share,
      })
      if (finding.verdict === 'not linearizable') return { ...finding, key }
      if (finding.verdict === 'linearizable') orders.set(key, finding.order)
      else undecided ??= { ...finding, key }
    }
  }
  return undecided ?? { verdict: 'linearizable', orders }
}

function byKey<State, Input, Output extends Answer>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
): Map<string | undefined, Operation<Input, Output>[]> {
  const parts = new Map<string | undefined, Operation<Input, Output>[]>()
  for (const operation of operations) {
    const key = model.keyOf?.(operation.input)
    const part = parts.get(key)
    if (part === undefined) parts.set(key, [operation])
    else part.push(operation)
  }
  return parts
}

/** Throws, with what to look at, unless the history is known to be linearizable. */
export function assertLinearizable<State, Input, Output extends Answer>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  limits: Partial<Limits> = {},
): void {
  const result = checkLinearizability(model, operations, limits)
  if (result.verdict === 'linearizable') return
  const of = result.key === undefined ? '' : ` of key ${JSON.stringify(result.key)}`
  if (result.verdict === 'unknown') assert.fail(`history${of} not decided within ${result.limit}`)
  const { stuckAt, states } = result
  const concurrent = operations.filter(
    other =>
      other !== stuckAt &&
      model.keyOf?.(other.input) === result.key &&
      other.calledAt < stuckAt.returnedAt &&
      other.returnedAt > stuckAt.calledAt,
  )
  assert.fail(
    [
      `history${of} is not linearizable; this cannot be placed:`,
      describe(stuckAt),
      `states possible while it was under way: ${states.join(', ')}`,
      'concurrent with it:',
      ...concurrent.map(describe),
    ].join('\n'),
  )
}

function describe({ process, input, output, calledAt, returnedAt }: Operation<unknown, unknown>) {
  const answer = output === undefined ? 'never answered' : JSON.stringify(output)
  return `  [${calledAt}, ${returnedAt}] process ${process}: ${JSON.stringify(input)} -> ${answer}`
}
