/** UUIDs: canonical lower-case text outside, 16 bytes inside. */

export const UUID_BYTES = 16

const HEX_VALUE: Int8Array = new Int8Array(128).fill(-1)
for (let i = 0; i < 16; i++) HEX_VALUE['0123456789abcdef'.charCodeAt(i)] = i

const HEX_BYTE: readonly string[] = Array.from({ length: 256 }, (_, i) =>
  i.toString(16).padStart(2, '0'),
)

const TEXT_LENGTH = 36
const DASHES: ReadonlySet<number> = new Set([8, 13, 18, 23])

/** Writes the 16 bytes of `text` at `at`; false, and unspecified bytes, if it is not a UUID. */
export function parseUuid(text: string, into: Uint8Array, at: number): boolean {
  if (text.length !== TEXT_LENGTH) return false
  let out = at
  for (let i = 0; i < TEXT_LENGTH; ) {
    const code = text.charCodeAt(i)
    if (DASHES.has(i)) {
      if (code !== 45) return false
      i++
      continue
    }
    const high = code < 128 ? HEX_VALUE[code] : -1
    const nextCode = text.charCodeAt(i + 1)
    const low = nextCode < 128 ? HEX_VALUE[nextCode] : -1
    if (high < 0 || low < 0) return false
    into[out++] = (high << 4) | low
    i += 2
  }
  return true
}

export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && parseUuid(value, new Uint8Array(UUID_BYTES), 0)
}

/** The 16 bytes of a UUID that is known to be one. */
export function uuidBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(UUID_BYTES)
  if (!parseUuid(text, bytes, 0)) throw new TypeError(`not a UUID: ${text}`)
  return bytes
}

/** The text of the 16 bytes at `at`. */
export function formatUuid(b: Uint8Array, at = 0): string {
  const h = HEX_BYTE
  return `${h[b[at]]}${h[b[at + 1]]}${h[b[at + 2]]}${h[b[at + 3]]}-${h[b[at + 4]]}${h[b[at + 5]]}-${
    h[b[at + 6]]
  }${h[b[at + 7]]}-${h[b[at + 8]]}${h[b[at + 9]]}-${h[b[at + 10]]}${h[b[at + 11]]}${h[b[at + 12]]}${
    h[b[at + 13]]
  }${h[b[at + 14]]}${h[b[at + 15]]}`
}

/** Turns 16 random bytes into a version 4 UUID in place (RFC 9562, section 5.4). */
export function stampVersion4(bytes: Uint8Array, at = 0): void {
  bytes[at + 6] = (bytes[at + 6] & 0x0f) | 0x40
  bytes[at + 8] = (bytes[at + 8] & 0x3f) | 0x80
}
