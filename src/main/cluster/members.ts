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

const CALL_TIMEOUT_MS = 10_000
/** Between two looks for a leader that is not known or not ready. */
const LOOK_MS = 10

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
  /** Milliseconds from a call to its refusal, when nobody leads the domain or answers. */
  readonly callTimeoutMs?: number
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

  /** Whether this node has the domain's rows: as a voter or learner. */
  hasReplica(domain: number): boolean {
    return this.#options.node.isMember(domain)
  }

  /**
   * Resolves when this node's replica has everything that was acknowledged before the call.
   * Rejects with UNAVAILABLE when the leader does not confirm it in time.
   */
  async confirmed(domain: number): Promise<void> {
    const { node, domains } = this.#options
    if (node.isAlone(domain)) return
    const index = await within(node.readIndex(domain), domain)
    const { progress } = domains[domain]
    if (index > progress.index) await within(progress.reached(index), domain)
  }

  /**
   * Finds the leader and calls it, again and again until the deadline. Then it rejects with what
   * the last attempt failed with; if one may have been carried out, with its INDETERMINATE.
   */
  async call<T>(domain: number, isRepeatable: boolean, ways: Ways<T>): Promise<T> {
    const { nodeId, node, callTimeoutMs = CALL_TIMEOUT_MS } = this.#options
    const deadline = performance.now() + callTimeoutMs
    let reason = this.#noLeader(domain)
    let hint = 0
    let guess = 0
    for (;;) {
      const timeoutMs = deadline - performance.now()
      if (timeoutMs <= 0 || this.#isClosed) throw reason
      const leader = hint || node.leader(domain) || guess
      let next = 0
      try {
        if (this.isLeading(domain)) return await ways.here()
        if (leader !== 0 && leader !== nodeId) return await ways.there(leader, timeoutMs)
      } catch (error) {
        if (!(error instanceof MetastoreError) || !mayRepeat(error, isRepeatable)) throw error
        if (reason.code !== 'INDETERMINATE') reason = error
        next = hintOf(error)
      }
      // Followed at once, but not two in a row: two members may each take the other for the leader.
      hint = hint === 0 && next !== leader ? next : 0
      if (hint === 0) {
        guess = node.someMember(domain, leader)
        await sleep(LOOK_MS)
      }
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

/** As another node's callers are to see it: that this node is closed says nothing of theirs. */
function asMetastoreError(error: unknown): MetastoreError {
  if (error instanceof MetastoreError) {
    if (error.code !== 'CLOSED') return error
    return new MetastoreError('UNAVAILABLE', 'the node that leads is closing; nothing was written')
  }
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
