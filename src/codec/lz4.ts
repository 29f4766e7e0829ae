/**
 * LZ4 blocks through lz4-wasm's Node build. Compressed bytes begin with the size of the original
 * as a little-endian u32; decompress() checks that size against the one the caller expects before
 * it lets WASM allocate anything for it.
 */
import lz4 from 'lz4-wasm-nodejs'
import { getU32 } from './bytes.ts'
import { corruption } from './errors.ts'

export function lz4Compress(bytes: Uint8Array): Uint8Array {
  return lz4.compress(bytes)
}

/** @throws CORRUPTION when the bytes do not decompress to exactly `sizeBytes`. */
export function lz4Decompress(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  if (bytes.length < 4 || getU32(bytes, 0) !== sizeBytes) {
    throw corruption(`LZ4 bytes do not declare the expected size of ${sizeBytes} bytes`)
  }
  let raw: Uint8Array
  try {
    raw = lz4.decompress(bytes)
  } catch (error) {
    throw corruption(`LZ4 bytes do not decompress: ${String(error)}`)
  }
  if (raw.length !== sizeBytes) {
    throw corruption(`LZ4 bytes hold ${raw.length} bytes where ${sizeBytes} were declared`)
  }
  return raw
}
