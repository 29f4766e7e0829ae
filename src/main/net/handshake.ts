/**
 * Handshake: the two sides of docs/wire-format.md, "Handshake", without a socket. A frame comes in,
 * and the answer says what to send, that the other side is who it says, or why it is refused.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import {
  FRAME_CHALLENGE,
  FRAME_HELLO,
  FRAME_PROOF,
  FRAME_WELCOME,
  type Frame,
  WIRE_VERSION,
} from '../../codec/frame-format.ts'
import {
  decodeHandshakeBytes,
  decodeHello,
  encodeHandshakeBytes,
  encodeHello,
  type Hello,
  helloVersion,
  NONCE_BYTES,
  PROOF_BYTES,
  type ProofRole,
  provenBytes,
} from '../../codec/handshake-format.ts'
import type { Refusal } from './incidents.ts'

export interface Identity {
  readonly clusterId: string
  readonly nodeId: number
  /** Empty: none. */
  readonly secret: string
}

/** `reply` goes out first; then, with `peer`, the other side has proved to be that member. */
export type HandshakeStep =
  | { readonly reply: Uint8Array; readonly peer?: number }
  | { readonly reply?: undefined; readonly peer: number }
  | { readonly refusal: Refusal; readonly why: string }

export interface Handshake {
  /** What the initiator sends before anything came. */
  readonly opening: Uint8Array | undefined
  /** @throws CORRUPTION for a frame that is none of a handshake */
  receive(frame: Frame): HandshakeStep
}

/** Makes NONCE_BYTES bytes that nobody can foresee. */
export type NonceSource = () => Uint8Array

export class InitiatorHandshake implements Handshake {
  readonly #identity: Identity
  readonly #hello: Hello
  readonly opening: Uint8Array
  #challenge: Uint8Array | undefined

  constructor(identity: Identity, to: number, nonces: NonceSource) {
    this.#identity = identity
    const { clusterId, nodeId } = identity
    this.#hello = { clusterId, from: nodeId, to, nonce: nonces() }
    this.opening = encodeHello(this.#hello)
  }

  receive({ type, content }: Frame): HandshakeStep {
    const { secret } = this.#identity
    if (this.#challenge === undefined) {
      if (type !== FRAME_CHALLENGE) return unexpected(type)
      this.#challenge = decodeHandshakeBytes(content, NONCE_BYTES, 'challenge').slice()
      const proof = prove('initiator', secret, this.#hello, this.#challenge)
      return { reply: encodeHandshakeBytes(FRAME_PROOF, proof) }
    }
    if (type !== FRAME_WELCOME) return unexpected(type)
    const given = decodeHandshakeBytes(content, PROOF_BYTES, 'welcome')
    const wanted = prove('acceptor', secret, this.#hello, this.#challenge)
    if (!timingSafeEqual(given, wanted)) return wrongSecret(this.#hello.to)
    return { peer: this.#hello.to }
  }
}

export class AcceptorHandshake implements Handshake {
  readonly opening = undefined
  readonly #identity: Identity
  readonly #nonce: Uint8Array
  #hello: Hello | undefined

  constructor(identity: Identity, nonces: NonceSource) {
    this.#identity = identity
    this.#nonce = nonces()
  }

  /** Whether the other side has said who it is, without having proved it. */
  get hasGreeted(): boolean {
    return this.#hello !== undefined
  }

  receive({ type, content }: Frame): HandshakeStep {
    if (this.#hello === undefined) {
      if (type !== FRAME_HELLO) return unexpected(type)
      return this.#greeted(content)
    }
    if (type !== FRAME_PROOF) return unexpected(type)
    const { secret } = this.#identity
    const given = decodeHandshakeBytes(content, PROOF_BYTES, 'proof')
    const wanted = prove('initiator', secret, this.#hello, this.#nonce)
    if (!timingSafeEqual(given, wanted)) return wrongSecret(this.#hello.from)
    const own = prove('acceptor', secret, this.#hello, this.#nonce)
    return { reply: encodeHandshakeBytes(FRAME_WELCOME, own), peer: this.#hello.from }
  }

  #greeted(content: Uint8Array): HandshakeStep {
    const { clusterId, nodeId } = this.#identity
    const version = helloVersion(content)
    if (version !== WIRE_VERSION) {
      return { refusal: 'version', why: `it speaks version ${version}, this node ${WIRE_VERSION}` }
    }
    const hello = decodeHello(content)
    if (hello.clusterId !== clusterId) {
      return { refusal: 'cluster', why: `it is of cluster ${hello.clusterId}` }
    }
    if (hello.to !== nodeId || hello.from === nodeId) {
      return { refusal: 'node', why: `node ${hello.from} wants to talk to node ${hello.to}` }
    }
    this.#hello = { ...hello, nonce: hello.nonce.slice() }
    return { reply: encodeHandshakeBytes(FRAME_CHALLENGE, this.#nonce) }
  }
}

function prove(role: ProofRole, secret: string, hello: Hello, nonce: Uint8Array): Uint8Array {
  return createHmac('sha256', secret)
    .update(provenBytes(role, hello, nonce))
    .digest()
}

function unexpected(type: number): HandshakeStep {
  return { refusal: 'malformed', why: `a frame of type ${type} is out of place in a handshake` }
}

function wrongSecret(peer: number): HandshakeStep {
  return { refusal: 'secret', why: `it says that it is node ${peer} and does not know the secret` }
}
