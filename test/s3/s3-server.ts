/**
 * The S3 server that tests run against: `npm run s3:server` starts one, and WAYMARK_TEST_S3 names
 * its endpoint. Without it these tests say that they were skipped.
 */
import { randomBytes } from 'node:crypto'
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import type { S3Location, S3Options } from '../../src/shared/s3-options.ts'

const ENDPOINT = process.env.WAYMARK_TEST_S3

/** The option `skip` of tests that need the server: false when there is one. */
export const withoutServer: false | string =
  ENDPOINT === undefined && 'no S3 server: WAYMARK_TEST_S3 is not set (test/s3/server.sh)'

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

export async function makeBucket(): Promise<void> {
  const client = new S3Client({ ...s3Options() })
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
  client.destroy()
}

/** Uploads below the prefix that were neither completed nor aborted. */
export async function unfinishedUploads(prefix: string): Promise<number> {
  const client = new S3Client({ ...s3Options() })
  const page = await client.send(
    new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: prefix }),
  )
  client.destroy()
  return page.Uploads?.length ?? 0
}
