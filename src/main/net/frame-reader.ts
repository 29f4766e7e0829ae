/**
 * FrameReader: cuts what a socket gives, in chunks of any size, into frames. A frame that lies
 * whole in a chunk is a view of it; one that spans chunks is gathered in a buffer of its own, made
 * once. So no byte is copied more than once. Nothing here writes to what it has handed out.
 */
import { FRAME_HEADER_BYTES, type Frame, frameLength, frameOf } from '../../codec/frame-format.ts'

const NO_BYTES = new Uint8Array(0)

export class FrameReader {
  /** The largest frame that is taken; raised when the other side has proved who it is. */
  frameBytesMax: number
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES)
  #headerFilled = 0
  /** Of the frame whose header is there; 0 while it is not. */
  #length = 0
  /** What of it has come so far, when it spans chunks. */
  #body: Uint8Array | undefined
  #bodyFilled = 0
  #chunk: Uint8Array = NO_BYTES
  #at = 0

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax
  }

  /** Gives it the next bytes, once next() has no more frames in those before. Keeps the chunk. */
  push(chunk: Uint8Array): void {
    // Sockets give Buffers, whose views are slower to make.
    this.#chunk = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length)
    this.#at = 0
  }

  /**
   * @returns the next whole frame; undefined: more bytes are needed
   * @throws CORRUPTION for a length that is not allowed or a wrong checksum; it is of no use then
   */
  next(): Frame | undefined {
    if (!this.#hasHeader()) return undefined
    const body = this.#takeBody()
    if (body === undefined) return undefined
    this.#headerFilled = 0
    this.#length = 0
    return frameOf(this.#header, body)
  }

  #hasHeader(): boolean {
    if (this.#length > 0) return true
    this.#headerFilled += this.#copyTo(this.#header, this.#headerFilled)
    if (this.#headerFilled < FRAME_HEADER_BYTES) return false
    this.#length = frameLength(this.#header, this.frameBytesMax)
    return true
  }

  #takeBody(): Uint8Array | undefined {
    const left = this.#chunk.length - this.#at
    if (this.#body === undefined && left >= this.#length) {
      this.#at += this.#length
      return this.#chunk.subarray(this.#at - this.#length, this.#at)
    }
    if (left === 0) return undefined
    this.#body ??= new Uint8Array(this.#length)
    this.#bodyFilled += this.#copyTo(this.#body, this.#bodyFilled)
    if (this.#bodyFilled < this.#length) return undefined
    const body = this.#body
    this.#body = undefined
    this.#bodyFilled = 0
    return body
  }

  /** Moves what is wanted and there of the chunk to `at`. @returns how much */
  #copyTo(into: Uint8Array, at: number): number {
    const count = Math.min(into.length - at, this.#chunk.length - this.#at)
    into.set(this.#chunk.subarray(this.#at, this.#at + count), at)
    this.#at += count
    return count
  }
}
