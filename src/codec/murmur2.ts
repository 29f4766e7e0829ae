/**
 * Kafka's murmur2 (Austin Appleby's MurmurHash2, 32 bits, seed 0x9747b28c), as the Java client
 * computes it, but returned unsigned.
 */
export function murmur2(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  const m = 0x5bd1e995
  const length = end - start
  let h = 0x9747b28c ^ length
  let at = start
  for (; at + 4 <= end; at += 4) {
    let k = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
    k = Math.imul(k, m)
    k ^= k >>> 24
    k = Math.imul(k, m)
    h = Math.imul(h, m) ^ k
  }
  const rest = end - at
  if (rest >= 3) h ^= bytes[at + 2] << 16
  if (rest >= 2) h ^= bytes[at + 1] << 8
  if (rest >= 1) {
    h ^= bytes[at]
    h = Math.imul(h, m)
  }
  h ^= h >>> 13
  h = Math.imul(h, m)
  h ^= h >>> 15
  return h >>> 0
}
