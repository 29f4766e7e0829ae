/**
 * Handshake: the frames in which two members prove to each other that they know the cluster's
 * secret (docs/wire-format.md). Who connects is the initiator, who listens the acceptor:
 *
 *   initiator                         acceptor
 *   hello: who, to whom, nonce   ──▸
 *                                ◂──  challenge: nonce
 *   proof                        ──▸
 *                                ◂──  welcome: its proof
 *
 *   hello: u32 magic, u16 version, 16 bytes cluster id, u32 from, u32 to, 32 bytes nonce
 *   challenge: 32 bytes nonce; proof and welcome: 32 bytes HMAC-SHA256 over provenBytes()
 */
import { ByteReader, ByteWriter } from './bytes.ts'
import { corruption } from './errors.ts'
import { FRAME_HELLO, finishFrame, startFrame, WIRE_VERSION } from './frame-format.ts'
import { formatUuid, UUID_BYTES, uuidBytes } from './uuid.ts'

/** 'WMNT' read as a little-endian u32. */
const MAGIC = 0x544e4d57
export const NONCE_BYTES = 32
export const PROOF_BYTES = 32
/** The greatest id of a node. */
export const NODE_ID_MAX = 2_147_483_647

/** Keeps these bytes apart from anything else that a secret may ever be used for. */
const PROOF_LABEL = 'waymark member proof 1'

export interface Hello {
  /** UUID. */
  readonly clusterId: string
  /** The node that connects, and the one that it wants to talk to: 1 to NODE_ID_MAX. */
  readonly from: number
  readonly to: number
  /** NONCE_BYTES random bytes, never used before. */
  readonly nonce: Uint8Array
}

/** Whose proof it is; one side's proof is worth nothing as the other's. */
export type ProofRole = 'initiator' | 'acceptor'

/** @returns a whole frame. @param version for tests; all members of this build speak one */
export function encodeHello(hello: Hello, version: number = WIRE_VERSION): Uint8Array {
  const writer = startFrame(FRAME_HELLO)
  writer.u32(MAGIC).u16(version).raw(uuidBytes(hello.clusterId))
  return finishFrame(writer.u32(hello.from).u32(hello.to).raw(hello.nonce))
}

/**
 * The protocol version that a hello speaks; what follows it is known of WIRE_VERSION only.
 * @throws CORRUPTION when these are not the bytes of a hello
 */
export function helloVersion(content: Uint8Array): number {
  const reader = new ByteReader(content, 'hello')
  if (reader.u32() !== MAGIC) throw corruption('hello does not begin with its magic number')
  return reader.u16()
}

/** Of WIRE_VERSION. @throws CORRUPTION naming what is wrong with it */
export function decodeHello(content: Uint8Array): Hello {
  const reader = new ByteReader(content, 'hello', 6)
  const clusterId = formatUuid(reader.raw(UUID_BYTES))
  const from = nodeId(reader.u32(), 'from')
  const to = nodeId(reader.u32(), 'to')
  const nonce = reader.raw(NONCE_BYTES)
  reader.expectEnd()
  return { clusterId, from, to, nonce }
}

/** Challenge, proof and welcome are 32 bytes and nothing else. @returns a whole frame */
export function encodeHandshakeBytes(type: number, bytes: Uint8Array): Uint8Array {
  return finishFrame(startFrame(type, bytes.length).raw(bytes))
}

/** @throws CORRUPTION naming `what` unless the content is `length` bytes long */
export function decodeHandshakeBytes(
  content: Uint8Array,
  length: number,
  what: string,
): Uint8Array {
  const reader = new ByteReader(content, what)
  const bytes = reader.raw(length)
  reader.expectEnd()
  return bytes
}

/** What the HMAC is over: everything that was said, and who proves it. */
export function provenBytes(role: ProofRole, hello: Hello, acceptorNonce: Uint8Array): Uint8Array {
  const writer = new ByteWriter(160).text(PROOF_LABEL).u8(role === 'initiator' ? 1 : 2)
  writer.u16(WIRE_VERSION).raw(uuidBytes(hello.clusterId)).u32(hello.from).u32(hello.to)
  return writer.raw(hello.nonce).raw(acceptorNonce).take()
}

function nodeId(id: number, field: string): number {
  if (id < 1 || id > NODE_ID_MAX) {
    throw corruption(`hello: ${field} must be from 1 to ${NODE_ID_MAX}, not ${id}`)
  }
  return id
}
