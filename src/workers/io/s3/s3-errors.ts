/**
 * What the SDK fails with, as our errors: UNAVAILABLE naming bucket, key, status and the service's
 * own code, and marked when it makes no sense to ask again at once. The SDK's error itself goes no
 * further, because it carries the request.
 */
import { invalidRequest, MetastoreError } from '../../../codec/errors.ts'

/** What was asked for. */
export interface S3Place {
  /** 'put', 'get' and so on. */
  readonly what: string
  readonly bucket: string
  /** With the prefix of the store. */
  readonly key: string
}

/** Of refusals by their status, those after which the same request may succeed all the same. */
const PASSING: ReadonlySet<string> = new Set([
  // Bits that were flipped on their way.
  'BadDigest',
  'IncompleteBody',
  'InvalidDigest',
  'XAmzContentChecksumMismatch',
  'XAmzContentSHA256Mismatch',
  // An upload that somebody aborted, or whose parts are not all there: a new one is begun.
  'InvalidPart',
  'NoSuchUpload',
  // Clocks and credentials that are renewed.
  'ExpiredToken',
  'RequestExpired',
  'RequestTimeTooSkewed',
  'RequestTimeout',
  'TokenRefreshRequired',
])

/** Likewise statuses: time-outs, conflicts of racing requests, too many requests. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 409, 412, 423, 425, 429])

const NOT_IMPLEMENTED = 501

/** The HTTP status of the answer; undefined when there was none. */
export function statusOf(error: unknown): number | undefined {
  const { $metadata } = error as { $metadata?: { httpStatusCode?: number } }
  return $metadata?.httpStatusCode
}

/** The object is not there, and the bucket is, as far as the answer tells. */
export function isAbsent(error: unknown): boolean {
  return statusOf(error) === 404 && ['NoSuchKey', 'NotFound'].includes(nameOf(error))
}

/** An error of the SDK or of the connection; one of ours is returned as it is. */
export function s3Error(error: unknown, place: S3Place): MetastoreError {
  if (error instanceof MetastoreError) return error
  const status = statusOf(error)
  const message = error instanceof Error ? error.message : String(error)
  if (message === 'Region is missing') {
    return invalidRequest('s3.region is not given, and neither environment nor profile has one')
  }
  return failedCall(place, nameOf(error), message, status)
}

/** @param name the service's own code */
export function failedCall(
  { what, bucket, key }: S3Place,
  name: string,
  message: string,
  status?: number,
): MetastoreError {
  const answer = [status, name].filter(part => part !== undefined && part !== '').join(' ')
  // Some services send codes without a message.
  const reason = [answer, message === name || message === 'UnknownError' ? '' : message]
    .filter(part => part !== '')
    .join(': ')
  const isRefusal = status !== undefined && isRefused(name, status)
  return new MetastoreError('UNAVAILABLE', `${what} of 's3://${bucket}/${key}' failed: ${reason}`, {
    details: { bucket, key, status: status ?? null, code: name, isRefusal },
    cause: Object.assign(new Error(message), { name }),
  })
}

/** Whether somebody has to mend something first: permissions, the bucket's name, the request. */
function isRefused(name: string, status: number): boolean {
  if (PASSING.has(name) || PASSING_STATUSES.has(status)) return false
  return (status >= 300 && status < 500) || status === NOT_IMPLEMENTED
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}
