/** A large body in parts, several at a time. */
import type { PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3'
import { withRetry } from '../../../shared/retry.ts'
import type { S3Connection } from './s3-connection.ts'
import { type S3Place, s3Error } from './s3-errors.ts'

/** Larger bodies are sent in parts. */
export const PART_BYTES: number = 8 * 1024 * 1024
const PARTS_AT_ONCE = 4
/** Of one part, since to begin a body of many parts anew costs more than one request. */
const PART_ATTEMPTS_MAX = 3

/**
 * Puts the body; with `IfNoneMatch` in the input the condition is looked at when all parts are
 * there. When it fails or the signal aborts, the upload is aborted in the bucket, so that its parts
 * are not kept and paid for.
 *
 * Rejects some time after the abort: it waits for what it began.
 */
export async function uploadInParts(
  connection: S3Connection,
  input: PutObjectCommandInput,
  place: S3Place,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { Upload } = await import('@aws-sdk/lib-storage')
  const parts = new AbortController()
  const stop = (): void => parts.abort(signal?.reason)
  signal?.addEventListener('abort', stop)
  // It may have come while the module was loaded.
  if (signal?.aborted) stop()
  try {
    await new Upload({
      client: clientOfParts(connection, place, parts),
      params: input,
      partSize: PART_BYTES,
      queueSize: PARTS_AT_ONCE,
    }).done()
  } finally {
    signal?.removeEventListener('abort', stop)
  }
}

/**
 * The client as Upload is to use it. Its own stops neither the parts under way when it is aborted
 * nor the remaining ones when one has failed. The requests that begin and abort the upload are let
 * finish: half of them done would leave parts behind.
 */
function clientOfParts(
  { client, sdk }: S3Connection,
  place: S3Place,
  parts: AbortController,
): S3Client {
  const sendPart = async (command: InstanceType<typeof sdk.UploadPartCommand>) => {
    const options = {
      deadlineMs: Number.POSITIVE_INFINITY,
      attemptsMax: PART_ATTEMPTS_MAX,
      signal: parts.signal,
    }
    try {
      return await withRetry(options, async abortSignal => {
        try {
          return await client.send(command, { abortSignal })
        } catch (error) {
          throw s3Error(error, { ...place, what: 'upload of a part' })
        }
      })
    } catch (error) {
      parts.abort(error)
      throw error
    }
  }
  const send = (command: object): Promise<unknown> => {
    if (command instanceof sdk.UploadPartCommand) return sendPart(command)
    const options =
      command instanceof sdk.CompleteMultipartUploadCommand ? { abortSignal: parts.signal } : {}
    return client.send(command as Parameters<S3Client['send']>[0], options)
  }
  return Object.assign(Object.create(client) as S3Client, { send })
}
