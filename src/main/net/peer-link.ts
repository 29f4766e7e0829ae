/** PeerLink: the connection that this node makes to one peer, made again whenever it is lost. */
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { NONCE_BYTES } from '../../codec/handshake-format.ts'
import { backoffMs } from './backoff.ts'
import { Connection } from './connection.ts'
import type { NetContext } from './context.ts'
import { type GreetingOutcome, greet } from './greeting.ts'
import { InitiatorHandshake } from './handshake.ts'
import type { Incident } from './incidents.ts'
import type { PeerAddress } from './options.ts'

export class PeerLink {
  readonly peer: number
  readonly address: PeerAddress
  readonly #context: NetContext
  #connection: Connection | undefined
  /** Of the attempt that is under way. */
  #socket: Socket | undefined
  /** In a row; a connection that did not hold counts as one. */
  #failures = 0
  #upSinceMs = 0
  /** Of the wait between attempts, or of the timeout of one. */
  #cancelTimer: () => void = () => {}
  #isClosed = false

  /** Begins to connect at once. */
  constructor(peer: number, address: PeerAddress, context: NetContext) {
    this.peer = peer
    this.address = address
    this.#context = context
    this.#dial()
  }

  /** Undefined while there is none. */
  get connection(): Connection | undefined {
    return this.#connection
  }

  /** The peer is known to be there: waits no longer. */
  hurry(): void {
    const isWaiting = !this.#isClosed && !this.#connection && !this.#socket
    if (isWaiting) this.#dial()
  }

  /** Not a peer any more: requests under way fail as with any connection that ends. */
  remove(): void {
    this.#stop()
    this.#connection?.end('shutdown')
  }

  /** The transport is closing: requests under way are CLOSED. */
  close(): void {
    this.#stop()
    this.#connection?.close()
  }

  #stop(): void {
    this.#isClosed = true
    this.#cancelTimer()
    this.#socket?.destroy()
  }

  #dial(): void {
    const { sockets, clock, limits, identity } = this.#context
    this.#cancelTimer()
    let isReached = false
    let problem = 'it has closed'
    const socket = sockets.dial(this.address, () => {
      isReached = true
      const nonces = (): Uint8Array => randomBytes(NONCE_BYTES)
      const handshake = new InitiatorHandshake(identity, this.peer, nonces)
      greet(socket, handshake, outcome => this.#greeted(socket, outcome))
    })
    this.#socket = socket
    socket.on('error', (error: NodeJS.ErrnoException) => {
      problem = error.message || error.code || error.name
    })
    socket.on('close', () => {
      if (!isReached) this.#failed(socket, 'unreachable', problem)
    })
    this.#cancelTimer = clock.after(limits.handshakeTimeoutMs, () => {
      const what = isReached ? 'handshakeTimeout' : 'unreachable'
      this.#failed(socket, what, `no handshake within ${limits.handshakeTimeoutMs} ms`)
    })
  }

  #greeted(socket: Socket, outcome: GreetingOutcome): void {
    if (socket !== this.#socket) return
    if ('refusal' in outcome) {
      const isTurnedAway = outcome.refusal === 'closedEarly'
      this.#failed(socket, isTurnedAway ? 'turnedAway' : outcome.refusal, outcome.why)
      return
    }
    this.#cancelTimer()
    this.#socket = undefined
    this.#upSinceMs = this.#context.clock.nowMs()
    this.#context.traffic.connectionsMade++
    const { peer, reader } = outcome
    const connection = new Connection(peer, socket, reader, this.#context, () => this.#ended())
    this.#connection = connection
    this.#context.handlers.onLink(peer, true)
    connection.start()
  }

  #failed(socket: Socket, what: Incident, why: string): void {
    if (socket !== this.#socket) return
    this.#socket = undefined
    socket.destroy()
    if (this.#isClosed) return
    const { host, port } = this.address
    this.#context.incidents.count(what, { peer: this.peer, address: `${host}:${port}`, why })
    this.#failures++
    this.#wait()
  }

  #ended(): void {
    this.#connection = undefined
    this.#context.handlers.onLink(this.peer, false)
    if (this.#isClosed) return
    const { clock, limits } = this.#context
    // One that ends as soon as it is made must not be made again at once, over and over.
    const hasHeld = clock.nowMs() - this.#upSinceMs >= limits.reconnectMsMax
    this.#failures = hasHeld ? 1 : this.#failures + 1
    this.#wait()
  }

  #wait(): void {
    const { clock, limits, random } = this.#context
    const { reconnectMsMin, reconnectMsMax } = limits
    const delayMs = backoffMs(this.#failures, reconnectMsMin, reconnectMsMax, random())
    this.#cancelTimer()
    this.#cancelTimer = clock.after(delayMs, () => this.#dial())
  }
}
