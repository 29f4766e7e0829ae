/**
 * The other members of the cluster, as this node's callers need them: who leads a domain, calls to
 * it, and the confirmation that a linearizable read asks for. And the other side of it: what members
 * ask of this node. Main thread.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteReader, ByteWriter } from '../../codec/bytes.ts'
import { MetastoreError } from '../../codec/errors.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { IncomingRequest } from '../net/incoming-requests.ts'
import type { Transport } from '../net/transport.ts'
import type { RaftNode } from '../replication/raft-node.ts'
import type { Replica } from '../replication/replica.ts'
import { ADMIN_OPERATIONS, type AdminOperation, MEMBER_REQUEST } from './member-requests.ts'

/** Milliseconds from a call to its refusal, when nobody leads the domain or answers. */
const CALL_TIMEOUT_MS = 10_000
/** Between two looks for a leader that is not known or not ready. */
const LOOK_MS = 10
const CONFIRMED: Promise<void> = Promise.resolve()

export interface MembersOptions {
  readonly nodeId: number
  readonly transport: Transport
  readonly node: RaftNode
  readonly domains: readonly DomainHandle[]
  readonly replicas: readonly Replica[]
  /** Carries out an operation on a domain that this node leads. */
  readonly administer: (
    operation: AdminOperation,
    domain: number,
    argument: number,
  ) => Promise<unknown>
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
  /** The newest of each domain: reads that share a question wait for it together. */
  readonly #confirmations = new Map<number, Confirmation>()
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

  /** Whether this node has the domain's rows: as a voter or learner. */
  hasReplica(domain: number): boolean {
    return this.#options.node.isMember(domain)
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
    const index = await within(asked, domain)
    const { progress } = this.#options.domains[domain]
    if (index > progress.index) await within(progress.reached(index), domain)
  }

  /** Finds the leader and calls it, again and again until the deadline. */
  async call<T>(domain: number, isRepeatable: boolean, ways: Ways<T>): Promise<T> {
    const { nodeId, node } = this.#options
    const deadline = performance.now() + CALL_TIMEOUT_MS
    let guess = 0
    for (;;) {
      const timeoutMs = deadline - performance.now()
      const leader = node.leader(domain) || guess
      let reason: MetastoreError | undefined
      try {
        if (this.isLeading(domain)) return await ways.here()
        if (leader !== 0 && leader !== nodeId) return await ways.there(leader, timeoutMs)
      } catch (error) {
        if (!(error instanceof MetastoreError) || !mayRepeat(error, isRepeatable)) throw error
        reason = error
        guess = hintOf(error)
      }
      if (performance.now() >= deadline || this.#isClosed) throw reason ?? this.#noLeader(domain)
      const isLost = guess === 0
      if (isLost) guess = node.someMember(domain, leader)
      const next = node.leader(domain) || guess
      // This node may have been elected, and not be ready: that takes turns of the event loop.
      if (isLost || next === leader || next === nodeId) await sleep(LOOK_MS)
    }
  }

  /** Has an operation carried out by the node that leads the domain. */
  async administer(operation: AdminOperation, domain: number, argument: number): Promise<unknown> {
    return await this.call<unknown>(domain, false, {
      here: () => this.#options.administer(operation, domain, argument),
      there: async (leader, timeoutMs) => {
        const out = new ByteWriter(16).varint(domain)
        out.u8(ADMIN_OPERATIONS.indexOf(operation)).varint(argument)
        const answer = await this.ask(leader, MEMBER_REQUEST.admin, out.take(), timeoutMs)
        return JSON.parse(new TextDecoder().decode(answer)) as unknown
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
        const argument = reader.remaining > 0 ? reader.varint() : 0
        const result = await administer(operation, number, argument)
        return new TextEncoder().encode(JSON.stringify(result ?? null))
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

/** @throws UNAVAILABLE when it takes longer than a call may */
async function within<T>(work: Promise<T>, domain: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const message = `the leader of metastore partition ${domain} did not confirm a read in time`
      reject(new MetastoreError('UNAVAILABLE', message))
    }, CALL_TIMEOUT_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
