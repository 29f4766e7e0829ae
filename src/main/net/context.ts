/** What all connections of a transport share. */
import type { MetastoreError } from '../../codec/errors.ts'
import type { GroupMessage } from '../../codec/raft-messages.ts'
import type { Clock } from './clock.ts'
import type { Deadlines } from './deadlines.ts'
import type { Identity } from './handshake.ts'
import type { Incidents } from './incidents.ts'
import type { TransportLimits } from './options.ts'
import type { Sockets } from './sockets.ts'
import type { Traffic } from './traffic.ts'

/** A request of another member. */
export interface IncomingRequest {
  /** The member that asks. */
  readonly peer: number
  /** The caller's, 0 to 255. */
  readonly kind: number
  /** Shared with what else came in; may be kept, and nobody may write to it. */
  readonly payload: Uint8Array
  /** How long the other side waits, from when it sent this. */
  readonly timeoutMs: number
  /**
   * Answers it, once; further calls, and those after the connection has ended, do nothing. The
   * bytes must not change any more. Errors come out at the other side with code, message, details.
   * @throws INVALID_REQUEST when the answer does not fit into a frame; it can be answered again
   */
  respond(answer: Uint8Array | MetastoreError): void
}

/** What a transport does with what comes in. They must not throw: that ends the process. */
export interface TransportHandlers {
  /**
   * Messages of one frame, in the order in which they were sent. Payloads may be kept, and with one
   * of them the memory of its frame is.
   */
  onMessages(peer: number, messages: readonly GroupMessage[]): void
  /** A request, which must be answered once, now or later. */
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
