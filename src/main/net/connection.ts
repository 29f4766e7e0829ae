/**
 * Connection: a socket to a member, after the handshake. Frames go both ways: Raft messages,
 * requests and responses, and pings when nothing else is heard. It ends once, for whatever reason;
 * what it had not sent is gone, and requests without an answer fail.
 */
import type { Socket } from 'node:net'
import { corruption, MetastoreError } from '../../codec/errors.ts'
import {
  emptyFrame,
  FRAME_BYTES_MAX,
  FRAME_CLOSE,
  FRAME_PING,
  FRAME_PONG,
  FRAME_RAFT,
  FRAME_REQUEST,
  FRAME_RESPONSE,
  type Frame,
} from '../../codec/frame-format.ts'
import { decodeRaftBatch } from '../../codec/raft-batch-reader.ts'
import type { GroupMessage, WireMessage } from '../../codec/raft-messages.ts'
import {
  type CloseReason,
  decodeClose,
  decodeRequest,
  decodeResponse,
  encodeClose,
  type RequestFrame,
  type ResponseFrame,
} from '../../codec/request-format.ts'
import type { NetContext } from './context.ts'
import type { FrameReader } from './frame-reader.ts'
import type { Break } from './incidents.ts'
import { IncomingRequests } from './incoming-requests.ts'
import { Outbox } from './outbox.ts'
import { OutgoingRequests } from './outgoing-requests.ts'

/** How long the last words may take before the socket is destroyed. */
const FAREWELL_MS = 1000
/** Times backlogBytesMax, beyond which even answers and pings are too much. */
const BACKLOG_FACTOR = 4

const PING = emptyFrame(FRAME_PING)
const PONG = emptyFrame(FRAME_PONG)

/** A frame's meaning, once everything in it was found to be right. */
type Received =
  | { readonly messages: readonly GroupMessage[] }
  | { readonly request: RequestFrame }
  | { readonly response: ResponseFrame }
  | { readonly reason: CloseReason }
  | 'ping'
  | 'pong'

export class Connection {
  readonly peer: number
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #context: NetContext
  readonly #onEnd: () => void
  readonly #outbox: Outbox
  readonly #outgoing: OutgoingRequests
  readonly #incoming: IncomingRequests
  #isEnded = false
  #hasHeard = false
  #silentPings = 0

  /**
   * Takes over the socket, which is paused, and the reader with what came behind the handshake.
   * @param onEnd called once, when nothing can be sent or will come any more
   */
  constructor(
    peer: number,
    socket: Socket,
    reader: FrameReader,
    context: NetContext,
    onEnd: () => void,
  ) {
    this.peer = peer
    this.#socket = socket
    this.#reader = reader
    this.#context = context
    this.#onEnd = onEnd
    this.#outbox = new Outbox(socket, context.identity.nodeId, context.traffic)
    this.#outgoing = new OutgoingRequests(peer, context, this.#outbox)
    this.#incoming = new IncomingRequests(peer, context, this.#outbox)
  }

  /** Begins to read; what it calls may come before this returns. */
  start(): void {
    this.#reader.frameBytesMax = FRAME_BYTES_MAX
    const socket = this.#socket
    socket.on('data', chunk => this.#receive(chunk))
    socket.on('close', () => this.#break('lost', 'it has closed'))
    this.#handleFrames()
    socket.resume()
  }

  /** @returns false when it was dropped. @throws INVALID_REQUEST for a message that does not fit */
  send(group: number, message: WireMessage): boolean {
    if (this.#isEnded || this.#outbox.backlogBytes >= this.#context.limits.backlogBytesMax) {
      return false
    }
    this.#outbox.addMessage(group, message)
    return true
  }

  request(kind: number, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return this.#outgoing.send(kind, payload, timeoutMs)
  }

  /**
   * Another ping interval has passed. Silence is counted in these and not by a clock: when the
   * event loop has been held up, what came meanwhile is read before the next one.
   */
  tick(): void {
    const { silentPingsMax, backlogBytesMax } = this.#context.limits
    const { backlogBytes } = this.#outbox
    const hasMoved = this.#outbox.hasMoved()
    if (this.#hasHeard || hasMoved) this.#silentPings = 0
    if (backlogBytes > BACKLOG_FACTOR * backlogBytesMax) {
      this.#break('backlog', `${backlogBytes} bytes are not taken`)
    } else if (this.#silentPings >= silentPingsMax) {
      this.#break('silent', `nothing came after ${this.#silentPings} pings`)
    } else if (!this.#hasHeard) {
      this.#silentPings++
      this.#outbox.addFrame(PING)
    }
    this.#hasHeard = false
  }

  /** The transport is closing: requests under way are CLOSED. */
  close(): void {
    this.#outgoing.close()
    this.end('shutdown')
  }

  /** Sends what waits, says why, and closes. */
  end(reason: CloseReason): void {
    if (this.#isEnded) return
    this.#outbox.flush()
    this.#socket.end(encodeClose(reason))
    this.#finish()
  }

  /** Nothing goes through this connection any more. */
  #break(what: Break, why: string): void {
    if (this.#isEnded) return
    this.#context.incidents.count(what, { peer: this.peer, why })
    this.#socket.destroy()
    this.#finish()
  }

  #finish(): void {
    this.#isEnded = true
    this.#incoming.end()
    this.#outgoing.lose()
    const socket = this.#socket
    if (!socket.destroyed) {
      const cancel = this.#context.clock.after(FAREWELL_MS, () => socket.destroy())
      socket.once('close', cancel)
    }
    this.#onEnd()
  }

  #receive(chunk: Uint8Array): void {
    if (this.#isEnded) return
    this.#hasHeard = true
    this.#context.traffic.bytesReceived += chunk.length
    this.#reader.push(chunk)
    this.#handleFrames()
  }

  #handleFrames(): void {
    while (!this.#isEnded) {
      const received = this.#next()
      if (received === undefined) return
      this.#context.traffic.framesReceived++
      this.#handle(received)
    }
  }

  /** @returns undefined when there is no whole frame, or a broken one, which ends the connection */
  #next(): Received | undefined {
    try {
      const frame = this.#reader.next()
      return frame === undefined ? undefined : this.#decode(frame)
    } catch (error) {
      if (!(error instanceof MetastoreError)) throw error
      this.#context.incidents.count('brokenFrame', { peer: this.peer, why: error.message })
      this.end('malformed')
      return undefined
    }
  }

  /** @throws CORRUPTION */
  #decode({ type, content }: Frame): Received {
    switch (type) {
      case FRAME_RAFT:
        return { messages: decodeRaftBatch(content, this.peer, this.#context.identity.nodeId) }
      case FRAME_REQUEST:
        return { request: decodeRequest(content) }
      case FRAME_RESPONSE:
        return { response: decodeResponse(content) }
      case FRAME_CLOSE:
        return { reason: decodeClose(content) }
      case FRAME_PING:
      case FRAME_PONG:
        if (content.length > 0) throw corruption(`a ping with ${content.length} bytes`)
        return type === FRAME_PING ? 'ping' : 'pong'
      default:
        throw corruption(`a frame of type ${type} is out of place`)
    }
  }

  #handle(received: Received): void {
    if (received === 'pong') return
    if (received === 'ping') this.#outbox.addFrame(PONG)
    else if ('messages' in received) this.#context.handlers.onMessages(this.peer, received.messages)
    else if ('request' in received) this.#incoming.receive(received.request)
    else if ('response' in received) this.#outgoing.answer(received.response)
    else this.#farewell(received.reason)
  }

  /** The other side has closed. Its last words count unless it is only shutting down. */
  #farewell(reason: CloseReason): void {
    const { incidents } = this.#context
    if (reason !== 'shutdown') incidents.count('lost', { peer: this.peer, why: reason })
    this.#socket.end()
    this.#finish()
  }
}
