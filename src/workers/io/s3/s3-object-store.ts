/**
 * A bucket of S3, or of a service that speaks its protocol (`s3://bucket/prefix`). What it asks of
 * the service, and what it makes of its failures: docs/object-stores.md.
 */
import type { PutObjectCommandInput } from '@aws-sdk/client-s3'
import type {
  AbortedUploads,
  AbortUploadsOptions,
  CallOptions,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectPage,
  ObjectStore,
  PutAnswer,
  PutOptions,
} from '../../../shared/object-store.ts'
import {
  checkKey,
  checkMetadata,
  checkPrefix,
  isKey,
  pageLimit,
  rangeWithin,
} from '../../../shared/object-store-protocol.ts'
import type { S3Location } from '../../../shared/s3-options.ts'
import { readBody } from './s3-body.ts'
import { connectS3, type S3Connection, type S3Timeouts } from './s3-connection.ts'
import { failedCall, isAbsent, type S3Place, s3Error, statusOf } from './s3-errors.ts'
import { listUnfinished } from './s3-unfinished.ts'
import { PART_BYTES, uploadInParts } from './s3-upload.ts'

/** What one request may take, so that several fit into the deadline of an object. */
const TIMEOUTS: S3Timeouts = { requestMs: 10_000, connectMs: 3_000 }

/** What S3 takes in one request. */
const DELETED_AT_ONCE = 1000

const PRECONDITION_FAILED = 412
const RANGE_NOT_SATISFIABLE = 416

/** A call under way. */
interface S3Call {
  readonly connection: S3Connection
  readonly place: S3Place
  readonly signal: AbortSignal | undefined
  /** For the SDK. */
  readonly sending: { abortSignal?: AbortSignal }
}

/**
 * Tries each request once (shared/retry.ts does it again) and, except for parts of large bodies,
 * makes one request a call. Rejects with INVALID_REQUEST (an illegal key), UNAVAILABLE (the service
 * or the way to it failed, or it refused: s3-errors.ts), or at once with the signal's reason.
 */
export class S3ObjectStore implements ObjectStore {
  readonly #location: S3Location
  readonly #timeouts: S3Timeouts
  #connection: Promise<S3Connection> | undefined

  constructor(location: S3Location, timeouts: S3Timeouts = TIMEOUTS) {
    this.#location = location
    this.#timeouts = timeouts
  }

  async put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<PutAnswer> {
    const { ifNoneMatch = false, ifMatch, metadata = {}, signal } = options
    checkKey(key)
    checkMetadata(key, metadata)
    return await this.#call('put', key, signal, async ({ connection, place, sending }) => {
      const { client, sdk } = connection
      const input: PutObjectCommandInput = {
        ...this.#object(key),
        Body: body,
        Metadata: { ...metadata },
        ...(ifNoneMatch && { IfNoneMatch: '*' }),
        ...(ifMatch !== undefined && { IfMatch: ifMatch }),
      }
      try {
        if (body.length > PART_BYTES) await uploadInParts(connection, input, place, signal)
        else await client.send(new sdk.PutObjectCommand(input), sending)
        return 'created'
      } catch (error) {
        const isUnmet = statusOf(error) === PRECONDITION_FAILED
        if (ifNoneMatch && isUnmet) return 'exists'
        if (ifMatch !== undefined && (isUnmet || isAbsent(error))) return 'changed'
        throw error
      }
    })
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array | null> {
    checkKey(key)
    rangeWithin(0, options)
    // S3 has no form for a range of nothing.
    if (options.length === 0) {
      return (await this.head(key, options)) === null ? null : new Uint8Array(0)
    }
    return await this.#call('get', key, options.signal, async ({ connection, ...call }) => {
      const { client, sdk } = connection
      const input = { ...this.#object(key), ...rangeOf(options) }
      try {
        const answer = await client.send(new sdk.GetObjectCommand(input), call.sending)
        return await readBody(answer, call.signal)
      } catch (error) {
        if (statusOf(error) === RANGE_NOT_SATISFIABLE) return new Uint8Array(0)
        if (isAbsent(error)) return null
        throw error
      }
    })
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo | null> {
    checkKey(key)
    return await this.#call('head', key, options.signal, async ({ connection, sending }) => {
      const { client, sdk } = connection
      try {
        const answer = await client.send(new sdk.HeadObjectCommand(this.#object(key)), sending)
        return {
          sizeBytes: answer.ContentLength ?? 0,
          modifiedAt: wholeSeconds(answer.LastModified),
          metadata: { ...answer.Metadata },
          version: answer.ETag ?? '',
        }
      } catch (error) {
        if (isAbsent(error)) return null
        throw error
      }
    })
  }

  /** Keys that Waymark cannot have made are passed over. */
  async list(prefix: string, options: ListOptions = {}): Promise<ObjectPage> {
    checkPrefix(prefix)
    const limit = pageLimit(options)
    const { after = '', signal } = options
    return await this.#call('list', prefix, signal, async ({ connection, sending }) => {
      const { client, sdk } = connection
      const { bucket: Bucket, prefix: ours } = this.#location
      const page = { Bucket, Prefix: ours + prefix, MaxKeys: limit }
      let from: { StartAfter?: string; ContinuationToken?: string | undefined } =
        after === '' ? {} : { StartAfter: ours + after }
      for (;;) {
        const input = new sdk.ListObjectsV2Command({ ...page, ...from })
        const answer = await client.send(input, sending)
        const { Contents = [], IsTruncated = false } = answer
        const last = Contents.at(-1)?.Key
        if (IsTruncated && last === undefined) {
          // An empty page names no key to go on after.
          from = { ContinuationToken: answer.NextContinuationToken }
          continue
        }
        const objects = Contents.map(({ Key = '', Size = 0, LastModified }) => ({
          key: Key.slice(ours.length),
          sizeBytes: Size,
          modifiedAt: wholeSeconds(LastModified),
        })).filter(({ key }) => isKey(key))
        return { objects, next: IsTruncated ? (last?.slice(ours.length) ?? null) : null }
      }
    })
  }

  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) checkKey(key)
    const objects = [...new Set(keys)].map(key => ({ Key: this.#location.prefix + key }))
    for (let at = 0; at < objects.length; at += DELETED_AT_ONCE) {
      const some = objects.slice(at, at + DELETED_AT_ONCE)
      await this.#call('delete', keys[0], options.signal, async ({ connection, ...call }) => {
        const { client, sdk } = connection
        const { bucket: Bucket } = this.#location
        const input = { Bucket, Delete: { Objects: some, Quiet: true } }
        const { Errors = [] } = await client.send(new sdk.DeleteObjectsCommand(input), call.sending)
        for (const { Key: key = '', Code = 'InternalError', Message = '' } of Errors) {
          if (Code !== 'NoSuchKey') throw failedCall({ ...call.place, key }, Code, Message)
        }
      })
    }
  }

  async abortUploads(prefix: string, options: AbortUploadsOptions): Promise<AbortedUploads> {
    checkPrefix(prefix)
    const { before, dryRun = false, signal } = options
    return await this.#call('abort uploads', prefix, signal, async ({ connection, sending }) => {
      const { client, sdk } = connection
      const { bucket: Bucket, prefix: ours } = this.#location
      let uploads = 0
      const below = { Bucket, Prefix: ours + prefix }
      for await (const upload of listUnfinished(connection, below, before, sending)) {
        signal?.throwIfAborted()
        uploads++
        if (dryRun) continue
        try {
          await client.send(new sdk.AbortMultipartUploadCommand({ Bucket, ...upload }), sending)
        } catch (error) {
          // It was completed or aborted meanwhile.
          if (statusOf(error) !== 404) throw error
          uploads--
        }
      }
      return { uploads }
    })
  }

  /** Closes the connections; a later call opens new ones. */
  async close(): Promise<void> {
    const connection = this.#connection
    this.#connection = undefined
    ;(await connection)?.client.destroy()
  }

  #object(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#location.bucket, Key: this.#location.prefix + key }
  }

  /** Ends with the signal also where the SDK does not, and turns its errors into ours. */
  async #call<T>(
    what: string,
    key: string,
    signal: AbortSignal | undefined,
    step: (call: S3Call) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    const { bucket, prefix, options } = this.#location
    const place = { what, bucket, key: prefix + key }
    const sending = signal === undefined ? {} : { abortSignal: signal }
    this.#connection ??= connectS3(options, this.#timeouts)
    try {
      const connecting = this.#connection
      return await unlessAborted(
        connecting.then(connection => step({ connection, place, signal, sending })),
        signal,
      )
    } catch (error) {
      signal?.throwIfAborted()
      throw s3Error(error, place)
    }
  }
}

/** As a header of a request; `length` is not 0. */
function rangeOf({ offset = 0, length }: GetOptions): { Range?: string } {
  const end = length === undefined ? Number.MAX_SAFE_INTEGER : offset + length - 1
  if (end < Number.MAX_SAFE_INTEGER) return { Range: `bytes=${offset}-${end}` }
  return offset === 0 ? {} : { Range: `bytes=${offset}-` }
}

/** HEAD has no parts of seconds; a listing may have, and both shall agree. */
function wholeSeconds(time: Date | undefined): number {
  return Math.floor((time?.getTime() ?? 0) / 1000) * 1000
}

async function unlessAborted<T>(running: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await running
  const { promise: aborted, stop } = rejection(signal)
  signal.addEventListener('abort', stop)
  try {
    return await Promise.race([running, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** A promise that `stop` rejects with the signal's reason. */
function rejection(signal: AbortSignal): { promise: Promise<never>; stop: () => void } {
  let stop = (): void => {}
  const promise = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason)
  })
  return { promise, stop }
}
