/**
 * The other members of the cluster, as this node's callers need them: who leads a domain, calls to
 * it, and the confirmation that a linearizable read asks for. And the other side of it: what
 * members ask of this node. Main thread.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteReader, ByteWriter } from '../../codec/bytes.ts'
import { MetastoreError } from '../../codec/errors.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { IncomingRequest } from '../net/context.ts'
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

const CALL_TIMEOUT_MS = 10_000
/** The share of a call's time that a member of the group waits to hear of a leader by itself. */
const GUESS_AFTER = 0.5
/** Milliseconds for one who may lead, or not, to answer what may be asked elsewhere as well. */
const GUESS_MS = 1_000
/** How long a read waits for its confirmation here before whoever leads is asked for it. */
const CONFIRM_MS = 3_000
/** Between two looks for a leader that is not known or not ready. */
const LOOK_MS = 10
/** A change of members moves no rows but what is in the log: tables are in the bucket. */
const CHANGE_TIMEOUT_MS = 300_000
const PLACE_LOOK_MS = 50

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const CONFIRMED: Promise<void> = Promise.resolve()

export interface MembersOptions {
  readonly nodeId: number
  readonly transport: PeerTransport
  readonly node: RaftNode
  readonly domains: readonly DomainHandle[]
  readonly replicas: readonly Replica[]
  readonly book: KnownMembers
  readonly administer: Administer
  /** Milliseconds from a call to its refusal, when nobody leads the domain or answers. */
  readonly callTimeoutMs?: number
}

/** One call, at this node or at another one that leads. */
interface Ways<T> {
  readonly here: () => Promise<T>
  readonly there: (leader: number, timeoutMs: number) => Promise<T>
}

interface Confirmation {
  readonly asked: Promise<number>
  readonly done: Promise<void>
}

export class Members {
  readonly #options: MembersOptions
  /** By domain: who answered last. For domains of which this node has no replica. */
  readonly #found: number[] = []
  /** The newest of each domain: reads that share a question wait for it together. */
  readonly #confirmations = new Map<number, Confirmation>()
  #callsUnderWay = 0
  #isClosed = false

  constructor(options: MembersOptions) {
    this.#options = options
  }

  /** Calls end with the attempt under way, and others are told to ask elsewhere. */
  close(): void {
    this.#isClosed = true
  }

  /** Whether no call of this node waits for its answer. */
  get isIdle(): boolean {
    return this.#callsUnderWay === 0
  }

  /** Whether this node leads the domain and is ready for writes. */
  isLeading(domain: number): boolean {
    return this.#options.replicas[domain].isLeading
  }

  /**
   * Whether this node can answer a linearizable read itself: it has the domain's rows, and the
   * leader that it knows confirms that they are the newest. One that was removed from the group may
   * not know that; nobody confirms it anything.
   */
  async isConfirmedHere(domain: number): Promise<boolean> {
    const { node } = this.#options
    if (!node.isMember(domain) || node.leader(domain) === 0) return false
    try {
      await this.confirmed(domain)
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
  confirmed(domain: number): Promise<void> {
    const { node } = this.#options
    if (node.isAlone(domain)) return CONFIRMED
    const asked = node.readIndex(domain)
    let confirmation = this.#confirmations.get(domain)
    if (confirmation?.asked !== asked) {
      confirmation = { asked, done: this.#confirm(asked, domain) }
      this.#confirmations.set(domain, confirmation)
    }
    return confirmation.done
  }

  async #confirm(asked: Promise<number>, domain: number): Promise<void> {
    const endsAt = performance.now() + CONFIRM_MS
    const index = await within(asked, domain, CONFIRM_MS)
    const { progress } = this.#options.domains[domain]
    if (index > progress.index)
      await within(progress.reached(index), domain, endsAt - performance.now())
  }

  /**
   * Finds the leader and calls it, again and again until the deadline. Between two attempts the
   * event loop has its turn; only where one that was asked names the leader, that one is asked at
   * once. Rejects with what the last attempt failed with; if one may have been carried out, with
   * that one's INDETERMINATE.
   */
  async call<T>(domain: number, isRepeatable: boolean, ways: Ways<T>): Promise<T> {
    this.#callsUnderWay++
    try {
      return await this.#call(domain, isRepeatable, ways)
    } finally {
      this.#callsUnderWay--
    }
  }

  async #call<T>(domain: number, isRepeatable: boolean, ways: Ways<T>): Promise<T> {
    const { nodeId, node, callTimeoutMs = CALL_TIMEOUT_MS } = this.#options
    const deadline = performance.now() + callTimeoutMs
    // Who takes part in the group hears of its next leader; a guess may be one that hangs. What
    // may be asked twice is asked elsewhere as well.
    const guessFrom = deadline - callTimeoutMs * (1 - GUESS_AFTER)
    let reason = this.#noLeader(domain)
    let hint = 0
    let isRedirected = false
    for (;;) {
      const isHere = this.isLeading(domain)
      const isLate = performance.now() >= guessFrom
      const isGuessing = isRepeatable || !node.isMember(domain) || isLate
      const found = isGuessing ? (this.#found[domain] ?? 0) : 0
      const target = isHere ? nodeId : hint || node.leader(domain) || found
      hint = 0
      try {
        if (isHere) return await ways.here()
        if (target !== 0 && target !== nodeId) {
          const leftMs = Math.max(1, deadline - performance.now())
          const isGuess = isRepeatable && target !== node.leader(domain)
          const timeoutMs = isGuess ? Math.min(leftMs, GUESS_MS) : leftMs
          const answer = await ways.there(target, timeoutMs)
          this.#found[domain] = target
          return answer
        }
      } catch (error) {
        if (!(error instanceof MetastoreError) || !mayRepeat(error, isRepeatable)) throw error
        if (reason.code !== 'INDETERMINATE') reason = error
        hint = hintOf(error)
        if (hint === target || hint === nodeId) hint = 0
      }
      if (this.#found[domain] === target) this.#found[domain] = 0
      if (performance.now() >= deadline || this.#isClosed) throw reason
      // This node is about to lead: nobody else knows better.
      if (node.leader(domain) === nodeId) hint = 0
      // Two that take each other for the leader must not be asked without a pause.
      isRedirected = hint !== 0 && !isRedirected
      if (isRedirected) continue
      await sleep(LOOK_MS)
      const leader = node.leader(domain)
      if (hint !== 0 || leader === nodeId) continue
      if (isGuessing && (leader === 0 || leader === target)) hint = this.#someone(domain, target)
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

  /** Whether a member could lead the domain and write at once; false when it does not answer. */
  async isReady(member: number, domain: number): Promise<boolean> {
    const payload = new ByteWriter(4).varint(domain).take()
    try {
      const answer = await this.ask(member, MEMBER_REQUEST.ready, payload, GUESS_MS)
      return answer[0] === 1
    } catch {
      return false
    }
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

  /** As this node knows them, itself included. */
  get list(): readonly Member[] {
    return this.#options.book.list.members
  }

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
    // Another change was made at the same time, elsewhere, and this one has given way.
    const isLost = added.some(({ nodeId }) => book.addresses.get(nodeId) === undefined)
    if (isLost) throw changedElsewhere()
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
    const { domains, node, replicas, administer } = this.#options
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
    if (kind === MEMBER_REQUEST.ready) return Uint8Array.of(replicas[number].isBehind ? 0 : 1)
    // What it has not been given yet it does not begin with.
    if (this.#isClosed || !this.isLeading(number)) {
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
        return domain.reads.readEncoded(reader.raw(reader.remaining))
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

/** As another node's caller can understand it: this node's end is not that of the metastore. */
function asMetastoreError(error: unknown): MetastoreError {
  if (!(error instanceof MetastoreError)) {
    const message = error instanceof Error ? error.message : String(error)
    return new MetastoreError('INDETERMINATE', `this node could not answer: ${message}`)
  }
  if (error.code !== 'CLOSED') return error
  return new MetastoreError('UNAVAILABLE', `this node is closing: ${error.message}`)
}

function notMoved(domain: number, voters: readonly number[]): MetastoreError {
  return new MetastoreError(
    'UNAVAILABLE',
    `metastore partition ${domain} did not come to the voters ${voters} in time; call it again`,
  )
}

function changedElsewhere(): MetastoreError {
  const message = 'the members were changed at another node at the same time; call it again'
  return new MetastoreError('UNAVAILABLE', message)
}

/** @throws UNAVAILABLE when it takes longer */
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
