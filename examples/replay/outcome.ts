/** What a call answered, in the shape in which the trace writes answers down. */
import { type Metastore, MetastoreError } from '../../src/index.ts'
import type { ObjectIds } from './object-ids.ts'
import type { TraceOperation } from './trace.ts'

export interface Outcome {
  /** The result, `{}` for none, or `{error: code}`. */
  answer: unknown
  /** The message of the error, for people. */
  reason?: string
}

/** Awaits a call. Errors that are not the metastore's are not outcomes; they are thrown. */
export async function outcomeOf(call: Promise<unknown>): Promise<Outcome> {
  try {
    return { answer: (await call) ?? {} }
  } catch (error) {
    if (!(error instanceof MetastoreError)) throw error
    return { answer: { error: error.code }, reason: error.message }
  }
}

/** Makes the call of an operation at once, before the first await. */
export function sendOperation(
  metastore: Metastore,
  ids: ObjectIds,
  operation: TraceOperation,
): Promise<Outcome> {
  return outcomeOf(call(metastore, ids, operation))
}

function call(metastore: Metastore, ids: ObjectIds, operation: TraceOperation): Promise<unknown> {
  switch (operation.op) {
    case 'add': {
      const { terms } = operation
      return metastore.addObjects({ objects: ids.objects(operation.objects), terms })
    }
    case 'replace': {
      const { expectedEpochs } = operation
      return metastore.replaceObjects({ objects: ids.objects(operation.objects), expectedEpochs })
    }
    case 'compact': {
      const { updates } = operation
      return metastore.compactObjects({ objects: ids.objects(operation.objects), updates })
    }
    case 'setStartOffset':
      return metastore.setStartOffset(operation.topicPartition, operation.offset)
    case 'removeTopics':
      return metastore.removeTopics(operation.topicIds)
  }
}
