/**
 * Transport: how a member of a cluster talks to the others (docs/transport.md). Raft messages are
 * sent and forgotten; requests are answered or fail by a deadline. Main thread.
 */
import type { Socket } from 'node:net'
import { invalidRequest, MetastoreError } from '../../codec/errors.ts'
import type { WireMessage } from '../../codec/raft-messages.ts'
import { SYSTEM_CLOCK } from './clock.ts'
import { Connection } from './connection.ts'
import type { NetContext, TransportHandlers } from './context.ts'
import { Deadlines } from './deadlines.ts'
import type { FrameReader } from './frame-reader.ts'
import type { Incident } from './incidents.ts'
import { Incidents } from './incidents.ts'
import { Listener } from './listener.ts'
import {
  checkNodeId,
  checkTransportOptions,
  type PeerAddress,
  TRANSPORT_LIMITS,
  type TransportOptions,
} from './options.ts'
import { PeerLink } from './peer-link.ts'
import { Sockets } from './sockets.ts'
import { Traffic } from './traffic.ts'

export interface TransportCounters extends Readonly<Traffic> {
  readonly incidents: Readonly<Record<Incident, number>>
}

/** What a node asks of its transport once it listens; a simulation puts its own in its place. */
export type PeerTransport = Pick<
  Transport,
  'setPeers' | 'isReachable' | 'send' | 'request' | 'close'
> &
  Partial<Pick<Transport, 'counters'>>

export class Transport implements AsyncDisposable {
  readonly #context: NetContext
  #listener: Listener | undefined
  readonly #links = new Map<number, PeerLink>()
  /** Connections that members have made to this node: one each, the newest. */
  readonly #taken = new Map<number, Connection>()
  #cancelTick: () => void = () => {}
  #closing: Promise<void> | undefined

  private constructor(options: TransportOptions, handlers: TransportHandlers) {
    const { clusterId, nodeId, secret = '', logger, clock = SYSTEM_CLOCK } = options
    this.#context = {
      identity: { clusterId, nodeId, secret },
      limits: { ...TRANSPORT_LIMITS, ...options.limits },
      clock,
      random: options.random ?? Math.random,
      sockets: new Sockets(options.tls),
      incidents: new Incidents(logger, clock),
      traffic: new Traffic(),
      deadlines: new Deadlines(clock),
      handlers,
    }
  }

  /**
   * Listens; connects to nobody before setPeers(). Rejects with INVALID_REQUEST for options that
   * are wrong, and with UNAVAILABLE when it cannot listen at the address.
   */
  static async listen(options: TransportOptions, handlers: TransportHandlers): Promise<Transport> {
    checkTransportOptions(options)
    const transport = new Transport(options, handlers)
    const { host, port } = options.listen
    try {
      transport.#listener = await Listener.listen(
        transport.#context,
        options.listen,
        (peer, socket, reader) => transport.#take(peer, socket, reader),
      )
    } catch (cause) {
      throw new MetastoreError('UNAVAILABLE', `cannot listen at ${host}:${port}: ${cause}`, {
        cause,
      })
    }
    transport.#orderTick()
    return transport
  }

  /** The port that it listens at. */
  get port(): number {
    return this.#listener?.port ?? 0
  }

  /**
   * Whom to connect to; this node itself may be among them. Connections to others end, those to a
   * changed address are made anew. Members that are not listed may still connect to this node.
   */
  setPeers(peers: ReadonlyMap<number, PeerAddress>): void {
    for (const peer of peers.keys()) checkNodeId(peer)
    if (this.#closing !== undefined) return
    for (const [peer, link] of [...this.#links]) {
      const address = peers.get(peer)
      if (address?.host === link.address.host && address.port === link.address.port) continue
      this.#links.delete(peer)
      link.remove()
    }
    for (const [peer, address] of peers) {
      if (peer === this.#context.identity.nodeId || this.#links.has(peer)) continue
      this.#links.set(peer, new PeerLink(peer, address, this.#context))
    }
  }

  /** Whether anything can be sent to the peer now. */
  isReachable(peer: number): boolean {
    return this.#route(peer) !== undefined
  }

  /**
   * Sends a Raft message of a group to the member that it is to; with the others of this turn.
   * @returns false when it was dropped at once. True does not say that it will arrive.
   * @throws INVALID_REQUEST for a message that is not in the format, or larger than a frame
   */
  send(group: number, message: WireMessage): boolean {
    const isSent = this.#route(message.to)?.send(group, message) ?? false
    if (!isSent) this.#context.traffic.messagesDropped++
    return isSent
  }

  /**
   * Asks a member. The payload must not change before the promise is settled. Rejects with
   * - the error that the member answers with;
   * - UNAVAILABLE: it was not sent;
   * - INDETERMINATE: it was sent, and not answered in time or before the connection ended;
   * - OVERLOADED: too many requests, or bytes of them, are under way to the member or at it;
   * - INVALID_REQUEST: it does not fit into a frame; CLOSED: the transport was closed.
   * @param kind 0 to 255, the caller's. @param timeoutMs how long to wait for the answer
   */
  request(peer: number, kind: number, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const connection = this.#route(peer)
    if (connection !== undefined) return connection.request(kind, payload, timeoutMs)
    return Promise.reject(this.#noConnection(peer, kind))
  }

  counters(): TransportCounters {
    const { traffic, incidents } = this.#context
    return { ...traffic, incidents: incidents.counts() }
  }

  /** Resolves when every socket is closed. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#cancelTick()
    for (const link of this.#links.values()) link.close()
    for (const connection of [...this.#taken.values()]) connection.close()
    await Promise.all([this.#listener?.close(), this.#context.sockets.allClosed()])
  }

  /**
   * The connection of its own that a node has to a peer, or else the one that the peer has made: so
   * a member is answered whose address is not known here yet.
   */
  #route(peer: number): Connection | undefined {
    return this.#links.get(peer)?.connection ?? this.#taken.get(peer)
  }

  #noConnection(peer: number, kind: number): MetastoreError {
    const what = `request ${kind} to node ${peer} was not sent`
    if (peer === this.#context.identity.nodeId) return invalidRequest(`${what}: it is this node`)
    if (this.#closing !== undefined) return new MetastoreError('CLOSED', `${what}: closed`)
    return new MetastoreError('UNAVAILABLE', `${what}: there is no connection`)
  }

  /** A member has connected. */
  #take(peer: number, socket: Socket, reader: FrameReader): void {
    const { limits, incidents, traffic } = this.#context
    const before = this.#taken.get(peer)
    if (this.#closing !== undefined) {
      socket.destroy()
      return
    }
    if (before === undefined && this.#taken.size >= limits.membersMax) {
      incidents.count('crowded', { peer, why: `${limits.membersMax} members are connected` })
      socket.destroy()
      return
    }
    if (before !== undefined) {
      incidents.count('replaced', { peer, why: 'it has connected again' })
      // Takes itself out of those taken.
      before.end('replaced')
    }
    traffic.connectionsTaken++
    const connection = new Connection(peer, socket, reader, this.#context, () => {
      this.#taken.delete(peer)
    })
    this.#taken.set(peer, connection)
    this.#links.get(peer)?.hurry()
    connection.start()
  }

  #orderTick(): void {
    const { clock, limits } = this.#context
    this.#cancelTick = clock.after(limits.pingIntervalMs, () => this.#tick())
  }

  #tick(): void {
    for (const link of this.#links.values()) link.connection?.tick()
    for (const connection of [...this.#taken.values()]) connection.tick()
    this.#orderTick()
  }
}
