/** The metadata of an object that is a file: an extended attribute, as JSON. */
import type { FileHandle } from 'node:fs/promises'
import { MetastoreError } from '../../codec/errors.ts'
import { fsExtensions } from '../../shared/fs-extensions.ts'
import { hasCode } from './file-errors.ts'

export type Metadata = Readonly<Record<string, string>>

const METADATA_ATTRIBUTE = 'user.waymark.metadata'

export async function writeMetadata(file: FileHandle, metadata: Metadata): Promise<void> {
  const value = Buffer.from(JSON.stringify(metadata))
  try {
    await fsExtensions.setAttr(file.fd, METADATA_ATTRIBUTE, value)
  } catch (error) {
    if (!hasCode(error, 'ENOTSUP')) throw error
    throw new MetastoreError(
      'INVALID_REQUEST',
      'object metadata needs a file system that keeps extended attributes',
      { cause: error },
    )
  }
}

export async function readMetadata(file: FileHandle): Promise<Metadata> {
  try {
    const value = await fsExtensions.getAttr(file.fd, METADATA_ATTRIBUTE)
    return value === null ? {} : (JSON.parse(Buffer.from(value).toString()) as Metadata)
  } catch (error) {
    // Such a file system refused all metadata when it was written, so there is none.
    if (hasCode(error, 'ENOTSUP')) return {}
    throw error
  }
}
