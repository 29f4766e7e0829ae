/**
 * Requests from member to member and their responses, and the last words before a connection is
 * closed (docs/wire-format.md). Ids are the requester's own, and mean something on one connection.
 *
 *   request:  varint id, u8 kind, varint timeout in ms, payload to the end
 *   response: varint id, u8 status; 0: payload to the end; 1: text code, text message, text details
 *   close:    u8 reason
 */
import { ByteReader } from './bytes.ts'
import {
  corruption,
  ERROR_CODES,
  type ErrorCode,
  invalidRequest,
  MetastoreError,
} from './errors.ts'
import {
  FRAME_CLOSE,
  FRAME_REQUEST,
  FRAME_RESPONSE,
  finishFrame,
  startFrame,
} from './frame-format.ts'

const STATUS_OK = 0
const STATUS_ERROR = 1
/** An error's details are for programs, and small; larger ones stay behind. */
const DETAILS_CHARACTERS_MAX = 65_536
const MESSAGE_CHARACTERS_MAX = 4096
/** Id, kind, timeout and status. */
const ROOM_BYTES = 24

/** Why a connection is closed. On the wire; the positions never change. */
export const CLOSE_REASONS = ['shutdown', 'malformed', 'replaced'] as const
export type CloseReason = (typeof CLOSE_REASONS)[number]

export interface RequestFrame {
  readonly id: number
  /** The caller's, 0 to 255. */
  readonly kind: number
  /** How long the requester waits from when it was sent. */
  readonly timeoutMs: number
  readonly payload: Uint8Array
}

export interface ResponseFrame {
  readonly id: number
  readonly answer: Uint8Array | MetastoreError
}

/** @returns a whole frame. @throws INVALID_REQUEST naming the field that does not fit */
export function encodeRequest({ id, kind, timeoutMs, payload }: RequestFrame): Uint8Array {
  if (!Number.isInteger(kind) || kind < 0 || kind > 255) {
    throw invalidRequest(`kind of a request must be from 0 to 255, not ${kind}`)
  }
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 0) {
    throw invalidRequest(`timeoutMs of a request must be a positive integer, not ${timeoutMs}`)
  }
  const writer = startFrame(FRAME_REQUEST, ROOM_BYTES + payload.length)
  return finishFrame(writer.varint(id).u8(kind).varint(timeoutMs).raw(payload))
}

/** The payload borrows. @throws CORRUPTION when the content is no request */
export function decodeRequest(content: Uint8Array): RequestFrame {
  const reader = new ByteReader(content, 'request')
  const id = reader.varint()
  const kind = reader.u8()
  const timeoutMs = reader.varint()
  return { id, kind, timeoutMs, payload: reader.raw(reader.remaining) }
}

/** @returns a whole frame. @throws INVALID_REQUEST when the answer is too large for one */
export function encodeResponse({ id, answer }: ResponseFrame): Uint8Array {
  if (answer instanceof MetastoreError) {
    const writer = startFrame(FRAME_RESPONSE).varint(id).u8(STATUS_ERROR).text(answer.code)
    const message = answer.message.slice(0, MESSAGE_CHARACTERS_MAX)
    return finishFrame(writer.text(message).text(detailsText(answer.details)))
  }
  const writer = startFrame(FRAME_RESPONSE, ROOM_BYTES + answer.length)
  return finishFrame(writer.varint(id).u8(STATUS_OK).raw(answer))
}

/** The answer borrows. @throws CORRUPTION when the content is no response */
export function decodeResponse(content: Uint8Array): ResponseFrame {
  const reader = new ByteReader(content, 'response')
  const id = reader.varint()
  const status = reader.u8()
  if (status === STATUS_OK) return { id, answer: reader.raw(reader.remaining) }
  if (status !== STATUS_ERROR) throw corruption(`response: unknown status ${status}`)
  const code = errorCode(reader.text())
  const message = reader.text()
  const details = parsedDetails(reader.text())
  reader.expectEnd()
  return { id, answer: new MetastoreError(code, message, { details }) }
}

/** @returns a whole frame */
export function encodeClose(reason: CloseReason): Uint8Array {
  return finishFrame(startFrame(FRAME_CLOSE, 1).u8(CLOSE_REASONS.indexOf(reason)))
}

/** @throws CORRUPTION when the content is no known reason */
export function decodeClose(content: Uint8Array): CloseReason {
  const reader = new ByteReader(content, 'close')
  const position = reader.u8()
  reader.expectEnd()
  if (position >= CLOSE_REASONS.length) throw corruption(`close: unknown reason ${position}`)
  return CLOSE_REASONS[position]
}

function errorCode(text: string): ErrorCode {
  const code = ERROR_CODES.find(known => known === text)
  if (code === undefined) throw corruption(`response: unknown code ${JSON.stringify(text)}`)
  return code
}

/** JSON, or nothing when there are none or they do not fit. */
function detailsText(details: unknown): string {
  if (details === undefined) return ''
  try {
    const text = JSON.stringify(details) ?? ''
    return text.length > DETAILS_CHARACTERS_MAX ? '' : text
  } catch {
    // Circular, or a bigint: of no use to the other side.
    return ''
  }
}

function parsedDetails(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw corruption('response: details are not JSON')
  }
}
