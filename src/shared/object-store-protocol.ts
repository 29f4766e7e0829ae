/**
 * What all object stores agree on beyond the types of object-store.ts: which keys, metadata and
 * ranges are legal, and the messages of a store that is reached through a MessagePort
 * (docs/object-stores.md).
 */
import { ERROR_CODES, type ErrorCode, invalidRequest, MetastoreError } from '../codec/errors.ts'
import type {
  AbortedUploads,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectPage,
  PutAnswer,
  PutOptions,
} from './object-store.ts'

export const KEY_BYTES_MAX = 1024
/** What file systems allow one name. */
export const SEGMENT_BYTES_MAX = 255
export const METADATA_BYTES_MAX = 2048
export const LIST_LIMIT_MAX = 1000

/** Names that begin with this are the directory store's own. */
export const RESERVED_SEGMENT_PREFIX = '.tmp'

const NOT_PRINTABLE_ASCII = /[^\x20-\x7e]/
const METADATA_NAME = /^[a-z0-9][a-z0-9-]*$/

/** What is wrong with one segment of a key; null when nothing is. */
export function segmentFault(segment: string): string | null {
  if (segment === '') return 'has an empty segment'
  if (segment === '.' || segment === '..') return `has the segment '${segment}'`
  if (segment.startsWith(RESERVED_SEGMENT_PREFIX)) {
    return `has a segment that begins with '${RESERVED_SEGMENT_PREFIX}'`
  }
  if (segment.length > SEGMENT_BYTES_MAX) {
    return `has a segment of more than ${SEGMENT_BYTES_MAX} bytes`
  }
  if (segment.includes('\\')) return 'has a backslash'
  if (NOT_PRINTABLE_ASCII.test(segment)) return 'has a character that is not printable ASCII'
  return null
}

/** Throws INVALID_REQUEST, naming the key, unless it is a legal object key. */
export function checkKey(key: string): void {
  if (key.length > KEY_BYTES_MAX) refuse('key', key, `has more than ${KEY_BYTES_MAX} bytes`)
  for (const segment of key.split('/')) {
    const fault = segmentFault(segment)
    if (fault !== null) refuse('key', key, fault)
  }
}

/** Whether checkKey would let it pass; for names that a store meets in its listing. */
export function isKey(key: string): boolean {
  return key.length <= KEY_BYTES_MAX && key.split('/').every(part => segmentFault(part) === null)
}

/** Throws INVALID_REQUEST unless `prefix` is the beginning of some legal key, or empty. */
export function checkPrefix(prefix: string): void {
  if (prefix.length > KEY_BYTES_MAX) refuse('prefix', prefix, `is over ${KEY_BYTES_MAX} bytes`)
  const segments = prefix.split('/')
  const unfinished = segments.pop() ?? ''
  for (const segment of segments) {
    const fault = segmentFault(segment)
    if (fault !== null) refuse('prefix', prefix, fault)
  }
  // The unfinished segment may still become legal: '.' is the beginning of '.well-known'.
  const fault = unfinished === '' || /^\.\.?$/.test(unfinished) ? null : segmentFault(unfinished)
  if (fault !== null) refuse('prefix', prefix, fault)
}

/** Throws INVALID_REQUEST unless the metadata fits every store, S3's headers included. */
export function checkMetadata(key: string, metadata: Readonly<Record<string, string>>): void {
  let sizeBytes = 0
  for (const [name, value] of Object.entries(metadata)) {
    if (!METADATA_NAME.test(name)) refuse('key', key, `has metadata named ${quote(name)}`)
    if (NOT_PRINTABLE_ASCII.test(value) || value !== value.trim()) {
      refuse('key', key, `has metadata '${name}' with the value ${quote(value)}`)
    }
    sizeBytes += name.length + value.length
  }
  if (sizeBytes > METADATA_BYTES_MAX) {
    refuse('key', key, `has ${sizeBytes} bytes of metadata, at most ${METADATA_BYTES_MAX}`)
  }
}

/** The half-open range [start, end) of an object of `sizeBytes` that the options ask for. */
export function rangeWithin(
  sizeBytes: number,
  { offset = 0, length = Number.MAX_SAFE_INTEGER }: GetOptions,
): { start: number; end: number } {
  for (const [name, value] of Object.entries({ offset, length })) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw invalidRequest(`${name} is a whole number from 0, not ${value}`)
    }
  }
  const start = Math.min(offset, sizeBytes)
  return { start, end: start + Math.min(length, sizeBytes - start) }
}

/** The page size that the options ask for. */
export function pageLimit({ limit = LIST_LIMIT_MAX }: ListOptions): number {
  if (!Number.isInteger(limit) || limit < 1 || limit > LIST_LIMIT_MAX) {
    throw invalidRequest(`limit is a whole number from 1 to ${LIST_LIMIT_MAX}, not ${limit}`)
  }
  return limit
}

/** A copy in an ArrayBuffer of exactly its size, which may be transferred. */
export function exactCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  // Not slice(): a Buffer's slice is a view, and a view on shared memory must not leave either.
  const copy = new Uint8Array(bytes.length)
  copy.set(bytes)
  return copy
}

/** From the thread that calls to the thread that has the store. `id` is the caller's count. */
export type ObjectStoreRequest = ObjectStoreCall | { type: 'abort'; id: number }

export type ObjectStoreCall =
  | {
      type: 'put'
      id: number
      key: string
      /** Transferred. */
      body: Uint8Array
      conditions: Omit<PutOptions, 'signal'>
    }
  | { type: 'get'; id: number; key: string; range: { offset?: number; length?: number } }
  | { type: 'head'; id: number; key: string }
  | { type: 'list'; id: number; prefix: string; page: { after?: string; limit?: number } }
  | { type: 'delete'; id: number; keys: readonly string[] }
  /** A store without this method has none: it is answered for. */
  | { type: 'abortUploads'; id: number; prefix: string; before: number; dryRun: boolean }

/** Answers come in any order; an aborted call may be answered or not. */
export type ObjectStoreResponse =
  | { type: 'done'; id: number; value: ObjectStoreValue }
  | { type: 'failed'; id: number; error: ErrorMessage }

/** What the call's promise resolves to; bodies are transferred. */
export type ObjectStoreValue =
  | PutAnswer
  | Uint8Array
  | ObjectInfo
  | ObjectPage
  | AbortedUploads
  | null
  | undefined

/** An error taken apart, because structured clone keeps neither codes nor classes. */
export interface ErrorMessage {
  name: string
  message: string
  code: string | null
  details: unknown
  cause: ErrorMessage | null
}

/** Chains of causes are followed this far. */
const CAUSES_MAX = 4

export function encodeError(error: unknown, causesMax: number = CAUSES_MAX): ErrorMessage {
  if (!(error instanceof Error)) {
    return { name: 'Error', message: String(error), code: null, details: undefined, cause: null }
  }
  const { code, details } = error as { code?: unknown; details?: unknown }
  const follow = error.cause !== undefined && error.cause !== null && causesMax > 0
  return {
    name: error.name,
    message: error.message,
    code: typeof code === 'string' ? code : null,
    details: cloneable(details),
    cause: follow ? encodeError(error.cause, causesMax - 1) : null,
  }
}

/** A MetastoreError again if it was one; otherwise an Error with the same name and code. */
export function decodeError(message: ErrorMessage): Error {
  const cause = message.cause === null ? undefined : decodeError(message.cause)
  const code = ERROR_CODES.find(known => known === message.code)
  if (message.name === 'MetastoreError' && code !== undefined) {
    return restoredMetastoreError(code, message, cause)
  }
  const error = new Error(message.message, cause === undefined ? undefined : { cause })
  error.name = message.name
  if (message.code !== null) Object.assign(error, { code: message.code })
  return error
}

function restoredMetastoreError(
  code: ErrorCode,
  { message, details }: ErrorMessage,
  cause: Error | undefined,
): MetastoreError {
  return new MetastoreError(code, message, { details, cause })
}

/** Details that cannot be sent are sent as text, so that the error itself always arrives. */
function cloneable(details: unknown): unknown {
  try {
    return structuredClone(details)
  } catch {
    return String(details)
  }
}

function refuse(what: 'key' | 'prefix', text: string, fault: string): never {
  throw invalidRequest(`object ${what} ${quote(text)} ${fault}`, { [what]: text })
}

/** Quoted and escaped, so that a control character shows in the message. */
function quote(text: string): string {
  return JSON.stringify(text)
}
