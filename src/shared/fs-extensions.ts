/**
 * What node:fs lacks, by fs-native-extensions: file locks that the system releases when a process
 * dies, and extended attributes. The package brings no types, so those used are declared here.
 */
import { createRequire } from 'node:module'

export interface FsExtensions {
  /** Locks a whole open file against every other one; false when another holds it. */
  tryLock(file: number): boolean
  unlock(file: number): void
  setAttr(file: number, name: string, value: Uint8Array | string): Promise<void>
  getAttr(file: number, name: string): Promise<Uint8Array | null>
}

export const fsExtensions: FsExtensions = createRequire(import.meta.url)('fs-native-extensions')
