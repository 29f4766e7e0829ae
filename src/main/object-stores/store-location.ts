/** Where the bucket is, from the options `objectStore` and `s3`. */
import { resolve } from 'node:path'
import { invalidRequest, MetastoreError } from '../../codec/errors.ts'
import type { ObjectStore } from '../../shared/object-store.ts'
import { checkKey } from '../../shared/object-store-protocol.ts'
import type { S3Location, S3Options } from '../../shared/s3-options.ts'

export type StoreLocation =
  | { type: 'directory'; root: string }
  | { type: 's3'; location: S3Location }
  | { type: 'memory'; name: string }
  /** The caller's own. */
  | { type: 'object'; store: ObjectStore }

const STORE_METHODS = ['put', 'get', 'head', 'list', 'delete'] as const
const S3_FIELDS = ['endpoint', 'region', 'forcePathStyle', 'credentials']
const CREDENTIAL_FIELDS = ['accessKeyId', 'secretAccessKey', 'sessionToken']
const BUCKET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/
/** Leaves room for Waymark's own keys below the 1024 bytes that S3 takes. */
const PREFIX_BYTES_MAX = 512

/** @throws INVALID_REQUEST naming the option and its value, never credentials */
export function storeLocation(
  objectStore: string | ObjectStore,
  s3: S3Options | undefined,
): StoreLocation {
  const options = checkS3Options(s3)
  if (typeof objectStore !== 'string') {
    for (const method of STORE_METHODS) {
      if (typeof (objectStore as ObjectStore | undefined)?.[method] !== 'function') {
        throw invalidRequest(`objectStore has no method ${method}`)
      }
    }
    return { type: 'object', store: objectStore }
  }
  const [, scheme, rest] = /^(file:|memory:|s3:\/\/)(.+)$/s.exec(objectStore) ?? []
  switch (scheme) {
    case 'file:':
      return { type: 'directory', root: resolve(rest) }
    case 'memory:':
      return { type: 'memory', name: rest }
    case 's3://':
      return { type: 's3', location: { ...bucketAndPrefix(rest), options } }
    default:
      throw invalidRequest(
        `objectStore must be 'file:path', 's3://bucket/prefix' or 'memory:name', not ` +
          JSON.stringify(objectStore),
      )
  }
}

function bucketAndPrefix(text: string): { bucket: string; prefix: string } {
  const slash = text.indexOf('/')
  const bucket = slash < 0 ? text : text.slice(0, slash)
  if (!BUCKET_NAME.test(bucket)) {
    throw invalidRequest(
      `objectStore must name a bucket of 3 to 255 letters, digits, '.', '_' and '-', not ` +
        JSON.stringify(bucket),
    )
  }
  const prefix = slash < 0 ? '' : text.slice(slash + 1).replace(/\/$/, '')
  if (prefix === '') return { bucket, prefix }
  if (prefix.length > PREFIX_BYTES_MAX) {
    throw invalidRequest(`objectStore has a prefix of more than ${PREFIX_BYTES_MAX} bytes`)
  }
  try {
    checkKey(prefix)
  } catch (error) {
    const reason = error instanceof MetastoreError ? error.message : String(error)
    throw invalidRequest(`objectStore has a prefix that begins no key: ${reason}`)
  }
  return { bucket, prefix: `${prefix}/` }
}

/** A copy, so that it does not change later. */
function checkS3Options(s3: S3Options | undefined): S3Options {
  if (s3 === undefined) return {}
  checkFields(s3, 's3', S3_FIELDS)
  const { endpoint, region, forcePathStyle, credentials } = s3
  if (endpoint !== undefined) checkEndpoint(endpoint)
  if (region !== undefined) checkText(region, 's3.region')
  if (forcePathStyle !== undefined && typeof forcePathStyle !== 'boolean') {
    throw invalidRequest(`s3.forcePathStyle must be true or false, not ${String(forcePathStyle)}`)
  }
  return {
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(forcePathStyle !== undefined && { forcePathStyle }),
    ...(credentials !== undefined && { credentials: checkCredentials(credentials) }),
  }
}

function checkEndpoint(endpoint: unknown): void {
  const url = typeof endpoint === 'string' && URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw invalidRequest(`s3.endpoint must be a URL of http or https, not ${text(endpoint)}`)
  }
  if (url.username !== '' || url.password !== '') {
    throw invalidRequest('s3.endpoint must not have credentials in it; s3.credentials takes them')
  }
}

/** Their values are in no message. */
function checkCredentials(
  credentials: NonNullable<S3Options['credentials']>,
): NonNullable<S3Options['credentials']> {
  checkFields(credentials, 's3.credentials', CREDENTIAL_FIELDS)
  const { accessKeyId, secretAccessKey, sessionToken } = credentials
  for (const [name, value] of Object.entries({ accessKeyId, secretAccessKey, sessionToken })) {
    const isOptional = name === 'sessionToken' && value === undefined
    if (!isOptional && (typeof value !== 'string' || value === '')) {
      throw invalidRequest(`s3.credentials.${name} must be a text that is not empty`)
    }
  }
  return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) }
}

function checkFields(value: unknown, name: string, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidRequest(
      `${name} must be an object, not ${Array.isArray(value) ? 'a list' : typeof value}`,
    )
  }
  for (const field of Object.keys(value)) {
    if (!known.includes(field)) {
      throw invalidRequest(`${name}.${field} is not known to this version`)
    }
  }
}

function checkText(value: unknown, name: string): void {
  if (typeof value !== 'string' || value === '') {
    throw invalidRequest(`${name} must be a text that is not empty, not ${text(value)}`)
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
