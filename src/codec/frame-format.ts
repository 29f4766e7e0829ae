/**
 * Frames between members (docs/wire-format.md): constants, and the header that every frame has.
 * Little-endian:
 *
 *   0 u32 length of type and content   8 u8 type
 *   4 u32 crc32 of type and content    9 content
 */
import { crc32 } from 'node:zlib'
import { ByteWriter, getU32, putU32 } from './bytes.ts'
import { corruption, invalidRequest } from './errors.ts'

export const WIRE_VERSION = 1
/** Length and checksum. */
export const FRAME_HEADER_BYTES = 8
/** The most that a frame's type and content take. */
export const FRAME_BYTES_MAX = 41_943_040
/** The same before the other side has proved who it is. */
export const HANDSHAKE_FRAME_BYTES_MAX = 4096

export const FRAME_HELLO = 1
export const FRAME_CHALLENGE = 2
export const FRAME_PROOF = 3
export const FRAME_WELCOME = 4
export const FRAME_RAFT = 5
export const FRAME_REQUEST = 6
export const FRAME_RESPONSE = 7
export const FRAME_CLOSE = 8
export const FRAME_PING = 9
export const FRAME_PONG = 10

export interface Frame {
  readonly type: number
  /** Borrows what was received; nothing writes to it again, so it may be kept. */
  readonly content: Uint8Array
}

/** A writer that stands behind the header and the type of a new frame; finishFrame() takes it. */
export function startFrame(type: number, capacityBytes = 128): ByteWriter {
  const writer = new ByteWriter(FRAME_HEADER_BYTES + 1 + capacityBytes)
  writer.length = FRAME_HEADER_BYTES
  return writer.u8(type)
}

/**
 * Fills in the header. @returns the whole frame, in the writer's memory, which must not be used
 * again. @throws INVALID_REQUEST when it is larger than FRAME_BYTES_MAX
 */
export function finishFrame(writer: ByteWriter): Uint8Array {
  const frame = writer.view()
  const body = frame.subarray(FRAME_HEADER_BYTES)
  if (body.length > FRAME_BYTES_MAX) {
    throw invalidRequest(`a frame of ${body.length} bytes is larger than ${FRAME_BYTES_MAX}`)
  }
  putU32(frame, 0, body.length)
  putU32(frame, 4, crc32(body))
  return frame
}

/** A frame without content. */
export function emptyFrame(type: number): Uint8Array {
  return finishFrame(startFrame(type, 0))
}

/**
 * The length in a header, checked before anybody makes room for so much.
 * @throws CORRUPTION when it is 0 or more than `bytesMax`
 */
export function frameLength(header: Uint8Array, bytesMax: number): number {
  const length = getU32(header, 0)
  if (length === 0 || length > bytesMax) {
    throw corruption(`a frame of ${length} bytes, where 1 to ${bytesMax} are allowed`)
  }
  return length
}

/** @throws CORRUPTION when type and content do not match the header's checksum */
export function frameOf(header: Uint8Array, body: Uint8Array): Frame {
  if (crc32(body) !== getU32(header, 4)) {
    throw corruption(`a frame of ${body.length} bytes does not match its checksum`)
  }
  return { type: body[0], content: body.subarray(1) }
}
