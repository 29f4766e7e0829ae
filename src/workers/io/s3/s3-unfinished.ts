/** Multipart uploads that were begun and neither completed nor aborted. */
import type { S3Connection } from './s3-connection.ts'

export interface UnfinishedUpload {
  readonly Key: string
  readonly UploadId: string
}

/** Those below the prefix that were begun before `before` (milliseconds since the epoch). */
export async function* listUnfinished(
  { client, sdk }: S3Connection,
  below: { Bucket: string; Prefix: string },
  before: number,
  sending: { abortSignal?: AbortSignal },
): AsyncGenerator<UnfinishedUpload> {
  let markers: { KeyMarker?: string; UploadIdMarker?: string } = {}
  for (;;) {
    const page = await client.send(
      new sdk.ListMultipartUploadsCommand({ ...below, ...markers }),
      sending,
    )
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined || Initiated === undefined) continue
      if (Initiated.getTime() < before) yield { Key, UploadId }
    }
    const { NextKeyMarker, NextUploadIdMarker } = page
    if (!page.IsTruncated || NextKeyMarker === undefined) return
    markers = {
      KeyMarker: NextKeyMarker,
      ...(NextUploadIdMarker !== undefined && { UploadIdMarker: NextUploadIdMarker }),
    }
  }
}
