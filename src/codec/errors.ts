/**
 * The one error class of the package. Callers branch on `code`, never on the message.
 * What each code asks of the caller: docs/errors.md.
 */
export const ERROR_CODES = [
  'MISSING_PARTITION',
  'OUT_OF_RANGE',
  'INVALID_REQUEST',
  'CONFLICT',
  'OVERLOADED',
  'UNAVAILABLE',
  'INDETERMINATE',
  'CORRUPTION',
  'PARTIAL_FAILURE',
  'READ_ONLY',
  'CLOSED',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/** Codes after which the same call may succeed unchanged. */
const RETRYABLE: ReadonlySet<ErrorCode> = new Set(['OVERLOADED', 'UNAVAILABLE', 'INDETERMINATE'])

export interface MetastoreErrorOptions {
  /** Machine-readable context; its shape depends on the code (docs/errors.md). */
  readonly details?: unknown
  readonly cause?: unknown
}

export class MetastoreError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly details?: unknown

  constructor(code: ErrorCode, message: string, options: MetastoreErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'MetastoreError'
    this.code = code
    this.retryable = RETRYABLE.has(code)
    if (options.details !== undefined) this.details = options.details
  }
}

export function invalidRequest(message: string, details?: unknown): MetastoreError {
  return new MetastoreError('INVALID_REQUEST', message, { details })
}

export function conflict(message: string, details?: unknown): MetastoreError {
  return new MetastoreError('CONFLICT', message, { details })
}

export function outOfRange(message: string): MetastoreError {
  return new MetastoreError('OUT_OF_RANGE', message)
}

/** Where stored bytes failed their check. */
export interface CorruptionPlace {
  readonly file?: string
  readonly block?: number
  readonly offset?: number
  /** The row's key in hexadecimal, when one row does not decode. */
  readonly key?: string
  /** Number of the metastore partition, from restore. */
  readonly domain?: number
}

export function corruption(message: string, place: CorruptionPlace = {}): MetastoreError {
  return new MetastoreError('CORRUPTION', message, { details: place })
}
