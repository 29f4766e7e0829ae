/** Sockets: plain TCP, or mutual TLS when the cluster has certificates; nobody else need know. */
import { connect as connectPlain, createServer, type Server, type Socket } from 'node:net'
import {
  connect as connectTls,
  createSecureContext,
  createServer as createTlsServer,
  type SecureContext,
  type SecureContextOptions,
} from 'node:tls'
import { invalidRequest } from '../../codec/errors.ts'
import type { PeerAddress, TlsOptions } from './options.ts'

export interface SocketServerEvents {
  /** A connection has come in; nothing was read from it. */
  onArrival(raw: Socket): void
  /** Bytes can go through `socket`: `raw` itself, or the TLS around it. */
  onReady(raw: Socket, socket: Socket): void
  onTlsError(raw: Socket, why: string): void
}

export class Sockets {
  readonly #secureOptions: SecureContextOptions | undefined
  readonly #secureContext: SecureContext | undefined
  /** Outgoing ones that are not closed. */
  readonly #dialled = new Set<Socket>()

  /** @throws INVALID_REQUEST when the certificates cannot be read */
  constructor(tls: TlsOptions | undefined) {
    if (tls === undefined) return
    const { key, cert, ca } = tls
    this.#secureOptions = { key, cert, ca, minVersion: 'TLSv1.2' }
    try {
      this.#secureContext = createSecureContext(this.#secureOptions)
    } catch (error) {
      throw invalidRequest(`tls: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  get isSecure(): boolean {
    return this.#secureContext !== undefined
  }

  /** `onReady` is called when the member's certificate, if any, was found to be good. */
  dial({ host, port }: PeerAddress, onReady: () => void): Socket {
    const socket = this.#connect(host, port, onReady)
    socket.setNoDelay(true)
    this.#dialled.add(socket)
    socket.once('close', () => this.#dialled.delete(socket))
    return socket
  }

  /** Resolves when all outgoing sockets are closed. */
  async allClosed(): Promise<void> {
    const closed = [...this.#dialled].map(
      socket => new Promise<void>(resolve => socket.once('close', () => resolve())),
    )
    await Promise.all(closed)
  }

  createServer(events: SocketServerEvents): Server {
    const secureOptions = this.#secureOptions
    if (secureOptions !== undefined) return createSecureServer(secureOptions, events)
    return createServer({ noDelay: true }, raw => {
      events.onArrival(raw)
      events.onReady(raw, raw)
    })
  }

  #connect(host: string, port: number, onReady: () => void): Socket {
    const secureContext = this.#secureContext
    if (secureContext === undefined) return connectPlain({ host, port }, onReady)
    // A member is known by the authority that signed its certificate, not by a name in it: nodes
    // move between hosts, and which node it is the handshake says.
    const checkServerIdentity = (): undefined => undefined
    const options = { host, port, secureContext, rejectUnauthorized: true, checkServerIdentity }
    return connectTls(options, onReady)
  }
}

function createSecureServer(
  secureOptions: SecureContextOptions,
  events: SocketServerEvents,
): Server {
  const options = { ...secureOptions, requestCert: true, rejectUnauthorized: true, noDelay: true }
  const server = createTlsServer(options)
  // TLS wraps the raw socket and does not say which; both know who is at the other end.
  const raws = new Map<string, Socket>()
  server.on('connection', raw => {
    const end = remoteEnd(raw)
    raws.set(end, raw)
    raw.once('close', () => raws.delete(end))
    events.onArrival(raw)
  })
  server.on('secureConnection', socket => {
    const raw = raws.get(remoteEnd(socket))
    if (raw === undefined) socket.destroy()
    else events.onReady(raw, socket)
  })
  server.on('tlsClientError', (error, socket) => {
    const raw = raws.get(remoteEnd(socket))
    if (raw !== undefined) events.onTlsError(raw, error.message)
  })
  return server
}

function remoteEnd({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
