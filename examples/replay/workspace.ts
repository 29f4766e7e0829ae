/** What a run leaves behind unless it is cleared away: folders and child processes. */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { MetastoreOptions } from '../../src/index.ts'
import type { ReplayOptions } from './options.ts'

/** Threads of this process and a child that is just dying may still write into the folder. */
const REMOVE_RETRIES_MAX = 20

export class Workspace {
  readonly path: string
  readonly #isKept: boolean
  readonly #children = new Set<ChildProcess>()

  /** Makes a fresh folder in `directory`; it goes when the process ends, unless it is to be kept. */
  constructor(directory: string, isKept: boolean) {
    mkdirSync(directory, { recursive: true })
    this.path = mkdtempSync(join(directory, 'waymark-replay-'))
    this.#isKept = isKept
    process.once('exit', () => this.#clear())
    process.once('SIGINT', () => process.exit(130))
    process.once('SIGTERM', () => process.exit(143))
  }

  /** A child process that is not to outlive this one. */
  adopt(child: ChildProcess): void {
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
  }

  #clear(): void {
    for (const child of this.#children) child.kill('SIGKILL')
    if (this.#isKept) return
    rmSync(this.path, { recursive: true, force: true, maxRetries: REMOVE_RETRIES_MAX })
  }
}

/**
 * A metastore in a folder: its dataDir, and its bucket, beside it or below the store's URL under the
 * folder's own names. Acknowledged is on disk.
 */
export function metastoreOptions(
  folder: string,
  { workers, store }: Pick<ReplayOptions, 'workers' | 'store'>,
): MetastoreOptions {
  const names = [basename(dirname(folder)), basename(folder)].join('/')
  return {
    dataDir: join(folder, 'data'),
    ...(store === undefined
      ? { objectStore: `file:${join(folder, 'bucket')}` }
      : { objectStore: `${store.url.replace(/\/$/, '')}/${names}`, s3: store.s3 }),
    durability: 'fsync',
    ...(workers !== undefined && { workers }),
  }
}
