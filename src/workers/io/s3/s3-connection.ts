/**
 * The SDK and a client of it. Both are loaded by the first call that needs them: who keeps a bucket
 * in a directory or in memory does not pay for them.
 */
import type { S3Client } from '@aws-sdk/client-s3'
import type { S3Options } from '../../../shared/s3-options.ts'

export interface S3Connection {
  readonly sdk: typeof import('@aws-sdk/client-s3')
  readonly client: S3Client
}

export interface S3Timeouts {
  /** Milliseconds from the begin of a request to the begin of its answer. */
  readonly requestMs: number
  /** Milliseconds in which a connection is made, or none. */
  readonly connectMs: number
}

/** Where AWS itself would be asked for a region; other services take any. */
const REGION_OF_OTHERS = 'us-east-1'

export async function connectS3(options: S3Options, timeouts: S3Timeouts): Promise<S3Connection> {
  // Which versions of Node later versions of the SDK will need is this package's concern, as it
  // names the version; the warning would come once a thread. A thread's environment is its own.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
  const sdk = await import('@aws-sdk/client-s3')
  const { endpoint, forcePathStyle = false, credentials } = options
  const region = options.region ?? (endpoint === undefined ? undefined : regionFound())
  const client = new sdk.S3Client({
    forcePathStyle,
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(credentials !== undefined && { credentials }),
    // Retries are the caller's (shared/retry.ts): two layers of them would multiply, and only the
    // caller's knows the deadline and whose object a conditional put has met.
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_SUPPORTED',
    responseChecksumValidation: 'WHEN_SUPPORTED',
    requestHandler: {
      connectionTimeout: timeouts.connectMs,
      requestTimeout: timeouts.requestMs,
      // Without it a request that has taken too long is only warned about.
      throwOnRequestTimeout: true,
      // The same for an answer that stops in its middle.
      socketTimeout: timeouts.requestMs,
    },
  })
  return { sdk, client }
}

function regionFound(): string {
  return process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? REGION_OF_OTHERS
}
