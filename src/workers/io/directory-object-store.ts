/**
 * A bucket in a directory (`file:`), durable and atomic: key = path below the root, object = plain
 * file, metadata = an extended attribute of that file. Layout and reasons: docs/object-stores.md.
 */
import { randomBytes } from 'node:crypto'
import type { Dirent, Stats } from 'node:fs'
import {
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  unlink,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { threadId } from 'node:worker_threads'
import { invalidRequest, MetastoreError } from '../../codec/errors.ts'
import type {
  CallOptions,
  GetOptions,
  ListOptions,
  ObjectInfo,
  ObjectPage,
  ObjectStore,
  PutAnswer,
  PutOptions,
} from '../../shared/object-store.ts'
import {
  checkKey,
  checkMetadata,
  checkPrefix,
  KEY_BYTES_MAX,
  pageLimit,
  RESERVED_SEGMENT_PREFIX,
  rangeWithin,
  segmentFault,
} from '../../shared/object-store-protocol.ts'
import { replaceMatching, versionOf } from './directory-match.ts'
import { hasCode, isMissing, unlessMissing } from './file-errors.ts'
import { type Metadata, readMetadata, writeMetadata } from './file-metadata.ts'

/** Not in the directory of temporary files: nobody sweeps it. */
const MATCH_LOCK = `${RESERVED_SEGMENT_PREFIX}-lock`

/** One write or read of a body; between two of them the signal is looked at. */
const CHUNK_BYTES = 4 * 1024 * 1024

/** Files looked at together while a page is listed. */
const STATS_AT_ONCE = 32

/**
 * Any number of stores, threads and processes may share one root. Rejects with INVALID_REQUEST
 * (an illegal key, or one that lies below another object), UNAVAILABLE (the file system failed;
 * see the cause), or the signal's reason. Any thread, but only on its event loop.
 */
export class DirectoryObjectStore implements ObjectStore {
  readonly #root: string
  readonly #temporaryDirectory: string
  /** Directories whose names this store knows to be on disk. */
  readonly #durable = new Set<string>()

  /** The root is made by the first put that needs it. */
  constructor(root: string) {
    this.#root = resolve(root)
    this.#temporaryDirectory = join(this.#root, RESERVED_SEGMENT_PREFIX)
  }

  async put(key: string, body: Uint8Array, options: PutOptions = {}): Promise<PutAnswer> {
    checkKey(key)
    checkMetadata(key, options.metadata ?? {})
    return await this.#guard('put', key, options, async () => {
      try {
        return await this.#put(key, body, options)
      } catch (error) {
        if (!hasCode(error, 'ENOENT')) throw error
        // Someone removed a directory that this store knew, or swept its temporary file.
        this.#durable.clear()
        return await this.#put(key, body, options)
      }
    })
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array | null> {
    checkKey(key)
    rangeWithin(0, options)
    return await this.#guard('get', key, options, () =>
      this.#withObject(key, async (file, { size }) => {
        const { start, end } = rangeWithin(size, options)
        return await readRange(file, start, end, options.signal)
      }),
    )
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo | null> {
    checkKey(key)
    return await this.#guard('head', key, options, () =>
      this.#withObject(key, async (file, stats) => ({
        sizeBytes: stats.size,
        modifiedAt: Math.floor(stats.mtimeMs),
        metadata: await readMetadata(file),
        version: versionOf(stats),
      })),
    )
  }

  /** A page may hold fewer objects than its limit, when some are deleted while it is made. */
  async list(prefix: string, options: ListOptions = {}): Promise<ObjectPage> {
    checkPrefix(prefix)
    const limit = pageLimit(options)
    return await this.#guard('list', prefix, options, async () => {
      const keys: string[] = []
      // The part of the prefix that names directories leads straight to where keys can be.
      const start = prefix.slice(0, prefix.lastIndexOf('/') + 1)
      for await (const key of this.#keys(start, prefix, options)) {
        if (keys.length === limit)
          return { objects: await this.#sizes(keys), next: keys[limit - 1] }
        keys.push(key)
      }
      return { objects: await this.#sizes(keys), next: null }
    })
  }

  /** Directories that become empty stay: a racing put may be about to use them. */
  async delete(keys: readonly string[], options: CallOptions = {}): Promise<void> {
    for (const key of keys) checkKey(key)
    const changed = new Set<string>()
    for (const key of keys) {
      await this.#guard('delete', key, options, async () => {
        const path = this.#path(key)
        if (await removeFile(path)) changed.add(dirname(path))
      })
    }
    for (const directory of changed) {
      await this.#guard('delete', directory, options, () => unlessMissing(syncDirectory(directory)))
    }
  }

  /**
   * Deletes the temporary files that nobody has written to for `olderThanMs`, left by uploads
   * whose process died, and says how many. One that is in use after all only makes its put start
   * again.
   */
  async sweepTemporary(olderThanMs: number): Promise<number> {
    return await this.#guard('sweep', RESERVED_SEGMENT_PREFIX, {}, async () => {
      const before = Date.now() - olderThanMs
      let count = 0
      for (const { name } of await entriesOf(this.#temporaryDirectory)) {
        const path = join(this.#temporaryDirectory, name)
        const found = await unlessMissing(lstat(path))
        if (found?.isFile() && found.mtimeMs <= before && (await removeFile(path))) count++
      }
      return count
    })
  }

  async #put(key: string, body: Uint8Array, options: PutOptions): Promise<PutAnswer> {
    const { ifNoneMatch = false, ifMatch, metadata = {}, signal } = options
    const path = this.#path(key)
    await this.#makeDirectory(dirname(path))
    await this.#makeDirectory(this.#temporaryDirectory)
    const name = `${process.pid}-${threadId}-${randomBytes(12).toString('hex')}`
    const temporary = join(this.#temporaryDirectory, name)
    let answer: PutAnswer = 'created'
    try {
      await writeTemporary(temporary, body, metadata, signal)
      signal?.throwIfAborted()
      // From here on the object may be visible: the signal is no longer looked at.
      if (ifMatch !== undefined) {
        const lock = join(this.#root, MATCH_LOCK)
        if (!(await replaceMatching(lock, temporary, path, ifMatch, signal))) answer = 'changed'
      } else if (!ifNoneMatch) await rename(temporary, path)
      else if (!(await linkNew(temporary, path))) answer = 'exists'
    } catch (error) {
      if (await isDirectory(path)) throw keyIsDirectory(key)
      throw error
    } finally {
      await rm(temporary, { force: true })
    }
    if (answer === 'exists' && (await isDirectory(path))) throw keyIsDirectory(key)
    // Also for 'exists': the winner may not have come so far, and we are about to rely on it.
    await syncDirectory(dirname(path))
    return answer
  }

  /** Makes the directory and its ancestors, and their names durable, each in its parent. */
  async #makeDirectory(directory: string): Promise<void> {
    if (this.#durable.has(directory)) return
    if (directory === this.#root) {
      await makeRoot(directory)
    } else {
      const parent = dirname(directory)
      await this.#makeDirectory(parent)
      await makeOne(directory)
      // Also when it was there: whoever made it may not have synced it yet.
      await syncDirectory(parent)
    }
    this.#durable.add(directory)
  }

  /** Calls `use` with the open object; null when there is none. */
  async #withObject<T>(
    key: string,
    use: (file: FileHandle, stats: Stats) => Promise<T>,
  ): Promise<T | null> {
    const file = await unlessMissing(open(this.#path(key), 'r'))
    if (file === null) return null
    try {
      const stats = await file.stat()
      return stats.isFile() ? await use(file, stats) : null
    } finally {
      await file.close()
    }
  }

  /** The keys below `directory` ('' or ending in '/') that a listing is about, in order. */
  async *#keys(directory: string, prefix: string, options: ListOptions): AsyncGenerator<string> {
    const { after = '', signal } = options
    signal?.throwIfAborted()
    for (const name of inKeyOrder(await entriesOf(join(this.#root, directory)))) {
      const key = directory + name
      if (name.endsWith('/')) {
        const wanted = key.startsWith(prefix) || prefix.startsWith(key)
        const over = key <= after && !after.startsWith(key)
        if (wanted && !over) yield* this.#keys(key, prefix, options)
      } else if (key > after && key.startsWith(prefix) && key.length <= KEY_BYTES_MAX) {
        yield key
      }
    }
  }

  /** The listed form of those keys that are still there. */
  async #sizes(keys: readonly string[]): Promise<ObjectPage['objects']> {
    const objects: ObjectPage['objects'] = []
    for (let at = 0; at < keys.length; at += STATS_AT_ONCE) {
      const some = keys.slice(at, at + STATS_AT_ONCE)
      const stats = await Promise.all(some.map(key => unlessMissing(lstat(this.#path(key)))))
      for (const [i, found] of stats.entries()) {
        if (!found?.isFile()) continue
        const { size: sizeBytes, mtimeMs } = found
        objects.push({ key: some[i], sizeBytes, modifiedAt: Math.floor(mtimeMs) })
      }
    }
    return objects
  }

  #path(key: string): string {
    return join(this.#root, key)
  }

  /** Looks at the signal, then turns the file system's errors into ours. */
  async #guard<T>(
    what: string,
    key: string,
    { signal }: CallOptions,
    step: () => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    try {
      return await step()
    } catch (error) {
      if (error instanceof MetastoreError || signal?.aborted) throw error
      const reason = error instanceof Error ? error.message : String(error)
      throw new MetastoreError('UNAVAILABLE', `${what} of '${key}' failed: ${reason}`, {
        cause: error,
      })
    }
  }
}

/** Body and metadata, synced, under a name that no listing shows. */
async function writeTemporary(
  path: string,
  body: Uint8Array,
  metadata: Metadata,
  signal: AbortSignal | undefined,
): Promise<void> {
  const file = await open(path, 'wx')
  try {
    let written = 0
    while (written < body.length) {
      signal?.throwIfAborted()
      const length = Math.min(CHUNK_BYTES, body.length - written)
      written += (await file.write(body, written, length, written)).bytesWritten
    }
    if (Object.keys(metadata).length > 0) await writeMetadata(file, metadata)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function readRange(
  file: FileHandle,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - start)
  let filled = 0
  while (filled < bytes.length) {
    signal?.throwIfAborted()
    const length = Math.min(CHUNK_BYTES, bytes.length - filled)
    const { bytesRead } = await file.read(bytes, filled, length, start + filled)
    // The file was cut short by someone else, since objects never shrink.
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return filled === bytes.length ? bytes : bytes.slice(0, filled)
}

/** False when the name was taken, by whichever process: link() decides atomically. */
async function linkNew(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path)
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
}

/** Whether there was such a file; a directory of that name is no object and stays. */
async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path)
    return true
  } catch (error) {
    if (isMissing(error) || (await isDirectory(path))) return false
    throw error
  }
}

/** The root may be several directories deep; only what is newly made is synced above it. */
async function makeRoot(root: string): Promise<void> {
  const first = await mkdir(root, { recursive: true })
  if (first === undefined) return
  for (let made = root; made.length >= first.length; made = dirname(made)) {
    await syncDirectory(dirname(made))
  }
}

async function makeOne(directory: string): Promise<void> {
  try {
    await mkdir(directory)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
    if (await isDirectory(directory)) return
    throw invalidRequest(`'${directory}' is an object, so no key can lie below it`)
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** What is in the directory; nothing when there is none. */
async function entriesOf(directory: string): Promise<Dirent[]> {
  return (await unlessMissing(readdir(directory, { withFileTypes: true }))) ?? []
}

/**
 * Names that can be part of a key, directories with their slash, sorted as their keys are: 'a-b'
 * comes before 'a/', which a plain sort of the names would put first.
 */
function inKeyOrder(entries: readonly Dirent[]): string[] {
  const names: string[] = []
  for (const entry of entries) {
    if (segmentFault(entry.name) !== null) continue
    if (entry.isDirectory()) names.push(`${entry.name}/`)
    else if (entry.isFile()) names.push(entry.name)
  }
  return names.sort()
}

async function isDirectory(path: string): Promise<boolean> {
  const found = await unlessMissing(stat(path))
  return found?.isDirectory() ?? false
}

function keyIsDirectory(key: string): MetastoreError {
  return invalidRequest(`object key '${key}' is a directory of other objects`, { key })
}
