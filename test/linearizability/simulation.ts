/**
 * Clients of one object that is linearizable by construction: each operation is applied to it at
 * one moment between its call and its return. A client may lose the answer, or give up before the
 * operation takes effect, and then goes on with another; what it gave up may take effect late.
 */
import fc from 'fast-check'
import { History, type Operation } from './history.ts'
import type { Answer, Model } from './model.ts'

export interface Turn<Input> {
  readonly process: number
  /** What it asks, if it is idle. */
  readonly input: Input
  /** Of the operation under way; one that is applied returns unless it is lost. */
  readonly fate: 'go on' | 'lose' | 'refuse'
}

export function turnsOf<Input>(
  input: fc.Arbitrary<Input>,
  processes: number,
  turnsMax: number,
): fc.Arbitrary<Turn<Input>[]> {
  const fate = fc.oneof(
    { weight: 12, arbitrary: fc.constant('go on' as const) },
    { weight: 1, arbitrary: fc.constant('lose' as const) },
    { weight: 1, arbitrary: fc.constant('refuse' as const) },
  )
  const turn = fc.record({ process: fc.nat(processes - 1), input, fate })
  return fc.array(turn, { minLength: 1, maxLength: turnsMax, size: 'max' })
}

interface UnderWay<Input, Output> {
  readonly operation: Operation<Input, Output>
  output?: Output
}

/** Idle clients call; the others' operations are applied first and return at a later turn. */
export function simulate<State, Input, Output extends Answer>(
  model: Model<State, Input, Output>,
  turns: readonly Turn<Input>[],
): Operation<Input, Output>[] {
  const history = new History<Input, Output>()
  const clients = new Map<number, UnderWay<Input, Output>>()
  const late: Operation<Input, Output>[] = []
  let state = model.initial
  const apply = (input: Input): Output => {
    const applied = model.apply(state, input)
    state = applied.state
    return applied.output
  }
  for (const { process, input, fate } of turns) {
    const client = clients.get(process)
    if (client === undefined) {
      clients.set(process, { operation: history.call(process, input) })
      continue
    }
    const { operation, output } = client
    if (fate === 'go on' && output === undefined) {
      client.output = apply(operation.input)
      // Another client's lost operation takes effect in between, long after it was given up.
      const givenUp = late.shift()
      if (givenUp !== undefined) apply(givenUp.input)
      continue
    }
    clients.delete(process)
    if (fate === 'lose') {
      if (output === undefined) late.push(operation)
    } else if (output === undefined) history.refuse(operation)
    else history.return(operation, output)
  }
  return history.operations
}
