/**
 * Listener: takes connections of members. Until one has proved who it is it is a stranger: it has
 * little time, little memory and no answer that would help it, and strangers beyond a number push
 * out the oldest, first of all those that have not even said who they are.
 */
import { randomBytes } from 'node:crypto'
import type { Server, Socket } from 'node:net'
import { NONCE_BYTES } from '../../codec/handshake-format.ts'
import type { NetContext } from './context.ts'
import type { FrameReader } from './frame-reader.ts'
import { type GreetingOutcome, greet } from './greeting.ts'
import { AcceptorHandshake } from './handshake.ts'
import type { Refusal } from './incidents.ts'
import type { PeerAddress } from './options.ts'

interface Stranger {
  readonly raw: Socket
  readonly address: string
  readonly handshake: AcceptorHandshake
  readonly cancelTimeout: () => void
  isReady: boolean
}

/** A member has proved who it is; the socket is paused. */
export type MemberArrival = (peer: number, socket: Socket, reader: FrameReader) => void

export class Listener {
  readonly #context: NetContext
  readonly #onMember: MemberArrival
  readonly #server: Server
  /** By their raw sockets, oldest first. */
  readonly #strangers = new Map<Socket, Stranger>()

  private constructor(context: NetContext, onMember: MemberArrival) {
    this.#context = context
    this.#onMember = onMember
    this.#server = context.sockets.createServer({
      onArrival: raw => this.#arrived(raw),
      onReady: (raw, socket) => this.#ready(raw, socket),
      onTlsError: (raw, why) => this.#refuse(raw, 'tls', why),
    })
  }

  /** Rejects with the system's error when the address cannot be had. */
  static async listen(
    context: NetContext,
    { host, port }: PeerAddress,
    onMember: MemberArrival,
  ): Promise<Listener> {
    const listener = new Listener(context, onMember)
    const server = listener.#server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, () => {
        server.off('error', reject)
        server.on('error', ({ message }) =>
          context.incidents.count('notAccepted', { why: message }),
        )
        resolve()
      })
    })
    return listener
  }

  /** What it listens at. */
  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  /** Resolves when no connection that came in is open any more; those of members are not closed. */
  close(): Promise<void> {
    for (const raw of [...this.#strangers.keys()]) this.#forget(raw)?.raw.destroy()
    return new Promise(resolve => this.#server.close(() => resolve()))
  }

  #arrived(raw: Socket): void {
    // The socket closes, and that is all there is to do.
    raw.on('error', () => {})
    const { limits, clock, identity } = this.#context
    if (this.#strangers.size >= limits.strangersMax) this.#makeRoom()
    const timeoutMs = limits.handshakeTimeoutMs
    const expire = (): void => {
      this.#refuse(raw, 'handshakeTimeout', `no handshake within ${timeoutMs} ms`)
    }
    this.#strangers.set(raw, {
      raw,
      address: `${raw.remoteAddress}:${raw.remotePort}`,
      handshake: new AcceptorHandshake(identity, () => randomBytes(NONCE_BYTES)),
      cancelTimeout: clock.after(timeoutMs, expire),
      isReady: false,
    })
    raw.once('close', () => this.#closed(raw))
  }

  #ready(raw: Socket, socket: Socket): void {
    const stranger = this.#strangers.get(raw)
    if (stranger === undefined) {
      socket.destroy()
      return
    }
    stranger.isReady = true
    if (socket !== raw) socket.on('error', () => {})
    greet(socket, stranger.handshake, outcome => this.#greeted(raw, socket, outcome))
  }

  #greeted(raw: Socket, socket: Socket, outcome: GreetingOutcome): void {
    if ('refusal' in outcome) this.#refuse(raw, outcome.refusal, outcome.why)
    else if (this.#forget(raw) !== undefined) this.#onMember(outcome.peer, socket, outcome.reader)
  }

  #makeRoom(): void {
    let oldest: Stranger | undefined
    for (const stranger of this.#strangers.values()) {
      oldest ??= stranger
      if (stranger.handshake.hasGreeted) continue
      oldest = stranger
      break
    }
    if (oldest !== undefined) this.#refuse(oldest.raw, 'crowded', 'others have come after it')
  }

  #closed(raw: Socket): void {
    const isTls = this.#context.sockets.isSecure && this.#strangers.get(raw)?.isReady === false
    this.#refuse(raw, isTls ? 'tls' : 'closedEarly', 'it has closed')
  }

  #refuse(raw: Socket, refusal: Refusal, why: string): void {
    const stranger = this.#forget(raw)
    if (stranger === undefined) return
    this.#context.incidents.count(refusal, { address: stranger.address, why })
    raw.destroy()
  }

  /** @returns undefined when it is no stranger any more */
  #forget(raw: Socket): Stranger | undefined {
    const stranger = this.#strangers.get(raw)
    if (stranger === undefined) return undefined
    this.#strangers.delete(raw)
    stranger.cancelTimeout()
    return stranger
  }
}
