/** ClusterOptions: which members a cluster has, and how this node talks to them. */
import { invalidRequest } from '../../codec/errors.ts'
import { NODE_ID_MAX } from '../../codec/handshake-format.ts'
import type { PeerAddress, TlsOptions } from '../net/options.ts'
import type { Member } from './member-book.ts'

export interface ClusterOptions {
  /** This node: 1 to 2^31 - 1, its own for ever. */
  nodeId: number
  /** Where this node listens for the others. */
  listen: { host: string; port: number }
  /**
   * The initial voters, this node included; at most 15. Of a node that is added later: whom it
   * shall meet first; such a node must be told the clusterId.
   */
  members: { nodeId: number; host: string; port: number }[]
  /** Voters of each metastore partition. Default min(3, members). */
  replicationFactor?: number
  /** PEM: mutual TLS between members. */
  tls?: { key: string; cert: string; ca: string }
  /** Shared secret; members prove it at connect, and it is never sent. */
  secret?: string
  /**
   * Within twice this a leader that is gone has a successor that takes writes: a follower that
   * hears nothing for 0.8 to 1.6 times as long stands for election. Default 1000.
   */
  electionTimeoutMs?: number
  /** Default 100; at most a third of electionTimeoutMs. */
  heartbeatIntervalMs?: number
  /**
   * Leaders answer linearizable reads without asking the others for most of an election timeout
   * after a majority has answered them. Needs the same times on all members, and clocks of which
   * none runs faster than another by more than 1 %. After a restart a node waits that long with
   * its vote. Default false.
   */
  readLeases?: boolean
}

export interface CheckedCluster {
  readonly nodeId: number
  readonly listen: PeerAddress
  /** Ascending by node id. */
  readonly members: readonly Member[]
  readonly replicationFactor: number
  readonly tls: TlsOptions | undefined
  readonly secret: string | undefined
  readonly electionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly readLeases: boolean
}

const KNOWN: ReadonlySet<string> = new Set<keyof ClusterOptions>([
  ...(['nodeId', 'listen', 'members', 'replicationFactor', 'tls', 'secret'] as const),
  ...(['electionTimeoutMs', 'heartbeatIntervalMs', 'readLeases'] as const),
])
const MEMBERS_MAX = 15
const TIMEOUT_MS_LEAST = 50
const TIMEOUT_MS_MOST = 600_000

/** @throws INVALID_REQUEST naming the field and its value */
export function checkCluster(cluster: ClusterOptions): CheckedCluster {
  if (typeof cluster !== 'object' || cluster === null) {
    throw invalidRequest(`cluster must be an object, not ${JSON.stringify(cluster)}`)
  }
  for (const [name, value] of Object.entries(cluster)) {
    if (KNOWN.has(name)) continue
    const is = JSON.stringify(value)
    throw invalidRequest(`cluster.${name} is not known to this version; it is ${is}`)
  }
  const { nodeId, secret, tls } = cluster
  integer(nodeId, 'cluster.nodeId', 1, NODE_ID_MAX)
  if (!Array.isArray(cluster.members) || cluster.members.length === 0) {
    throw invalidRequest('cluster.members must be an array with the initial voters')
  }
  integer(cluster.members.length, 'the number of cluster.members', 1, MEMBERS_MAX)
  const members = cluster.members
    .map((member, i) => {
      return checkMember(member, `cluster.members[${i}]`)
    })
    .sort((a, b) => a.nodeId - b.nodeId)
  for (const [i, member] of members.entries()) {
    if (member.nodeId === members.at(i + 1)?.nodeId) {
      throw invalidRequest(`cluster.members has node ${member.nodeId} twice`)
    }
  }
  const { readLeases = false } = cluster
  if (typeof readLeases !== 'boolean') {
    throw invalidRequest(`cluster.readLeases must be true or false, not ${String(readLeases)}`)
  }
  if (secret !== undefined && (typeof secret !== 'string' || secret === '')) {
    throw invalidRequest('cluster.secret must be a string that is not empty')
  }
  const electionTimeoutMs = integer(
    cluster.electionTimeoutMs ?? 1000,
    'cluster.electionTimeoutMs',
    TIMEOUT_MS_LEAST,
    TIMEOUT_MS_MOST,
  )
  return {
    nodeId,
    listen: address(cluster.listen, 'cluster.listen', 0),
    members,
    replicationFactor: integer(
      cluster.replicationFactor ?? Math.min(3, members.length),
      'cluster.replicationFactor',
      1,
      members.length,
    ),
    tls: tls === undefined ? undefined : checkTls(tls),
    secret,
    readLeases,
    electionTimeoutMs,
    heartbeatIntervalMs: integer(
      cluster.heartbeatIntervalMs ?? Math.min(100, Math.floor(electionTimeoutMs / 3)),
      'cluster.heartbeatIntervalMs',
      1,
      Math.floor(electionTimeoutMs / 3),
    ),
  }
}

/** A member that is to be added. @throws INVALID_REQUEST naming the field */
export function checkMember(member: Member, field: string): Member {
  integer(member?.nodeId, `${field}.nodeId`, 1, NODE_ID_MAX)
  return { nodeId: member.nodeId, ...address(member, field, 1) }
}

function checkTls(tls: TlsOptions): TlsOptions {
  for (const name of ['key', 'cert', 'ca'] as const) {
    if (typeof tls?.[name] !== 'string') {
      throw invalidRequest(`cluster.tls.${name} must be a PEM text`)
    }
  }
  return { key: tls.key, cert: tls.cert, ca: tls.ca }
}

function address(
  value: { host: string; port: number } | undefined,
  field: string,
  portLeast: number,
): PeerAddress {
  if (typeof value?.host !== 'string' || value.host === '') {
    throw invalidRequest(`${field}.host must be a name or address, not ${String(value?.host)}`)
  }
  return { host: value.host, port: integer(value.port, `${field}.port`, portLeast, 65_535) }
}

function integer(value: unknown, name: string, least: number, most: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    throw invalidRequest(
      `${name} must be an integer from ${least} to ${most}, not ${String(value)}`,
    )
  }
  return value as number
}
