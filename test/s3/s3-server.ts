/**
 * The S3 server that tests run against: `npm run s3:server` starts one, and WAYMARK_TEST_S3 names
 * its endpoint. Without it these tests say that they were skipped.
 */
import { randomBytes } from 'node:crypto'
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import type { S3Location, S3Options } from '../../src/shared/s3-options.ts'

// The SDK would warn of versions of Node that later versions of it need.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'

const ENDPOINT = process.env.WAYMARK_TEST_S3

/** The option `skip` of tests that need the server: false when there is one. */
export const withoutServer: false | string =
  ENDPOINT === undefined && 'no S3 server: WAYMARK_TEST_S3 is not set (test/s3/server.sh)'

/** Of the server itself. */
export function serverEndpoint(): string {
  if (ENDPOINT === undefined) throw new Error('WAYMARK_TEST_S3 is not set')
  return ENDPOINT
}

/** One a process that runs tests. */
export const BUCKET: string = `waymark-test-${randomBytes(6).toString('hex')}`

/** Of the server, or of what stands before it. */
export function s3Options(endpoint: string | undefined = ENDPOINT): S3Options {
  return {
    ...(endpoint !== undefined && { endpoint }),
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'testkey', secretAccessKey: 'testsecret' },
  }
}

/** An empty part of the bucket. */
export function freshLocation(endpoint?: string): S3Location {
  const prefix = `${randomBytes(6).toString('hex')}/`
  return { bucket: BUCKET, prefix, options: s3Options(endpoint) }
}

/** Calls the server with the SDK itself. */
export async function withClient<T>(use: (client: S3Client) => Promise<T>): Promise<T> {
  const client = new S3Client({ ...s3Options() })
  try {
    return await use(client)
  } finally {
    client.destroy()
  }
}

export async function makeBucket(): Promise<void> {
  await withClient(client => client.send(new CreateBucketCommand({ Bucket: BUCKET })))
}

/** Uploads below the prefix that were neither completed nor aborted. */
export async function unfinishedUploads(Prefix: string): Promise<number> {
  const command = new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix })
  const { Uploads = [] } = await withClient(client => client.send(command))
  return Uploads.length
}
