/**
 * Files of the local cache. They may vanish or be damaged at any time, since the bucket has the
 * same bytes; so a whole file is put in place by rename, but not synced, and a write that fails
 * (the disk is full, say) harms nobody: the answer says whether it was done.
 */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Where tables go on their way: what is asked of CacheFiles. */
export type TableCache = Pick<CacheFiles, 'write' | 'writeRange'>

export class CacheFiles {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** A whole file. */
  async write(key: string, bytes: Uint8Array): Promise<boolean> {
    const path = join(this.#directory, key)
    const temporary = `${path}.${randomUUID()}.tmp`
    try {
      await mkdir(dirname(path), { recursive: true })
      await writeFile(temporary, bytes)
      await rename(temporary, path)
      return true
    } catch {
      await rm(temporary, { force: true }).catch(() => {})
      return false
    }
  }

  /**
   * A part of a file of `sizeBytes` bytes, which is created with holes when it is not there. Holes
   * read as zeros, which no stored block is.
   */
  async writeRange(
    key: string,
    sizeBytes: number,
    offset: number,
    bytes: Uint8Array,
  ): Promise<boolean> {
    const path = join(this.#directory, key)
    try {
      await mkdir(dirname(path), { recursive: true })
      const file = await open(path, constants.O_RDWR | constants.O_CREAT)
      try {
        if ((await file.stat()).size !== sizeBytes) await file.truncate(sizeBytes)
        let done = 0
        while (done < bytes.length) {
          done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten
        }
        return true
      } finally {
        await file.close()
      }
    } catch {
      return false
    }
  }
}
