/** A write over several domains: atomic within each, and an error that says what became of each. */
import { MetastoreError } from '../codec/errors.ts'

export type DomainOutcome<T> =
  | { domain: number; result: T }
  | { domain: number; error: MetastoreError }

/**
 * The results, in order, when all succeeded.
 * @throws the error itself when all failed alike; else PARTIAL_FAILURE, details {outcomes}
 */
export async function overDomains<T>(
  calls: readonly { domain: number; result: Promise<T> }[],
): Promise<T[]> {
  const settled = await Promise.allSettled(calls.map(({ result }) => result))
  const outcomes = settled.map((outcome, i): DomainOutcome<T> => {
    const { domain } = calls[i]
    if (outcome.status === 'fulfilled') return { domain, result: outcome.value }
    if (outcome.reason instanceof MetastoreError) return { domain, error: outcome.reason }
    throw outcome.reason
  })
  const errors = outcomes.flatMap(outcome => ('error' in outcome ? [outcome.error] : []))
  if (errors.length === 0) {
    return outcomes.flatMap(outcome => ('result' in outcome ? [outcome.result] : []))
  }
  const isAlike = errors.length === calls.length && errors.every(e => e.code === errors[0].code)
  if (isAlike) throw errors[0]
  throw new MetastoreError(
    'PARTIAL_FAILURE',
    `${errors.length} of ${calls.length} metastore partitions failed: ${errors[0].message}`,
    { details: { outcomes } },
  )
}
