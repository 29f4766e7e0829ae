/** What a caller of restore() wants, checked. */
import { isCheckpointName } from '../../codec/bucket-layout.ts'
import { invalidRequest } from '../../codec/errors.ts'
import type { RestorePoint } from '../../shared/api.ts'
import { checkBoolean, checkNumber, checkObject, checkUuid } from '../requests/checks.ts'
import { show } from '../show.ts'

export interface RestoreFrom {
  /** The cluster to restore. */
  clusterId: string
  /** Default 'latest'. */
  at?: RestorePoint
  /**
   * Goes on without what is damaged or missing: such a domain begins empty, or ends before the
   * damaged tail object. The report says so. Default false.
   */
  partial?: boolean
}

export interface RestoreRequest {
  readonly sourceId: string
  readonly at: RestorePoint
  readonly isPartial: boolean
}

/** @throws INVALID_REQUEST naming the field and its value */
export function checkRestoreFrom(from: RestoreFrom): RestoreRequest {
  checkObject(from, 'from')
  const { clusterId, at = 'latest', partial = false, ...rest } = from
  for (const [name, value] of Object.entries(rest)) {
    throw invalidRequest(`from.${name} is not known to this version; it is ${show(value)}`)
  }
  checkUuid(clusterId, 'from.clusterId')
  return {
    sourceId: clusterId,
    at: checkPoint(at),
    isPartial: checkBoolean(partial, 'from.partial'),
  }
}

function checkPoint(at: RestorePoint): RestorePoint {
  if (at === 'latest') return at
  const fields = typeof at === 'object' && at !== null ? Object.entries(at) : []
  const [name, value] = fields.length === 1 ? fields[0] : []
  if (name === 'timestamp') return { timestamp: checkNumber(value, 'from.at.timestamp') }
  if (name === 'checkpoint') {
    return { checkpoint: checkCheckpointName(value, 'from.at.checkpoint') }
  }
  throw invalidRequest(
    `from.at must be 'latest', {checkpoint: name} or {timestamp: ms}, not ${show(at)}`,
  )
}

/** @throws INVALID_REQUEST naming the field and its value */
export function checkCheckpointName(name: unknown, field = 'name'): string {
  if (isCheckpointName(name)) return name
  throw invalidRequest(
    `${field} must be 1 to 128 letters, digits, '.', '_' or '-' and begin with a letter or ` +
      `digit, not ${show(name)}`,
  )
}
