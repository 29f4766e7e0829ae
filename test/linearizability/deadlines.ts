/**
 * A history as a list of deadlines: each return, in order, is the moment by which its operation
 * must have been placed. Between deadlines nothing is decided.
 */
import type { Operation } from './history.ts'

export interface Deadlines<Input, Output> {
  readonly deadlines: readonly Deadline<Input, Output>[]
  /** Operations never answered, in the order of their calls; they have no deadline. */
  readonly lost: readonly Candidate<Input, Output>[]
}

export interface Deadline<Input, Output> {
  readonly due: Candidate<Input, Output>
  /** Those to be answered that are under way just before the return, the most urgent last. */
  readonly underWay: readonly Candidate<Input, Output>[]
  /** So many of the lost ones have been called by then. */
  readonly lostCount: number
}

/** An operation and its bit in sets of operations; bits are used again after the return. */
export interface Candidate<Input, Output> {
  readonly operation: Operation<Input, Output>
  readonly bit: bigint
}

export function deadlinesOf<Input, Output>(
  operations: readonly Operation<Input, Output>[],
): Deadlines<Input, Output> {
  const deadlines: Deadline<Input, Output>[] = []
  const lost: Candidate<Input, Output>[] = []
  const underWay = new Map<Operation<Input, Output>, Candidate<Input, Output>>()
  const freeBits: bigint[] = []
  for (const operation of inOrderOfMoments(operations)) {
    const due = underWay.get(operation)
    if (due === undefined) {
      const bit = freeBits.pop() ?? 1n << BigInt(underWay.size + lost.length)
      if (operation.returnedAt === Infinity) lost.push({ operation, bit })
      else underWay.set(operation, { operation, bit })
    } else {
      const mostUrgentLast = [...underWay.values()].sort(
        (a, b) => b.operation.returnedAt - a.operation.returnedAt,
      )
      deadlines.push({ due, underWay: mostUrgentLast, lostCount: lost.length })
      underWay.delete(operation)
      freeBits.push(due.bit)
    }
  }
  return { deadlines, lost }
}

/** Each operation at its call and, if it returned, again at its return. */
function inOrderOfMoments<Input, Output>(
  operations: readonly Operation<Input, Output>[],
): Operation<Input, Output>[] {
  return operations
    .flatMap(operation => [
      { operation, at: operation.calledAt },
      { operation, at: operation.returnedAt },
    ])
    .filter(({ at }) => at !== Infinity)
    .sort((a, b) => a.at - b.at)
    .map(({ operation }) => operation)
}
