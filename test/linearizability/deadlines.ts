/**
 * A history as a list of deadlines: each return, in order, is the moment by which its operation
 * must have been placed. Between deadlines nothing is decided.
 */
import type { Operation } from './history.ts'

export interface Deadline<Input, Output> {
  readonly due: Candidate<Input, Output>
  /** All that are under way just before the return, the due one included, the most urgent last. */
  readonly underWay: readonly Candidate<Input, Output>[]
}

/** An operation and its bit in sets of operations; bits are used again after the return. */
export interface Candidate<Input, Output> {
  readonly operation: Operation<Input, Output>
  readonly bit: bigint
}

/** Operations that are never answered have no deadline, but are under way from their call on. */
export function deadlinesOf<Input, Output>(
  operations: readonly Operation<Input, Output>[],
): Deadline<Input, Output>[] {
  const deadlines: Deadline<Input, Output>[] = []
  const underWay = new Map<Operation<Input, Output>, Candidate<Input, Output>>()
  const freeBits: bigint[] = []
  for (const operation of inOrderOfMoments(operations)) {
    const due = underWay.get(operation)
    if (due === undefined) {
      const bit = freeBits.pop() ?? 1n << BigInt(underWay.size)
      underWay.set(operation, { operation, bit })
    } else {
      deadlines.push({ due, underWay: [...underWay.values()].sort(mostUrgentLast) })
      underWay.delete(operation)
      freeBits.push(due.bit)
    }
  }
  return deadlines
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

function mostUrgentLast(a: Candidate<unknown, unknown>, b: Candidate<unknown, unknown>): number {
  // Two that never return are equal; their difference is not a number.
  return b.operation.returnedAt - a.operation.returnedAt || 0
}
