/** The outcome of a call as plain data, so that two stores' answers can be compared and counted. */
import { MetastoreError } from '../../src/codec/errors.ts'
import { compareTopicPartitions } from './domains.ts'
import type { MetastoreModel } from './metastore-model.ts'

/** A call of the API: the method's name, and its arguments. */
export interface Call {
  method: string
  args: unknown[]
}

/** What was answered, or the error's code with, for PARTIAL_FAILURE, each domain's outcome. */
export type PlainOutcome = { value: unknown } | { error: string; outcomes?: unknown }

type Methods = Record<string, (...args: unknown[]) => unknown>

/** Sends the call to the model. Its arguments are copied: the model keeps none of the caller's. */
export function callModel(model: MetastoreModel, call: Call): PlainOutcome {
  const method = (model as unknown as Methods)[call.method]
  try {
    return { value: plain(method.apply(model, structuredClone(call.args))) }
  } catch (error) {
    return plainFailure(error)
  }
}

/** Sends the call to a store whose methods return promises. */
export async function callStore(store: object, call: Call): Promise<PlainOutcome> {
  const method = (store as Methods)[call.method]
  try {
    return { value: plain(await method.apply(store, structuredClone(call.args))) }
  } catch (error) {
    return plainFailure(error)
  }
}

/** The outcome's class: 'ok' or the error's code. */
export function outcomeClass(outcome: PlainOutcome): string {
  return 'error' in outcome ? outcome.error : 'ok'
}

/** Any error that is no MetastoreError goes on up: it is a bug, not an answer. */
function plainFailure(error: unknown): PlainOutcome {
  if (!(error instanceof MetastoreError)) throw error
  return plainError(error)
}

function plainError(error: MetastoreError): { error: string; outcomes?: unknown } {
  if (error.code !== 'PARTIAL_FAILURE') return { error: error.code }
  const { outcomes } = error.details as { outcomes: ({ domain: number } & object)[] }
  const sorted = [...outcomes].sort((a, b) => a.domain - b.domain)
  return { error: error.code, outcomes: plain(sorted) }
}

/** Errors as their codes, undefined as null, corrections in one order: ready for deepEqual. */
function plain(value: unknown): unknown {
  if (value === undefined) return null
  if (value instanceof MetastoreError) return plainError(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([name, field]) => {
    if (name !== 'correctedNextOffsets') return [name, plain(field)]
    const sorted = [...field].sort((a, b) =>
      compareTopicPartitions(a.topicPartition, b.topicPartition),
    )
    return [name, plain(sorted)]
  })
  return Object.fromEntries(entries)
}
