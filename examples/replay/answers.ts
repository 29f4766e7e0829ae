/** Comparing a metastore with the right answers of a whole trace. */
import { type Metastore, MetastoreError } from '../../src/index.ts'
import { forEachInFlight } from './in-flight.ts'
import type { Mismatches } from './mismatches.ts'
import type { ObjectIds } from './object-ids.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import type { TraceAnswers, TraceQuery } from './trace.ts'

const READS_IN_FLIGHT = 64

/**
 * Checks every partition's state and every query.
 * @param part of the run, for mismatches
 */
export async function checkAnswers(
  metastore: Metastore,
  ids: ObjectIds,
  { partitions, queries }: TraceAnswers,
  mismatches: Mismatches,
  part: string,
): Promise<void> {
  await forEachInFlight(partitions.length, READS_IN_FLIGHT, async index => {
    const { topicPartition: tp, ...state } = partitions[index]
    const reads = Promise.all([metastore.getOffsets(tp), metastore.getSize(tp)])
    const got = await outcomeOf(reads.then(([offsets, size]) => ({ ...offsets, ...size })))
    mismatches.expect(`${part}: partition ${tp.topicId}-${tp.partition}`, got, state)
  })
  await forEachInFlight(queries.length, READS_IN_FLIGHT, async index => {
    const { answer, ...query } = queries[index]
    const got = await outcomeOf(ask(metastore, query))
    const where = `${part}: query ${index + 1} ${JSON.stringify(query)}`
    mismatches.expect(where, withName(got, ids), answer)
  })
}

async function ask(metastore: Metastore, query: Omit<TraceQuery, 'answer'>): Promise<unknown> {
  const { topicPartition: tp, offset = 0, minOffset = 0 } = query
  switch (query.call) {
    case 'getOffsets':
      return metastore.getOffsets(tp)
    case 'findByOffset':
      return metastore.findByOffset(tp, offset)
    case 'findByTimestamp':
      return metastore.findByTimestamp(tp, query.timestamp ?? 0, { minOffset })
    case 'getOffsetForBytes':
      return metastore.getOffsetForBytes(tp, query.bytes ?? 0)
    case 'getTermForOffset':
      return metastore.getTermForOffset(tp, offset)
    case 'getEndOffsetForTerm':
      return metastore.getEndOffsetForTerm(tp, query.term ?? 0)
    case 'getCompactionInfo': {
      const tombstoneRemovalBound = query.tombstoneRemovalBound ?? 0
      const [info] = await metastore.getCompactionInfo([
        { topicPartition: tp, tombstoneRemovalBound },
      ])
      if (info instanceof MetastoreError) throw info
      return info
    }
    default:
      throw new Error(`a query of an unknown kind: ${query.call}`)
  }
}

/** The trace names objects; it cannot know their ids. */
function withName(outcome: Outcome, ids: ObjectIds): Outcome {
  const { answer } = outcome
  if (typeof answer !== 'object' || answer === null || !('objectId' in answer)) return outcome
  const { objectId, ...rest } = answer
  return { answer: { ...rest, object: ids.name(String(objectId)) } }
}
