/** Writing zeros ahead of the log's end, from one block that every log of the process shares. */
import type { Done, LogFile } from './log-files.ts'

const ZEROS: Uint8Array = new Uint8Array(1048576)

/** Zeros [from, to) of the file; does not sync. `done` may be called at once when that is empty. */
export function writeZeros(file: LogFile, from: number, to: number, done: Done): void {
  if (from >= to) {
    done(null)
    return
  }
  const count = Math.min(ZEROS.length, to - from)
  file.write(ZEROS, count, from, error => {
    if (error !== null) done(error)
    else writeZeros(file, from + count, to, done)
  })
}

/** Where the last byte that is not zero ends; 0 when all are zero. */
export function contentEnd(bytes: Uint8Array): number {
  let end = bytes.length
  while (end > 0) {
    const start = Math.max(0, end - ZEROS.length)
    // Buffer.compare goes over zeros at the speed of memory, a loop in JavaScript does not.
    if (Buffer.compare(bytes.subarray(start, end), ZEROS.subarray(0, end - start)) !== 0) break
    end = start
  }
  while (end > 0 && bytes[end - 1] === 0) end--
  return end
}

/** The promise of a call that takes a `Done`. */
export function settled(call: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call(error => {
      if (error === null) resolve()
      else reject(error)
    })
  })
}
