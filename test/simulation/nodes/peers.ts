/**
 * A node's transport, as the others' frames and its own go through the simulated network: what is
 * sent in one event is one frame, encoded and decoded as on the wire. Frames may be lost or come
 * twice or late; of a request that came twice the second one is dropped, as no connection doubles
 * anything.
 */
import { MetastoreError } from '../../../src/codec/errors.ts'
import {
  FRAME_BYTES_MAX,
  FRAME_RAFT,
  FRAME_REQUEST,
  FRAME_RESPONSE,
} from '../../../src/codec/frame-format.ts'
import { decodeRaftBatch } from '../../../src/codec/raft-batch-reader.ts'
import { RaftBatchWriter } from '../../../src/codec/raft-batch-writer.ts'
import type { WireMessage } from '../../../src/codec/raft-messages.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../../src/codec/request-format.ts'
import type { TransportHandlers } from '../../../src/main/net/context.ts'
import { FrameReader } from '../../../src/main/net/frame-reader.ts'
import type { PeerTransport } from '../../../src/main/net/transport.ts'
import type { Host } from './host.ts'

export interface Packet {
  readonly from: number
  readonly to: number
  /** Which life of the receiver the connection was with. */
  readonly toLife: number
  readonly frame: Uint8Array
}

/** What the nodes of a simulation share. */
export interface Wire {
  send(packet: Packet): void
  isUp(node: number): boolean
  lifeOf(node: number): number
  /** Whether a node connects to another one, of itself. */
  connects(node: number, to: number): boolean
  /** Ids of requests: no two nodes or lives of one use the same. */
  nextRequest(): number
}

interface Asked {
  readonly peer: number
  readonly resolve: (answer: Uint8Array) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

/** Messages of an event leave together. */
const GATHER_MS = 0.05
const LINK_UP_MS = 1

export class Peers implements PeerTransport {
  readonly #host: Host
  readonly #wire: Wire
  readonly #handlers: TransportHandlers
  readonly #batches = new Map<number, RaftBatchWriter>()
  readonly #asked = new Map<number, Asked>()
  readonly #seen = new Set<number>()
  readonly #linked = new Set<number>()
  #peers = new Set<number>()
  #isClosed = false

  constructor(host: Host, wire: Wire, handlers: TransportHandlers) {
    this.#host = host
    this.#wire = wire
    this.#handlers = handlers
  }

  setPeers(peers: ReadonlyMap<number, unknown>): void {
    this.#peers = new Set([...peers.keys()].filter(peer => peer !== this.#host.id))
    for (const peer of this.#peers) this.noticed(peer)
  }

  isReachable(peer: number): boolean {
    return (
      this.#wire.isUp(peer) && (this.connects(peer) || this.#wire.connects(peer, this.#host.id))
    )
  }

  connects(peer: number): boolean {
    return this.#peers.has(peer)
  }

  /** Connections that were lost on the way are made anew. */
  meet(): void {
    for (const peer of this.#linked) this.#handlers.onLink(peer, true)
  }

  /** Another node has come or gone. */
  noticed(peer: number): void {
    this.#host.later(LINK_UP_MS, () => {
      const isUp = this.#wire.isUp(peer)
      if (!this.#peers.has(peer) || this.#linked.has(peer) === isUp) return
      if (isUp) this.#linked.add(peer)
      else {
        this.#linked.delete(peer)
        this.#lose(peer)
      }
      this.#handlers.onLink(peer, isUp)
    })
  }

  send(group: number, message: WireMessage): boolean {
    const { to } = message
    let batch = this.#batches.get(to)
    if (batch?.isFull) {
      this.#sendBatch(to, batch)
      batch = undefined
    }
    if (batch === undefined) {
      const gathered = new RaftBatchWriter(this.#host.id)
      batch = gathered
      this.#batches.set(to, gathered)
      this.#host.later(GATHER_MS, () => {
        if (this.#batches.get(to) === gathered) this.#sendBatch(to, gathered)
      })
    }
    batch.add(group, message)
    return true
  }

  #sendBatch(to: number, batch: RaftBatchWriter): void {
    this.#batches.delete(to)
    const frame = batch.finish()
    if (this.isReachable(to)) this.#send(to, frame)
  }

  request(peer: number, kind: number, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    if (this.#isClosed || !this.isReachable(peer)) {
      return Promise.reject(new MetastoreError('UNAVAILABLE', `node ${peer} is not connected`))
    }
    return new Promise((resolve, reject) => {
      const id = this.#wire.nextRequest()
      const timer = setTimeout(() => {
        this.#asked.delete(id)
        reject(unknownFate(`node ${peer} has not answered within ${timeoutMs} ms`))
      }, timeoutMs)
      this.#asked.set(id, { peer, resolve, reject, timer })
      this.#send(peer, encodeRequest({ id, kind, timeoutMs, payload }))
    })
  }

  /** The connection to a peer has ended. */
  #lose(peer: number): void {
    for (const [id, asked] of this.#asked) {
      if (asked.peer !== peer) continue
      this.#asked.delete(id)
      clearTimeout(asked.timer)
      asked.reject(unknownFate(`the connection to node ${peer} was lost`))
    }
  }

  #send(to: number, frame: Uint8Array): void {
    const from = this.#host.id
    if (this.#isClosed || !this.#host.takesEffect()) return
    this.#wire.send({ from, to, toLife: this.#wire.lifeOf(to), frame })
  }

  /** Raft messages are let through to members that this node has not heard of, as in production. */
  receive({ from, toLife, frame }: Packet): void {
    if (this.#isClosed) return
    const reader = new FrameReader(FRAME_BYTES_MAX)
    reader.push(frame)
    const received = reader.next()
    if (received === undefined) throw new Error('a frame that is not whole')
    const { type, content } = received
    if (type === FRAME_RAFT) {
      this.#handlers.onMessages(from, decodeRaftBatch(content, from, this.#host.id))
    } else if (type === FRAME_REQUEST) {
      // A connection ends with the process: only Raft may hear of before.
      if (toLife === this.#host.life) this.#receiveRequest(from, content)
    } else if (type === FRAME_RESPONSE) this.#receiveResponse(content)
    else throw new Error(`a frame of type ${type}`)
  }

  #receiveRequest(peer: number, content: Uint8Array): void {
    const { id, ...request } = decodeRequest(content)
    if (this.#seen.has(id)) return
    this.#seen.add(id)
    let isAnswered = false
    const respond = (answer: Uint8Array | MetastoreError): void => {
      if (isAnswered) return
      isAnswered = true
      this.#send(peer, encodeResponse({ id, answer }))
    }
    this.#handlers.onRequest({ ...request, peer, respond })
  }

  #receiveResponse(content: Uint8Array): void {
    const { id, answer } = decodeResponse(content)
    const asked = this.#asked.get(id)
    if (asked === undefined) return
    this.#asked.delete(id)
    clearTimeout(asked.timer)
    if (answer instanceof MetastoreError) asked.reject(answer)
    else asked.resolve(answer)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const { peer, reject, timer } of this.#asked.values()) {
      clearTimeout(timer)
      reject(new MetastoreError('CLOSED', `request to node ${peer}: the transport was closed`))
    }
    this.#asked.clear()
  }
}

function unknownFate(why: string): MetastoreError {
  return new MetastoreError('INDETERMINATE', why)
}
