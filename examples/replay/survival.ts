/** After a crash: is everything that had been acknowledged still there? */
import type { Metastore } from '../../src/index.ts'
import { forEachInFlight } from './in-flight.ts'
import type { Mismatches } from './mismatches.ts'
import type { ObjectIds } from './object-ids.ts'
import { type Outcome, outcomeOf, sendOperation } from './outcome.ts'
import { operationName } from './replaying.ts'
import { isRefused, type TraceOperation } from './trace.ts'

export interface Survival {
  metastore: Metastore
  ids: ObjectIds
  operations: readonly TraceOperation[]
  /** Of acknowledged operations, ascending. */
  acknowledged: readonly number[]
  /** Operations from this index on were never called. */
  calledEnd: number
  inFlight: number
  mismatches: Mismatches
}

const CONFLICT = { error: 'CONFLICT' }
const MISSING_PARTITION = { error: 'MISSING_PARTITION' }

/**
 * Looks for the effect of each acknowledged operation. Those that wrote objects are made again in a
 * way that a metastore which remembers them refuses, so nothing changes unless something is lost.
 * Refused operations had no effect to look for.
 */
export async function checkEffects(survival: Survival): Promise<void> {
  const { operations, acknowledged, inFlight, mismatches } = survival
  await forEachInFlight(acknowledged.length, inFlight, async place => {
    const index = acknowledged[place]
    if (isRefused(operations[index])) return
    const where = `after the crash: effect of ${operationName(operations, index)}`
    const { got, allowed } = await effectOf(survival, index)
    mismatches.expect(where, got, ...allowed)
  })
}

/** Makes each acknowledged add again: it is answered as the first time, whatever came after it. */
export async function repeatAdds(survival: Survival): Promise<void> {
  const { metastore, ids, operations, acknowledged, inFlight, mismatches } = survival
  await forEachInFlight(acknowledged.length, inFlight, async place => {
    const index = acknowledged[place]
    const operation = operations[index]
    // A refused add may well be acceptable by now.
    if (operation.op !== 'add' || isRefused(operation)) return
    const outcome = await sendOperation(metastore, ids, operation)
    const where = `after the crash: ${operationName(operations, index)} repeated`
    mismatches.expect(where, outcome, operation.expect)
  })
}

/**
 * Makes the operations again of which it is unknown whether they were applied, one at a time. Each
 * domain has applied some first ones of its own; so an operation here meets either the state it was
 * made for, or one that has it and some later ones already.
 */
export async function repeatUnknown(survival: Survival): Promise<void> {
  const { metastore, ids, operations, acknowledged, calledEnd, mismatches } = survival
  const known = new Set(acknowledged)
  for (let index = 0; index < calledEnd; index++) {
    const operation = operations[index]
    // One that was to be refused changed nothing; on a later state it might be accepted.
    if (known.has(index) || isRefused(operation)) continue
    const outcome = await sendOperation(metastore, ids, operation)
    const where = `after the crash: ${operationName(operations, index)}, in flight at the kill`
    mismatches.expect(where, outcome, operation.expect, ...answersIfApplied(survival, index))
  }
}

/** What an operation answers, besides the expected, that had been applied with some later ones. */
function answersIfApplied({ operations, calledEnd }: Survival, index: number): unknown[] {
  const operation = operations[index]
  switch (operation.op) {
    case 'add':
    case 'removeTopics':
      return []
    case 'replace':
    case 'compact':
      return [CONFLICT]
    case 'setStartOffset': {
      const { topicId } = operation.topicPartition
      return isRemoved(operations.slice(index + 1, calledEnd), topicId) ? [MISSING_PARTITION] : []
    }
  }
}

async function effectOf(
  survival: Survival,
  index: number,
): Promise<{ got: Outcome; allowed: unknown[] }> {
  const { metastore, ids, operations } = survival
  const operation = operations[index]
  switch (operation.op) {
    case 'add': {
      const got = await sendOperation(metastore, ids, withOtherContent(operation))
      return { got, allowed: [CONFLICT] }
    }
    case 'replace':
    case 'compact':
      return { got: await sendOperation(metastore, ids, operation), allowed: [CONFLICT] }
    case 'setStartOffset': {
      const { topicPartition, offset } = operation
      const reading = metastore.getOffsets(topicPartition)
      const got = await outcomeOf(
        reading.then(({ startOffset }) => ({ isReached: startOffset >= offset })),
      )
      return { got, allowed: [{ isReached: true }, ...answersIfApplied(survival, index)] }
    }
    case 'removeTopics': {
      const lists = operation.topicIds.map(topicId => metastore.listPartitions(topicId))
      const got = await outcomeOf(Promise.all(lists).then(found => found.flat()))
      return { got, allowed: [[]] }
    }
  }
}

/** Objects that are committed already cannot be added with another content. */
function withOtherContent(operation: TraceOperation & { op: 'add' }): TraceOperation {
  const objects = operation.objects.map(object => ({ ...object, sizeBytes: object.sizeBytes + 1 }))
  return { ...operation, objects }
}

function isRemoved(operations: readonly TraceOperation[], topicId: string): boolean {
  return operations.some(
    operation => operation.op === 'removeTopics' && operation.topicIds.includes(topicId),
  )
}
