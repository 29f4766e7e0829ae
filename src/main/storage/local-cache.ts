/**
 * Which table files lie on the local disk, and how many bytes they take: the newest tables are
 * written through, others come by ranges as reads miss them, and what was used least goes when
 * bytesMax is exceeded. Every file can go at any time, since the bucket has the same bytes.
 *
 * Eviction is by CLOCK (Corbató, 1968): a file that was read since the hand came by last stays.
 */
import { readdir, rm, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import type { Logger } from '../logger.ts'

/** As `stat` counts: a file with holes takes less than its size. */
const STAT_BLOCK_BYTES = 512
const TABLE_SUFFIX = '.sst'

export interface LocalCacheOptions {
  directory: string
  bytesMax: number
  /** Whether a file was read since it was asked last. */
  wasUsed: (name: string) => boolean
  /** A file has gone: whoever has it open should let go of it. */
  onEvicted: (name: string) => void
  logger: Logger
}

interface CachedFile {
  name: string
  sizeBytes: number
}

export class LocalCache {
  readonly #options: LocalCacheOptions
  readonly #files = new Map<string, CachedFile>()
  /** In the order of the clock; the hand is at the front. */
  #clock: CachedFile[] = []
  /** Removals under way; close() waits for them. */
  readonly #removals = new Set<Promise<void>>()
  sizeBytes = 0
  evictions = 0

  constructor(options: LocalCacheOptions) {
    this.#options = options
  }

  get fileCount(): number {
    return this.#files.size
  }

  /** Takes over what an earlier instance has left, and removes what is half written. */
  async load(): Promise<void> {
    const { directory } = this.#options
    for (const path of await filesBelow(directory)) {
      const full = join(directory, path)
      if (!path.endsWith(TABLE_SUFFIX)) await rm(full, { force: true })
      else this.added(path.replaceAll(sep, '/'), (await stat(full)).blocks * STAT_BLOCK_BYTES)
    }
  }

  /** So many bytes more of a file are on the disk. */
  added(name: string, sizeBytes: number): void {
    let file = this.#files.get(name)
    if (file === undefined) {
      file = { name, sizeBytes: 0 }
      this.#files.set(name, file)
      this.#clock.push(file)
    }
    file.sizeBytes += sizeBytes
    this.sizeBytes += sizeBytes
    while (this.sizeBytes > this.#options.bytesMax && this.#files.size > 1) this.#evictOne(name)
  }

  /** The table is in no version any more. */
  remove(name: string): void {
    const file = this.#files.get(name)
    if (file === undefined) return
    this.#clock = this.#clock.filter(other => other !== file)
    this.#drop(file)
  }

  /** When this resolves nothing is removed any more. */
  async close(): Promise<void> {
    await Promise.all(this.#removals)
  }

  /** Not `newest`, which somebody is about to read. */
  #evictOne(newest: string): void {
    for (let passed = 0; ; passed++) {
      const file = this.#clock.shift()
      if (file === undefined) return
      // After a full round everything was used; then the first one goes.
      const isSpared = passed <= this.#clock.length && this.#options.wasUsed(file.name)
      if (file.name !== newest && !isSpared) {
        this.evictions++
        this.#drop(file)
        return
      }
      this.#clock.push(file)
    }
  }

  #drop(file: CachedFile): void {
    const { directory, logger, onEvicted } = this.#options
    this.#files.delete(file.name)
    this.sizeBytes -= file.sizeBytes
    onEvicted(file.name)
    const removal = rm(join(directory, file.name), { force: true }).catch((error: unknown) => {
      logger.warn({ err: error, file: file.name }, 'a cached table could not be removed')
    })
    const done = removal.then(() => {
      this.#removals.delete(done)
    })
    this.#removals.add(done)
  }
}

async function filesBelow(directory: string): Promise<string[]> {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true })
    return entries
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name).slice(directory.length + 1))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
