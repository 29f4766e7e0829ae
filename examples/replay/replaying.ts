/** Sending a stretch of a trace's operations, and checking what each is answered. */
import type { Metastore } from '../../src/index.ts'
import { forEachInFlight } from './in-flight.ts'
import type { Mismatches } from './mismatches.ts'
import type { ObjectIds } from './object-ids.ts'
import { sendOperation } from './outcome.ts'
import type { TraceOperation } from './trace.ts'

export interface Replaying {
  metastore: Metastore
  ids: ObjectIds
  operations: readonly TraceOperation[]
  inFlight: number
  mismatches: Mismatches
  /** The part of the run, for mismatches. */
  part: string
}

/** A name for the operation at `index`; people count from 1. */
export function operationName(operations: readonly TraceOperation[], index: number): string {
  return `operation ${index + 1} (${operations[index].op})`
}

/**
 * Sends the operations from index `from` on, in order and many in flight.
 * @param answered called for each with the milliseconds from its call to its answer
 */
export async function replay(
  { metastore, ids, operations, inFlight, mismatches, part }: Replaying,
  from: number,
  answered: (elapsedMs: number) => void,
): Promise<void> {
  await forEachInFlight(operations.length - from, inFlight, async place => {
    const index = from + place
    const calledAt = performance.now()
    const outcome = await sendOperation(metastore, ids, operations[index])
    answered(performance.now() - calledAt)
    const where = `${part}: ${operationName(operations, index)}`
    mismatches.expect(where, outcome, operations[index].expect)
  })
}
