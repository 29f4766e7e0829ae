/** replaceObjects: the checks that need no state, and the request by domain. */
import type { NewObject, PartitionEpoch } from '../../shared/api.ts'
import type { ReplaceObjectsPart } from '../../shared/writes/parts.ts'
import type { Router } from '../router.ts'
import { checkArray, checkNumber, checkObject } from './checks.ts'
import { RequestPartitions, splitByDomain } from './request-partitions.ts'

export interface ReplaceObjectsRequest {
  objects: NewObject[]
  expectedEpochs: PartitionEpoch[]
}

/** @throws INVALID_REQUEST */
export function checkReplaceObjects(
  router: Router,
  request: ReplaceObjectsRequest,
): Map<number, ReplaceObjectsPart> {
  checkObject(request, 'request')
  const partitions = new RequestPartitions<number>(router)
  checkArray(request.expectedEpochs, 'expectedEpochs').forEach((expected, i) => {
    const field = `expectedEpochs[${i}]`
    checkObject(expected, field)
    partitions.name(expected.topicPartition, field, checkNumber(expected.epoch, `${field}.epoch`))
  })
  const objects = partitions.takeObjects(request.objects, 'expected epoch')
  return splitByDomain(partitions, objects, ({ routed, part }) => ({ tp: routed.tp, epoch: part }))
}
