/** What a transport is told once: who it is, how it proves it, and where its limits are. */
import { invalidRequest } from '../../codec/errors.ts'
import { NODE_ID_MAX } from '../../codec/handshake-format.ts'
import { isUuid } from '../../codec/uuid.ts'
import type { Logger } from '../logger.ts'
import { show } from '../show.ts'
import type { Clock } from './clock.ts'

export interface PeerAddress {
  readonly host: string
  readonly port: number
}

/** PEM texts: the own key and certificate, and whose certificates count. */
export interface TlsOptions {
  readonly key: string
  readonly cert: string
  readonly ca: string
}

export interface TransportOptions {
  /** UUID of the cluster. */
  readonly clusterId: string
  /** This node, 1 to 2^31 - 1. */
  readonly nodeId: number
  /** Port 0: any that is free. */
  readonly listen: PeerAddress
  /** Mutual TLS when given. */
  readonly tls?: TlsOptions | undefined
  /** Shared by all members; proved at connect, never sent. Default: the empty one. */
  readonly secret?: string | undefined
  readonly logger: Logger
  readonly limits?: Partial<TransportLimits>
  /** Default: the system's. */
  readonly clock?: Clock
  /** From [0, 1), for the jitter of reconnections. Default Math.random. */
  readonly random?: () => number
}

export interface TransportLimits {
  /** From the connection to the end of the handshake, TLS included. Default 5000. */
  readonly handshakeTimeoutMs: number
  /** Connections that have not proved who they are; beyond it the oldest goes. Default 256. */
  readonly strangersMax: number
  /** Members that are connected to this node at a time. Default 128. */
  readonly membersMax: number
  /**
   * Bytes that wait to be taken by one connection's socket. From there on Raft messages are dropped
   * and requests refused; at four times as much the connection is closed. Default 32 MiB.
   */
  readonly backlogBytesMax: number
  /** Requests that are not answered, on one connection, in each direction. Default 1024. */
  readonly requestsMax: number
  /** Bytes of their payloads; one request always fits. Default 32 MiB. */
  readonly requestBytesMax: number
  /** A connection on which nothing came for so long is asked for a sign of life. Default 1000. */
  readonly pingIntervalMs: number
  /** Pings in a row without anything coming, before a connection counts as dead. Default 5. */
  readonly silentPingsMax: number
  /** The first wait before a connection is tried again; doubles with each. Default 50. */
  readonly reconnectMsMin: number
  /** The longest such wait. Default 2000. */
  readonly reconnectMsMax: number
}

const MIB = 1024 * 1024

export const TRANSPORT_LIMITS: TransportLimits = {
  handshakeTimeoutMs: 5000,
  strangersMax: 256,
  membersMax: 128,
  backlogBytesMax: 32 * MIB,
  requestsMax: 1024,
  requestBytesMax: 32 * MIB,
  pingIntervalMs: 1000,
  silentPingsMax: 5,
  reconnectMsMin: 50,
  reconnectMsMax: 2000,
}

/** @throws INVALID_REQUEST naming the option and its value */
export function checkTransportOptions({ clusterId, nodeId }: TransportOptions): void {
  if (!isUuid(clusterId)) throw invalidRequest(`clusterId must be a UUID, not ${show(clusterId)}`)
  checkNodeId(nodeId)
}

/** @throws INVALID_REQUEST */
export function checkNodeId(nodeId: number): void {
  if (!Number.isInteger(nodeId) || nodeId < 1 || nodeId > NODE_ID_MAX) {
    throw invalidRequest(`nodeId must be an integer from 1 to ${NODE_ID_MAX}, not ${show(nodeId)}`)
  }
}
