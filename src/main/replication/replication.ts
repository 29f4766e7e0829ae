/**
 * A node's part in replication, put together: its log on disk, the Raft groups over it, a replica
 * for each domain, and in a cluster of several the connections to the other members.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterFile } from '../../codec/cluster-file.ts'
import { invalidRequest, MetastoreError } from '../../codec/errors.ts'
import type { NetworkStatus } from '../../shared/api.ts'
import { BringIn } from '../cluster/bring-in.ts'
import { LeaderBalance } from '../cluster/leader-balance.ts'
import { type KnownMembers, MemberBook } from '../cluster/member-book.ts'
import type { Administer } from '../cluster/member-requests.ts'
import { Members } from '../cluster/members.ts'
import { initialConfiguration } from '../cluster/placement.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { DiskLog } from '../log/disk-log.ts'
import type { TransportHandlers } from '../net/context.ts'
import { type PeerTransport, Transport } from '../net/transport.ts'
import type { CheckedOptions } from '../options.ts'
import { type ConfState, EMPTY_CONF_STATE, isOnlyVoter } from '../raft/configuration.ts'
import type { DataDir } from '../recovery/data-dir.ts'
import { type RecoveredGroup, recoverGroups } from '../recovery/recover-groups.ts'
import { GroupLog } from './group-log.ts'
import { RaftNode } from './raft-node.ts'
import { Replica } from './replica.ts'

/** The node's id in a cluster of one, and its times: nobody competes with it. */
const SOLO = { nodeId: 1, electionTimeoutMs: 1000, heartbeatIntervalMs: 100 } as const

/** Until a node that replays is asked again whether it is ready to lead. */
const READY_LOOK_MS = 20

/** Between two looks for a voter that is well, of a node that leaves. */
const LEAVE_LOOK_MS = 5

export interface ReplicationOptions {
  readonly options: CheckedOptions
  readonly cluster: ClusterFile
  readonly dataDir: Pick<DataDir, 'path' | 'readNode'>
  readonly disk: DiskLog
  readonly domains: readonly DomainHandle[]
  /** This node leads the domain from now on, or does no more. */
  readonly onLeading: (domain: DomainHandle, isLeading: boolean) => void
  /** The domain is about to be handed over: what this node does as its leader must end. */
  readonly beforeHandOver: (domain: DomainHandle) => void
  readonly administer: Administer
  /** What a simulation has instead of sockets and of members.json. */
  readonly world?: {
    readonly listen: (handlers: TransportHandlers) => PeerTransport
    readonly book: KnownMembers
  }
  /** The node cannot go on. */
  readonly onFailure: (error: unknown) => void
}

export class Replication {
  readonly nodeId: number
  readonly node: RaftNode
  /** Undefined in a cluster of one. */
  readonly members: Members | undefined
  readonly #options: ReplicationOptions
  readonly #groups: readonly RecoveredGroup[]
  readonly #replicas: readonly Replica[]
  readonly #transport: PeerTransport | undefined
  readonly #balance: LeaderBalance | undefined
  #bringIn: BringIn | undefined
  readonly #electionTimeoutMs: number
  #leadingWaiters: (() => void)[] = []
  #failure: Error | undefined

  private constructor(
    options: ReplicationOptions,
    groups: readonly RecoveredGroup[],
    transport: PeerTransport | undefined,
    book: KnownMembers,
  ) {
    this.#options = options
    this.#groups = groups
    this.#transport = transport
    const { domains, disk } = options
    const { cluster } = options.options
    const { nodeId, electionTimeoutMs, heartbeatIntervalMs } = cluster ?? SOLO
    this.nodeId = nodeId
    this.#electionTimeoutMs = electionTimeoutMs
    const logs = groups.map((start, group) => new GroupLog(disk, group, start, groups.length))
    this.#replicas = domains.map((domain, group) => this.#replicaOf(domain, logs[group]))
    this.node = new RaftNode({
      ...{ nodeId, disk, logs, owners: this.#replicas },
      tickMs: heartbeatIntervalMs,
      electionTicks: electionTicksOf(electionTimeoutMs, heartbeatIntervalMs),
      hasLeases: cluster?.readLeases ?? false,
      random: below => Math.floor(Math.random() * below),
      now: () => performance.now(),
      send: (group, message) => transport?.send(group, message),
      onFailure: options.onFailure,
    })
    for (const domain of domains) domain.log = this.node
    if (transport === undefined || cluster === undefined) return
    const { node } = this
    for (const domain of domains) {
      const { number } = domain
      domain.confirm = () => (node.isAlone(number) ? undefined : node.readIndex(number))
    }
    this.members = new Members({
      ...{ nodeId, transport, node, domains, replicas: this.#replicas, book },
      administer: options.administer,
    })
    this.#balance = new LeaderBalance({
      ...{ nodeId, node, transport, groups: domains.length },
      isLeading: group => this.#replicas[group].isLeading,
      isReady: (group, target) => this.#isReady(group, target),
      handOver: (group, target) => this.handOver(group, target),
      // Not a multiple: a leader forgets who is active once an election timeout, and a look that
      // always comes just then would never find anybody well.
      intervalMs: 4 * electionTimeoutMs + heartbeatIntervalMs,
    })
  }

  /** Recovers the groups from the log and listens; nothing happens before start(). */
  static async open(options: ReplicationOptions): Promise<Replication> {
    const { cluster } = options.options
    const { dataDir, disk, domains } = options
    const nodeId = cluster?.nodeId ?? SOLO.nodeId
    const initial = await initialConfigurations(options)
    const groups = await recoverGroups(disk, nodeId, domains.length, initial)
    const { world } = options
    const book = world?.book ?? (await MemberBook.open(dataDir.path, cluster?.members ?? []))
    let replication: Replication | undefined
    const handlers: TransportHandlers = {
      onMessages: (_, messages) => replication?.node.receiveAll(messages),
      onRequest: request => {
        if (replication?.members !== undefined) replication.members.answer(request)
        else request.respond(new MetastoreError('UNAVAILABLE', 'this node is not open yet'))
      },
      onLink: (peer, isUp) => replication?.members?.onLink(peer, isUp),
    }
    const { clusterId } = options.cluster
    const { logger } = options.options
    const transport =
      cluster &&
      (world?.listen(handlers) ??
        (await Transport.listen({ ...cluster, clusterId, logger }, handlers)))
    replication = new Replication(options, groups, transport, book)
    return replication
  }

  /**
   * Takes part. Resolves when this node's replicas have what is known to be committed, and it leads
   * the domains of which it is the only voter.
   */
  async start(): Promise<void> {
    const { domains } = this.#options
    const alone = this.#groups.flatMap(({ isAlone }, group) => (isAlone ? [group] : []))
    this.node.start(alone)
    this.members?.start()
    this.#balance?.start()
    await Promise.all([
      ...alone.map(group => this.#leads(group)),
      ...this.#groups.map(({ commit }, group) => domains[group].progress.reached(commit)),
    ])
    this.#bringInOthers()
  }

  /** What the node of a restored cluster that is alone has still to do. */
  #bringInOthers(): void {
    const { cluster, options } = this.#options
    const { members } = this
    const factor = options.cluster?.replicationFactor ?? 1
    const isOnlyFounder = String(cluster.founders) === String(this.nodeId)
    if (members === undefined || this.#transport === undefined || !isOnlyFounder) return
    const others = members.list.filter(({ nodeId }) => nodeId !== this.nodeId)
    const isAlone = this.#options.domains.some(({ number }) => {
      return isOnlyVoter(this.node.status(number).configuration, this.nodeId)
    })
    if (others.length === 0 || factor === 1 || !isAlone) return
    this.#bringIn = new BringIn({
      ...{ others, replicationFactor: factor, transport: this.#transport },
      change: (added, removed, replicationFactor) =>
        members.change(added, removed, replicationFactor),
      logger: options.logger,
    })
    this.#bringIn.start()
  }

  networkStatus(): { network: NetworkStatus } | undefined {
    const network = this.#transport?.counters?.()
    return network && { network }
  }

  isLeading(domain: number): boolean {
    return this.#replicas[domain].isLeading
  }

  #replicaOf(domain: DomainHandle, log: GroupLog): Replica {
    const group = domain.number
    const options = {
      ...{ domain, log },
      patienceMs: 2 * this.#electionTimeoutMs,
      onLeading: (isLeading: boolean) => this.#onLeading(domain, isLeading),
      onCovered: (index: number) => this.node.cut(group, index),
      onCaughtUp: () => this.node.resume(group),
      onFailure: this.#options.onFailure,
    }
    const replica = new Replica(options, this.#groups[group].manifest)
    domain.onLost = () => replica.onRefused()
    return replica
  }

  #onLeading(domain: DomainHandle, isLeading: boolean): void {
    this.#options.onLeading(domain, isLeading)
    for (const wake of this.#leadingWaiters.splice(0)) wake()
  }

  /** Resolves when this node leads the domain. */
  async #leads(domain: number): Promise<void> {
    while (!this.isLeading(domain)) {
      if (this.#failure !== undefined) throw this.#failure
      await new Promise<void>(resolve => this.#leadingWaiters.push(resolve))
    }
  }

  /**
   * Hands a domain that this node leads over to another voter, between two writes, so that none is
   * refused on its way to the log.
   * @throws INVALID_REQUEST for a node that is no voter; UNAVAILABLE when it does not take over
   */
  async handOver(
    domain: number,
    target: number,
    timeoutMs: number = 2 * this.#electionTimeoutMs,
  ): Promise<void> {
    const { node } = this
    if (node.leader(domain) === target) return
    const { voters } = node.status(domain).configuration
    if (!voters.includes(target)) {
      throw invalidRequest(
        `toNodeId is ${target}; the voters of metastore partition ${domain} are ${voters}`,
      )
    }
    const handle = this.#options.domains[domain]
    const deadline = performance.now() + timeoutMs
    const isInTime = (): boolean => performance.now() < deadline && this.#failure === undefined
    // One that replays would lead, and refuse every write until it is done.
    while (!(await this.#isReady(domain, target))) {
      if (!isInTime()) throw notTakenOver(domain, target, timeoutMs, 'it is not ready to lead')
      await sleep(READY_LOOK_MS)
    }
    this.#options.beforeHandOver(handle)
    handle.pauseWrites()
    try {
      while (!handle.isIdle && isInTime()) await sleep(1)
      if (handle.isIdle) node.transferLeadership(domain, target)
      while (node.isLeader(domain) && isInTime()) await sleep(2)
    } finally {
      handle.resumeWrites()
      if (this.isLeading(domain)) this.#options.onLeading(handle, true)
    }
    while (node.leader(domain) !== target && isInTime()) await sleep(2)
    if (node.leader(domain) === target) return
    throw notTakenOver(domain, target, timeoutMs, 'it was not elected')
  }

  async #isReady(domain: number, target: number): Promise<boolean> {
    return this.members === undefined || (await this.members.isReady(target, domain))
  }

  /**
   * Before it closes, the node hands over what it leads to voters that are well, so that nobody has
   * to wait for an election. Takes no longer than an election does.
   */
  async leave(): Promise<void> {
    const led = this.#options.domains.filter(({ number }) => this.isLeading(number))
    await Promise.all(led.map(({ number }) => this.#handOverToAnyone(number)))
  }

  async #handOverToAnyone(domain: number): Promise<void> {
    const endsAt = performance.now() + this.#electionTimeoutMs
    let target = await this.#readyVoter(domain)
    // Once an election timeout a leader forgets who is active, until they answer a heartbeat.
    while (target === undefined && performance.now() < endsAt) {
      if (this.#reachableVoters(domain).length === 0) return
      await sleep(LEAVE_LOOK_MS)
      if (!this.isLeading(domain)) return
      target = await this.#readyVoter(domain)
    }
    if (target === undefined) return
    try {
      await this.handOver(domain, target, Math.max(1, endsAt - performance.now()))
    } catch {
      // Then they elect somebody.
    }
  }

  /** Another voter that is active, has everything, and could lead at once. */
  async #readyVoter(domain: number): Promise<number | undefined> {
    const { progress, commit } = this.node.status(domain)
    const well = this.#reachableVoters(domain).filter(voter => {
      const known = progress.get(voter)
      return known?.isActive === true && known.match >= commit
    })
    const ready = await Promise.all(well.map(voter => this.#isReady(domain, voter)))
    return well.find((_, i) => ready[i])
  }

  #reachableVoters(domain: number): number[] {
    const { voters } = this.node.status(domain).configuration
    const isReachable = (voter: number): boolean => this.#transport?.isReachable(voter) === true
    return voters.filter(voter => voter !== this.nodeId && isReachable(voter))
  }

  /**
   * Whoever waits for this node is refused; nothing more is handed to the workers, and the others
   * can elect somebody in its place.
   */
  fail(error: Error): void {
    this.#failure ??= error
    this.#balance?.close()
    this.#bringIn?.close()
    this.members?.close()
    this.node.stop(error)
    for (const wake of this.#leadingWaiters.splice(0)) wake()
  }

  /** What was proposed is made durable; then the log, the connections and all timers are gone. */
  async close(): Promise<void> {
    this.fail(new MetastoreError('CLOSED', 'the metastore is closed'))
    for (const replica of this.#replicas) replica.close()
    await Promise.all([this.#transport?.close(), this.node.close()])
  }
}

function notTakenOver(
  domain: number,
  target: number,
  timeoutMs: number,
  why: string,
): MetastoreError {
  const place = `metastore partition ${domain}`
  const message = `node ${target} has not taken over ${place} within ${timeoutMs} ms: ${why}`
  return new MetastoreError('UNAVAILABLE', message)
}

/**
 * What groups begin with on this node: what the founders did. Who comes later may get the log from
 * its first entry on, which says nothing of them. But a founder that comes with an empty disk has
 * forgotten what it voted for, and is not to take itself for a voter before it is told.
 */
async function initialConfigurations({
  options,
  cluster: { founders },
  dataDir,
}: ReplicationOptions): Promise<(group: number) => ConfState> {
  const { cluster } = options
  if (cluster === undefined) return () => ({ ...EMPTY_CONF_STATE, voters: [SOLO.nodeId] })
  const node = await dataDir.readNode()
  const hasForgotten = node?.isFounder !== true && founders?.includes(cluster.nodeId) === true
  if (founders === undefined || hasForgotten) return () => EMPTY_CONF_STATE
  const factor = Math.min(cluster.replicationFactor, founders.length)
  return group => initialConfiguration(group, founders, factor)
}

/**
 * A follower waits for one to two times as many ticks before it stands for election. A fifth less
 * than the timeout leaves the election itself, and the first commit after it, within two timeouts.
 */
function electionTicksOf(electionTimeoutMs: number, heartbeatIntervalMs: number): number {
  return Math.max(2, Math.floor((0.8 * electionTimeoutMs) / heartbeatIntervalMs))
}
