/**
 * File access of the log. The interface is small so that tests and simulators can put a disk in
 * its place that forgets what was not synced; openLogFiles() is the real one. The hot calls, write
 * and sync, take callbacks: they cost no promise.
 */
import fs from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'

/** Called once, later than the call that it was given to. */
export type Done = (error: Error | null) => void

export interface LogFile {
  /** The file's size when it was opened. */
  readonly sizeBytes: number
  /** Writes the first `length` bytes at `position`; `bytes` must not change until `done`. */
  write(bytes: Uint8Array, length: number, position: number, done: Done): void
  /** Everything written before this call is on disk when `done` says so. */
  sync(done: Done): void
  /** Fills `into` from `position`; resolves to the bytes read, fewer only at the file's end. */
  read(into: Uint8Array, position: number): Promise<number>
  readSync(into: Uint8Array, position: number): number
  close(): Promise<void>
}

/** One directory. */
export interface LogFiles {
  list(): Promise<string[]>
  /** Opens for reading and writing, creating the file when it does not exist. */
  open(name: string): Promise<LogFile>
  /** Replaces `to` if it exists; open files stay usable. */
  rename(from: string, to: string): Promise<void>
  remove(name: string): Promise<void>
  /** Creations, renames and removals before this call survive a power cut. */
  syncDirectory(): Promise<void>
}

const openFile = promisify(fs.open)
const statFile = promisify(fs.fstat)
const closeFile = promisify(fs.close)
const syncFile = promisify(fs.fsync)
const readFile: (
  fd: number,
  into: Uint8Array,
  offset: number,
  length: number,
  position: number,
) => Promise<{ bytesRead: number }> = promisify(fs.read)

/** Creates `directory` where needed. Errors are those of node:fs. */
export async function openLogFiles(directory: string): Promise<LogFiles> {
  const created = await fs.promises.mkdir(directory, { recursive: true })
  // Every directory that mkdir made is a name in its parent.
  for (let at = directory; created !== undefined; at = path.dirname(at)) {
    await syncPath(path.dirname(at))
    if (path.resolve(at) === path.resolve(created)) break
  }
  return {
    list: () => fs.promises.readdir(directory),
    open: name => openLogFile(path.join(directory, name)),
    rename: (from, to) => fs.promises.rename(path.join(directory, from), path.join(directory, to)),
    remove: name => fs.promises.unlink(path.join(directory, name)),
    syncDirectory: () => syncPath(directory),
  }
}

async function syncPath(directory: string): Promise<void> {
  const fd = await openFile(directory, 'r')
  try {
    await syncFile(fd)
  } finally {
    await closeFile(fd)
  }
}

async function openLogFile(file: string): Promise<LogFile> {
  const fd = await openFile(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o644)
  const { size } = await statFile(fd)
  return {
    sizeBytes: size,
    write: (bytes, length, position, done) => writeAll(fd, bytes, 0, length, position, done),
    sync: done => fs.fdatasync(fd, done),
    read: (into, position) => readAll(fd, into, position),
    readSync: (into, position) => readAllSync(fd, into, position),
    close: () => closeFile(fd),
  }
}

/** The kernel may take fewer bytes than offered, so this goes on until all are written. */
function writeAll(
  fd: number,
  bytes: Uint8Array,
  from: number,
  length: number,
  position: number,
  done: Done,
): void {
  fs.write(fd, bytes, from, length - from, position + from, (error, written) => {
    if (error !== null) done(error)
    else if (from + written < length) writeAll(fd, bytes, from + written, length, position, done)
    else done(null)
  })
}

async function readAll(fd: number, into: Uint8Array, position: number): Promise<number> {
  let count = 0
  while (count < into.length) {
    const { bytesRead } = await readFile(fd, into, count, into.length - count, position + count)
    if (bytesRead === 0) break
    count += bytesRead
  }
  return count
}

function readAllSync(fd: number, into: Uint8Array, position: number): number {
  let count = 0
  while (count < into.length) {
    const bytesRead = fs.readSync(fd, into, count, into.length - count, position + count)
    if (bytesRead === 0) break
    count += bytesRead
  }
  return count
}
