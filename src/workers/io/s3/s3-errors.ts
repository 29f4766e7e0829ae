/**
 * What the SDK fails with, as our errors: retryable or not, naming bucket, key, status and the
 * service's own code. The SDK's error itself goes no further, because it carries the request.
 */
import { type ErrorCode, MetastoreError } from '../../../codec/errors.ts'

/** What was asked for. */
export interface S3Place {
  /** 'put', 'get' and so on. */
  readonly what: string
  readonly bucket: string
  /** With the prefix of the store. */
  readonly key: string
}

/** Refusals whose status is that of a caller's bug, although the same request may succeed later. */
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

/** Statuses below 500 that pass: time-outs, conflicts of racing requests, too many requests. */
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
  const name = nameOf(error)
  return failedCall(place, name, error instanceof Error ? error.message : String(error), status)
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
  return new MetastoreError(
    codeOf(name, status, message),
    `${what} of 's3://${bucket}/${key}' failed: ${reason}`,
    {
      details: { bucket, key, status: status ?? null, code: name },
      cause: Object.assign(new Error(message), { name }),
    },
  )
}

function codeOf(name: string, status: number | undefined, message: string): ErrorCode {
  if (PASSING.has(name)) return 'UNAVAILABLE'
  if (status === undefined) {
    return message.includes('Region is missing') ? 'INVALID_REQUEST' : 'UNAVAILABLE'
  }
  const isRefusal = (status >= 300 && status < 500 && !PASSING_STATUSES.has(status)) || false
  return isRefusal || status === NOT_IMPLEMENTED ? 'INVALID_REQUEST' : 'UNAVAILABLE'
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : ''
}
