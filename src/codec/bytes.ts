/**
 * Little-endian byte writer and bounds-checked reader, the base of every format but row keys
 * (which are big-endian, see keys.ts). Numbers are non-negative safe integers; a u64 is written as
 * two 32-bit halves, so nothing here touches BigInt. A varint is LEB128, at most 8 bytes (2^53).
 */
import { corruption } from './errors.ts'

const TWO_32 = 4294967296

const utf8Encoder = new TextEncoder()
const utf8Decoder = new TextDecoder('utf-8', { fatal: true })

/** Grows as needed. `bytes` is owned by the writer and is replaced when it grows. */
export class ByteWriter {
  bytes: Uint8Array
  length = 0

  constructor(capacityBytes = 256) {
    this.bytes = new Uint8Array(capacityBytes)
  }

  reset(): this {
    this.length = 0
    return this
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }

  u8(value: number): this {
    this.reserve(1)
    this.bytes[this.length++] = value
    return this
  }

  u16(value: number): this {
    this.reserve(2)
    const { bytes, length } = this
    bytes[length] = value
    bytes[length + 1] = value >>> 8
    this.length = length + 2
    return this
  }

  u32(value: number): this {
    this.reserve(4)
    putU32(this.bytes, this.length, value)
    this.length += 4
    return this
  }

  u64(value: number): this {
    this.reserve(8)
    putU64(this.bytes, this.length, value)
    this.length += 8
    return this
  }

  varint(value: number): this {
    // Written, it could not be read again.
    if (value > Number.MAX_SAFE_INTEGER) throw new RangeError(`${value} is past 2^53 - 1`)
    this.reserve(8)
    const { bytes } = this
    let at = this.length
    let rest = value
    while (rest >= TWO_32) {
      bytes[at++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    rest >>>= 0
    while (rest > 127) {
      bytes[at++] = (rest & 127) | 128
      rest >>>= 7
    }
    bytes[at++] = rest
    this.length = at
    return this
  }

  raw(source: Uint8Array): this {
    this.reserve(source.length)
    this.bytes.set(source, this.length)
    this.length += source.length
    return this
  }

  /** A varint length, then the bytes. */
  blob(source: Uint8Array): this {
    return this.varint(source.length).raw(source)
  }

  /** UTF-8 with a varint length. */
  text(value: string): this {
    return this.blob(utf8Encoder.encode(value))
  }

  /** A view of what was written; valid until the next write. */
  view(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }
}

/**
 * Reads what ByteWriter wrote. Every read past the end is CORRUPTION naming `what`; views that it
 * hands out borrow the source.
 */
export class ByteReader {
  bytes: Uint8Array
  position: number
  end: number
  readonly what: string

  constructor(bytes: Uint8Array, what: string, position = 0, end: number = bytes.length) {
    this.bytes = bytes
    this.what = what
    this.position = position
    this.end = end
  }

  get remaining(): number {
    return this.end - this.position
  }

  need(count: number): number {
    const at = this.position
    if (count > this.end - at) {
      throw corruption(`${this.what} ends early: ${count} bytes wanted at ${at} of ${this.end}`, {
        offset: at,
      })
    }
    this.position = at + count
    return at
  }

  u8(): number {
    return this.bytes[this.need(1)]
  }

  u16(): number {
    const at = this.need(2)
    return this.bytes[at] | (this.bytes[at + 1] << 8)
  }

  u32(): number {
    return getU32(this.bytes, this.need(4))
  }

  u64(): number {
    const value = getU64(this.bytes, this.need(8))
    if (value > Number.MAX_SAFE_INTEGER) {
      throw corruption(`${this.what} holds a number past 2^53 at ${this.position - 8}`, {
        offset: this.position - 8,
      })
    }
    return value
  }

  varint(): number {
    const start = this.position
    let at = start
    let value = 0
    let scale = 1
    for (let count = 0; count < 8; count++) {
      if (at >= this.end) break
      const byte = this.bytes[at++]
      value += (byte & 127) * scale
      if (byte < 128) {
        if (value > Number.MAX_SAFE_INTEGER) break
        this.position = at
        return value
      }
      scale *= 128
    }
    throw corruption(`${this.what} holds a bad varint at ${start}`, { offset: start })
  }

  raw(count: number): Uint8Array {
    const at = this.need(count)
    return this.bytes.subarray(at, at + count)
  }

  blob(): Uint8Array {
    return this.raw(this.varint())
  }

  text(): string {
    const start = this.position
    const bytes = this.blob()
    try {
      // A copy: TextDecoder refuses views of shared memory on some Node versions.
      return utf8Decoder.decode(bytes.slice())
    } catch {
      throw corruption(`${this.what} holds text that is not UTF-8 at ${start}`, { offset: start })
    }
  }

  /** Throws unless everything was read. */
  expectEnd(): void {
    if (this.position !== this.end) {
      throw corruption(`${this.what} has ${this.remaining} bytes too many at ${this.position}`, {
        offset: this.position,
      })
    }
  }
}

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

export function getU32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}

export function putU64(bytes: Uint8Array, at: number, value: number): void {
  const low = value >>> 0
  putU32(bytes, at, low)
  putU32(bytes, at + 4, (value - low) / TWO_32)
}

export function getU64(bytes: Uint8Array, at: number): number {
  return getU32(bytes, at) + getU32(bytes, at + 4) * TWO_32
}

/** Order of bytes, then of length: the order of every key. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = a[i] - b[i]
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, i) =>
  i.toString(16).padStart(2, '0'),
)

export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i]]
  return text
}
