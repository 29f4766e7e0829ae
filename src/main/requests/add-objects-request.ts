/** addObjects: the checks that need no state (docs/operations.md), and the request by domain. */
import { invalidRequest } from '../../codec/errors.ts'
import type { NewObject, PartitionTerms } from '../../shared/api.ts'
import type { AddObjectsPart, TermStart } from '../../shared/writes/parts.ts'
import type { Router } from '../router.ts'
import { checkArray, checkNumber, checkObject } from './checks.ts'
import {
  type NamedPartition,
  nameOf,
  RequestPartitions,
  splitByDomain,
} from './request-partitions.ts'

export interface AddObjectsRequest {
  objects: NewObject[]
  terms: PartitionTerms[]
}

/** @throws INVALID_REQUEST */
export function checkAddObjects(
  router: Router,
  request: AddObjectsRequest,
): Map<number, AddObjectsPart> {
  checkObject(request, 'request')
  const partitions = new RequestPartitions<TermStart[]>(router)
  checkArray(request.terms, 'terms').forEach((partitionTerms, i) => {
    const field = `terms[${i}]`
    checkObject(partitionTerms, field)
    partitions.name(partitionTerms.topicPartition, field, checkTerms(partitionTerms, field))
  })
  const objects = partitions.takeObjects(request.objects, 'terms')
  for (const named of partitions.values()) checkPartition(named)
  return splitByDomain(partitions, objects, ({ routed, part }) => ({ tp: routed.tp, terms: part }))
}

function checkTerms({ terms }: PartitionTerms, field: string): TermStart[] {
  if (checkArray(terms, `${field}.terms`).length === 0) {
    throw invalidRequest(`${field}.terms is empty`)
  }
  return terms.map((start, i) => {
    const where = `${field}.terms[${i}]`
    checkObject(start, where)
    const term = checkNumber(start.term, `${where}.term`)
    const startOffset = checkNumber(start.startOffset, `${where}.startOffset`)
    if (i > 0 && term <= terms[i - 1].term) {
      throw invalidRequest(`${where}.term ${term} does not come after ${terms[i - 1].term}`)
    }
    if (i > 0 && startOffset <= terms[i - 1].startOffset) {
      throw invalidRequest(
        `${where}.startOffset ${startOffset} does not come after ${terms[i - 1].startOffset}`,
      )
    }
    return { term, startOffset }
  })
}

/** Extents are sorted and do not overlap by now. */
function checkPartition({ routed, part: terms, extents }: NamedPartition<TermStart[]>): void {
  for (let i = 1; i < extents.length; i++) {
    if (extents[i].baseOffset !== extents[i - 1].lastOffset + 1) {
      throw invalidRequest(
        `extents of ${nameOf(routed)} are not contiguous: ${extents[i - 1].lastOffset} is ` +
          `followed by ${extents[i].baseOffset}`,
      )
    }
  }
  const first = extents[0].baseOffset
  const last = extents[extents.length - 1].lastOffset
  const lastStart = terms[terms.length - 1].startOffset
  if (terms[0].startOffset !== first) {
    throw invalidRequest(
      `the first term of ${nameOf(routed)} starts at ${terms[0].startOffset}, its extents ` +
        `at ${first}`,
    )
  }
  if (lastStart > last) {
    throw invalidRequest(
      `the last term of ${nameOf(routed)} starts at ${lastStart}, after its last offset ${last}`,
    )
  }
}
