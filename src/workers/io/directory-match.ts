/**
 * Puts of a directory store that replace just the version that the caller knows (`ifMatch`). A file
 * system has no such operation, so those who want it take turns by a lock on one file of the root,
 * over threads and processes; the system releases it when its holder dies.
 */
import type { Stats } from 'node:fs'
import { open, rename, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fsExtensions } from '../../shared/fs-extensions.ts'
import { unlessMissing } from './file-errors.ts'

/** The lock is held for a rename and a look; nobody waits long. */
const LOOK_MS = 2

/** Every put makes a new file, so inode and time together are never the same again. */
export function versionOf({ ino, mtimeMs, size }: Stats): string {
  return `${ino}-${mtimeMs}-${size}`
}

/**
 * Gives the file the name `path`, if what has it now is of that version.
 * @returns false: it is of another one, or there is none
 * @throws the signal's reason, while it waits for its turn
 */
export async function replaceMatching(
  lock: string,
  temporary: string,
  path: string,
  version: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const turn = await open(lock, 'a')
  try {
    while (!fsExtensions.tryLock(turn.fd)) {
      signal?.throwIfAborted()
      await sleep(LOOK_MS)
    }
    const present = await unlessMissing(stat(path))
    if (present === null || versionOf(present) !== version) return false
    await rename(temporary, path)
    return true
  } finally {
    // Which releases the lock.
    await turn.close()
  }
}
