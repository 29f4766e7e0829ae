/**
 * The other members of the cluster, as this node's callers need them: who leads a domain, calls to
 * it, and the confirmation that a linearizable read asks for. And the other side of it: what
 * members ask of this node. Main thread.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteReader, ByteWriter } from '../../codec/bytes.ts'
import { MetastoreError } from '../../codec/errors.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { IncomingRequest } from '../net/incoming-requests.ts'
import type { PeerTransport } from '../net/transport.ts'
import type { RaftNode } from '../replication/raft-node.ts'
import type { Replica } from '../replication/replica.ts'
import { type KnownMembers, type Member, type MemberList, parseMembers } from './member-book.ts'
import {
  ADMIN_OPERATIONS,
  type Administer,
  type AdminOperation,
  MEMBER_REQUEST,
} from './member-requests.ts'
import { initialConfiguration } from './placement.ts'

/** Milliseconds from a call to its refusal, when nobody leads the domain or answers. */
const CALL_TIMEOUT_MS = 10_000
/** The same for the confirmation of a read, before whoever leads is asked for the read itself. */
const CONFIRM_HERE_MS = 3_000
/** Between two looks for a leader that is not known or not ready. */
const LOOK_MS = 10
/** Looks after which a call pauses and asks somebody else, whatever it was told. */
const HINTS_IN_A_ROW = 3
/** A change of members moves no rows but what is in the log: tables are in the bucket. */
const CHANGE_TIMEOUT_MS = 300_000
const PLACE_LOOK_MS = 50

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export interface MembersOptions {
  readonly nodeId: number
  readonly transport: Pick<PeerTransport, 'setPeers' | 'request'>
  readonly node: RaftNode
  readonly domains: readonly DomainHandle[]
  readonly replicas: readonly Replica[]
  readonly book: KnownMembers
  readonly administer: Administer
}

/** One call, at this node or at another one that leads. */
interface Ways<T> {
  readonly here: () => Promise<T>
  readonly there: (leader: number, timeoutMs: number) => Promise<T>
}

export class Members {
  readonly #options: MembersOptions
  #isClosed = false

  constructor(options: MembersOptions) {
    this.#options = options
  }

  close(): void {
    this.#isClosed = true
  }

  /** Whether this node leads the domain and is ready for writes. */
  isLeading(domain: number): boolean {
    return this.#options.replicas[domain].isLeading
  }

  /**
   * Whether this node's replica has everything that was acknowledged before the call. False when it
   * has no replica, or the leader that it knows does not confirm it: a node that was removed from
   * the group may not have heard of that, nor of later leaders. Then whoever leads must be asked.
   */
  async isConfirmedHere(domain: number): Promise<boolean> {
    const { node } = this.#options
    if (!node.isMember(domain) || node.leader(domain) === 0) return false
    try {
      await this.confirmed(domain, CONFIRM_HERE_MS)
      return true
    } catch (error) {
      if (error instanceof MetastoreError && error.code === 'UNAVAILABLE') return false
      throw error
    }
  }

  /**
   * Resolves when this node's replica has everything that was acknowledged before the call.
   * Rejects with UNAVAILABLE when the leader does not confirm it in time.
   */
  async confirmed(domain: number, timeoutMs: number = CALL_TIMEOUT_MS): Promise<void> {
    const { node, domains } = this.#options
    if (node.isAlone(domain)) return
    const endsAt = performance.now() + timeoutMs
    const index = await within(node.readIndex(domain), domain, timeoutMs)
    const { progress } = domains[domain]
    if (index <= progress.index) return
    await within(progress.reached(index), domain, endsAt - performance.now())
  }

  /** Finds the leader and calls it, again and again until the deadline. */
  async call<T>(domain: number, isRepeatable: boolean, ways: Ways<T>): Promise<T> {
    const { nodeId, node } = this.#options
    const deadline = performance.now() + CALL_TIMEOUT_MS
    let reason: MetastoreError | undefined
    let guess = 0
    let hint = 0
    /** Whom this node takes for the leader may say that it is not. */
    let denied = 0
    for (let looks = 1; ; looks++) {
      const timeoutMs = deadline - performance.now()
      if (timeoutMs <= 0 || this.#isClosed) throw reason ?? this.#noLeader(domain)
      const known = node.leader(domain)
      const leader = hint || (known === denied ? 0 : known) || guess
      hint = 0
      try {
        if (this.isLeading(domain)) return await ways.here()
        if (leader !== 0 && leader !== nodeId) return await ways.there(leader, timeoutMs)
      } catch (error) {
        if (!(error instanceof MetastoreError) || !mayRepeat(error, isRepeatable)) throw error
        reason = error
        hint = hintOf(error)
        denied = leader
      }
      // Who was asked may know better than this node; but two may also hint at each other.
      const isNew = hint !== 0 && hint !== leader && looks % HINTS_IN_A_ROW !== 0
      if (!isNew) {
        hint = 0
        guess = this.#someone(domain, leader)
      }
      if (!isNew) await sleep(LOOK_MS)
    }
  }

  /**
   * Who may know the domain's leader: a voter, as far as this node knows them, or any member, since
   * all voters that it knows may have been replaced. Chance, so that calls which wait together do
   * not ask the same one for ever.
   */
  #someone(domain: number, besides: number): number {
    const { node, book, nodeId } = this.#options
    const voter = node.someMember(domain, besides)
    if (voter !== 0 && Math.random() < 0.5) return voter
    const others = book.list.members.filter(member => member.nodeId !== nodeId)
    if (others.length === 0) return voter
    return others[Math.floor(Math.random() * others.length)].nodeId
  }

  /** Has an operation carried out by the node that leads the domain. */
  async administer(
    operation: AdminOperation,
    domain: number,
    args: readonly number[],
  ): Promise<unknown> {
    return await this.call<unknown>(domain, false, {
      here: () => this.#options.administer(operation, domain, args),
      there: async (leader, timeoutMs) => {
        const out = new ByteWriter(16).varint(domain)
        out.u8(ADMIN_OPERATIONS.indexOf(operation)).raw(encoder.encode(JSON.stringify(args)))
        const answer = await this.ask(leader, MEMBER_REQUEST.admin, out.take(), timeoutMs)
        return JSON.parse(decoder.decode(answer)) as unknown
      },
    })
  }

  /** A request to a member; rejects as Transport.request(). */
  ask(member: number, kind: number, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return this.#options.transport.request(member, kind, payload, Math.ceil(timeoutMs))
  }

  #noLeader(domain: number): MetastoreError {
    return new MetastoreError(
      'UNAVAILABLE',
      `metastore partition ${domain} has no leader that this node knows; nothing was written`,
    )
  }

  // -------------------------------------------------------------- who the members are

  /** Connects to the others. */
  start(): void {
    this.#options.transport.setPeers(this.#options.book.addresses)
  }

  onLink(peer: number, isUp: boolean): void {
    if (isUp) void this.#compareLists(peer)
    else this.#options.node.unreachable(peer)
  }

  /** Two members that meet both have the newer list afterwards. */
  async #compareLists(peer: number): Promise<void> {
    const payload = encoder.encode(JSON.stringify(this.#options.book.list))
    try {
      const answer = await this.ask(peer, MEMBER_REQUEST.members, payload, CALL_TIMEOUT_MS)
      await this.#adopt(parseMembers(decoder.decode(answer), `list of node ${peer}`))
    } catch {
      // The next time they meet.
    }
  }

  async #adopt(list: MemberList): Promise<void> {
    const { book, transport } = this.#options
    if ((await book.adopt(list)) && !this.#isClosed) transport.setPeers(book.addresses)
  }

  /**
   * Adds and removes members: those that come are told to all first, then every group goes to the
   * voters that its placement over the new members names, and last those that leave are forgotten.
   * Broken off, it can be called again.
   */
  async change(
    added: readonly Member[],
    removed: readonly number[],
    replicationFactor: number,
  ): Promise<void> {
    const { book, domains } = this.#options
    const deadline = performance.now() + CHANGE_TIMEOUT_MS
    const known = book.list.members.filter(
      ({ nodeId }) => !added.some(member => member.nodeId === nodeId),
    )
    await this.#announce([...known, ...added])
    const left = book.list.members.filter(({ nodeId }) => !removed.includes(nodeId))
    const ids = left.map(({ nodeId }) => nodeId)
    const factor = Math.min(replicationFactor, ids.length)
    await Promise.all(
      domains.map(async ({ number }) => {
        const { voters } = initialConfiguration(number, ids, factor)
        while ((await this.administer('place', number, voters)) !== true) {
          if (performance.now() > deadline || this.#isClosed) throw notMoved(number, voters)
          await sleep(PLACE_LOOK_MS)
        }
      }),
    )
    if (removed.length > 0) await this.#announce(left)
  }

  /** A new list, for this node and all that it reaches; others hear of it when they meet one. */
  async #announce(members: readonly Member[]): Promise<void> {
    const { book, nodeId } = this.#options
    const sorted = [...members].sort((a, b) => a.nodeId - b.nodeId)
    const before = book.list.members
    await this.#adopt({ change: book.list.change + 1, members: sorted })
    const peers = [...before, ...sorted].map(member => member.nodeId).filter(id => id !== nodeId)
    await Promise.all([...new Set(peers)].map(peer => this.#compareLists(peer)))
  }

  // -------------------------------------------------------------- what others ask

  answer(request: IncomingRequest): void {
    this.#answerTo(request).then(
      answer => this.#respond(request, answer),
      (error: unknown) => request.respond(asMetastoreError(error)),
    )
  }

  #respond(request: IncomingRequest, answer: Uint8Array): void {
    try {
      request.respond(answer)
    } catch (error) {
      request.respond(asMetastoreError(error))
    }
  }

  async #answerTo({ kind, payload }: IncomingRequest): Promise<Uint8Array> {
    const { domains, node, administer } = this.#options
    if (kind === MEMBER_REQUEST.members) {
      await this.#adopt(parseMembers(decoder.decode(payload), 'list of a member'))
      return encoder.encode(JSON.stringify(this.#options.book.list))
    }
    const reader = new ByteReader(payload, 'request of a member')
    const number = reader.varint()
    const domain = domains.at(number)
    if (domain === undefined) {
      throw new MetastoreError('INVALID_REQUEST', `there is no metastore partition ${number}`)
    }
    if (!this.isLeading(number)) {
      throw new MetastoreError(
        'UNAVAILABLE',
        `metastore partition ${number} is not led by this node; nothing was written`,
        { details: { leader: node.leader(number) } },
      )
    }
    switch (kind) {
      case MEMBER_REQUEST.write:
        return domain.write(
          out => out.raw(reader.raw(reader.remaining)),
          answer => answer.raw(answer.remaining).slice(),
        )
      case MEMBER_REQUEST.read:
        if (reader.u8() === 1) await this.confirmed(number)
        return domain.readEncoded(reader.raw(reader.remaining))
      case MEMBER_REQUEST.admin: {
        const operation = ADMIN_OPERATIONS[reader.u8()]
        const args = JSON.parse(decoder.decode(reader.raw(reader.remaining))) as unknown
        if (operation === undefined || !Array.isArray(args) || !args.every(Number.isSafeInteger)) {
          throw new MetastoreError('INVALID_REQUEST', 'an operation that is not known')
        }
        const result = await administer(operation, number, args as number[])
        return encoder.encode(JSON.stringify(result ?? null))
      }
      default:
        throw new MetastoreError('INVALID_REQUEST', `request kind ${kind} is not known`)
    }
  }
}

/** Nothing has come of it, or it may be done twice. */
function mayRepeat({ code }: MetastoreError, isRepeatable: boolean): boolean {
  return code === 'UNAVAILABLE' || (code === 'INDETERMINATE' && isRepeatable)
}

function hintOf({ details }: MetastoreError): number {
  const leader = (details as { leader?: unknown } | undefined)?.leader
  return typeof leader === 'number' ? leader : 0
}

function asMetastoreError(error: unknown): MetastoreError {
  if (error instanceof MetastoreError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new MetastoreError('UNAVAILABLE', `this node could not answer: ${message}`)
}

function notMoved(domain: number, voters: readonly number[]): MetastoreError {
  return new MetastoreError(
    'UNAVAILABLE',
    `metastore partition ${domain} did not come to the voters ${voters} in time; call it again`,
  )
}

/** @throws UNAVAILABLE when it takes longer than a call may */
async function within<T>(work: Promise<T>, domain: number, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `the leader of metastore partition ${domain} did not confirm a read in time`
      reject(new MetastoreError('UNAVAILABLE', message))
    }, timeoutMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
