/**
 * Row batches in one piece of shared memory, on their way from the main thread to an I/O thread:
 * copied once, and not again between the threads.
 *
 *   batches x { u32 length | bytes }
 */
import { getU32, putU32 } from '../codec/bytes.ts'

const LENGTH_BYTES = 4

/** Main thread. The batches are copied. */
export function packBatches(batches: readonly Uint8Array[]): Uint8Array {
  const sizeBytes = batches.reduce((sum, batch) => sum + LENGTH_BYTES + batch.length, 0)
  const packed = new Uint8Array(new SharedArrayBuffer(sizeBytes))
  let at = 0
  for (const batch of batches) {
    putU32(packed, at, batch.length)
    packed.set(batch, at + LENGTH_BYTES)
    at += LENGTH_BYTES + batch.length
  }
  return packed
}

/** Any thread. The batches are views of `packed`. */
export function unpackBatches(packed: Uint8Array): Uint8Array[] {
  const batches: Uint8Array[] = []
  for (let at = 0; at < packed.length; ) {
    const start = at + LENGTH_BYTES
    at = start + getU32(packed, at)
    batches.push(packed.subarray(start, at))
  }
  return batches
}
