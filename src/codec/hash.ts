/**
 * Two hashes for two sizes. Blocks of KiB go through XXH64 in WebAssembly; keys of a few dozen
 * bytes through a plain function, because a call into WASM costs more than hashing them.
 */
import xxhash from 'xxhash-wasm'

// Top-level await: every thread has its own instance before any code that hashes can run.
const wasm = await xxhash()

/** XXH64 of `bytes`, seed 0. */
export function xxh64(bytes: Uint8Array): bigint {
  return wasm.h64Raw(bytes)
}

/**
 * A 32-bit hash of a short byte string: MurmurHash3 (x86, 32 bits, Austin Appleby). For memtable
 * directories, bloom filters and content fingerprints; stored on disk, so it never changes.
 */
export function hash32(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let h = seed
  let at = start
  for (; at + 4 <= end; at += 4) {
    let k = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
    k = Math.imul(k, 0xcc9e2d51)
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, 0x1b873593)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  const rest = end - at
  if (rest >= 3) tail ^= bytes[at + 2] << 16
  if (rest >= 2) tail ^= bytes[at + 1] << 8
  if (rest >= 1) {
    tail = Math.imul(tail ^ bytes[at], 0xcc9e2d51)
    tail = (tail << 15) | (tail >>> 17)
    h ^= Math.imul(tail, 0x1b873593)
  }
  h ^= end - start
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  h ^= h >>> 16
  return h >>> 0
}
