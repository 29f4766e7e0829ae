/**
 * Files of the local cache. They may vanish or be damaged at any time, since the bucket has the
 * same bytes; so a write is made whole by rename, but not synced.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export class CacheFiles {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Size of a file in bytes; undefined when it is not there. */
  async sizeOf(key: string): Promise<number | undefined> {
    try {
      return (await stat(join(this.#directory, key))).size
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  async write(key: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.#directory, key)
    const temporary = `${path}.${randomUUID()}.tmp`
    await mkdir(dirname(path), { recursive: true })
    try {
      await writeFile(temporary, bytes)
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }
}
