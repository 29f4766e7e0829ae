/** What all connections of a transport share. */
import type { GroupMessage } from '../../codec/raft-messages.ts'
import type { Clock } from './clock.ts'
import type { Deadlines } from './deadlines.ts'
import type { Identity } from './handshake.ts'
import type { Incidents } from './incidents.ts'
import type { IncomingRequest } from './incoming-requests.ts'
import type { TransportLimits } from './options.ts'
import type { Sockets } from './sockets.ts'
import type { Traffic } from './traffic.ts'

/** What a transport does with what comes in. They must not throw: that ends the process. */
export interface TransportHandlers {
  /**
   * Messages of one frame, in the order in which they were sent. Payloads may be kept, and with one
   * of them the memory of its frame is.
   */
  onMessages(peer: number, messages: readonly GroupMessage[]): void
  /** A request, which must be answered once, now or later (incoming-requests.ts). */
  onRequest(request: IncomingRequest): void
  /** The connection that this node makes to a peer is there, or is gone. */
  onLink(peer: number, isUp: boolean): void
}

export interface NetContext {
  readonly identity: Identity
  readonly limits: TransportLimits
  readonly clock: Clock
  /** From [0, 1). */
  readonly random: () => number
  readonly sockets: Sockets
  readonly incidents: Incidents
  readonly traffic: Traffic
  readonly deadlines: Deadlines
  readonly handlers: TransportHandlers
}
