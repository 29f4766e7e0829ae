/**
 * Requests that this node has sent over one connection and waits for. Each ends once: with the
 * answer, at its deadline, or with the connection; the error says whether it may have been done.
 */
import { MetastoreError } from '../../codec/errors.ts'
import { encodeRequest, type ResponseFrame } from '../../codec/request-format.ts'
import type { NetContext } from './context.ts'
import type { Due } from './deadlines.ts'
import type { Outbox, Sendable } from './outbox.ts'

const RETRY_AFTER_MS = 50

export class OutgoingRequests {
  readonly #peer: number
  readonly #context: NetContext
  readonly #outbox: Outbox
  readonly #waiting = new Map<number, OutgoingRequest>()
  #bytes = 0
  #nextId = 1

  constructor(peer: number, context: NetContext, outbox: Outbox) {
    this.#peer = peer
    this.#context = context
    this.#outbox = outbox
  }

  /** Rejects as Transport.request() says. */
  send(kind: number, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#checkRoom(payload.length)
      const id = this.#nextId
      const wholeMs = Math.max(0, Math.ceil(timeoutMs))
      const frame = encodeRequest({ id, kind, timeoutMs: wholeMs, payload })
      this.#nextId++
      const dueMs = this.#context.clock.nowMs() + timeoutMs
      const settle = (outcome: Uint8Array | MetastoreError): void => {
        if (!this.#waiting.delete(id)) return
        this.#bytes -= payload.length
        this.#context.deadlines.delete(request)
        if (outcome instanceof MetastoreError) reject(outcome)
        else resolve(outcome)
      }
      const what = `request ${kind} to node ${this.#peer}`
      const request = new OutgoingRequest(what, timeoutMs, dueMs, settle)
      this.#waiting.set(id, request)
      this.#bytes += payload.length
      this.#context.deadlines.add(request)
      this.#outbox.addFrame(frame, request)
    })
  }

  /** One that nobody waits for any more is let go. */
  answer({ id, answer }: ResponseFrame): void {
    this.#waiting.get(id)?.settle(answer)
  }

  /** The connection is of no use any more. */
  lose(): void {
    for (const request of [...this.#waiting.values()]) request.lose()
  }

  /** The transport is being closed. */
  close(): void {
    for (const request of [...this.#waiting.values()]) {
      request.settle(new MetastoreError('CLOSED', `${request.what}: the transport was closed`))
    }
  }

  #checkRoom(payloadBytes: number): void {
    const { requestsMax, requestBytesMax, backlogBytesMax } = this.#context.limits
    const count = this.#waiting.size
    if (count >= requestsMax) this.#overloaded(`${count} requests are not answered`)
    if (count > 0 && this.#bytes + payloadBytes > requestBytesMax) {
      this.#overloaded(`${this.#bytes} bytes of requests are not answered`)
    }
    const { backlogBytes } = this.#outbox
    if (backlogBytes >= backlogBytesMax) this.#overloaded(`${backlogBytes} bytes are not taken`)
  }

  #overloaded(why: string): never {
    throw new MetastoreError('OVERLOADED', `node ${this.#peer}: ${why}`, {
      details: { retryAfterMs: RETRY_AFTER_MS },
    })
  }
}

class OutgoingRequest implements Due, Sendable {
  readonly what: string
  readonly #timeoutMs: number
  readonly dueMs: number
  readonly #settle: (outcome: Uint8Array | MetastoreError) => void
  isSent = false
  isSettled = false

  constructor(
    what: string,
    timeoutMs: number,
    dueMs: number,
    settle: (outcome: Uint8Array | MetastoreError) => void,
  ) {
    this.what = what
    this.#timeoutMs = timeoutMs
    this.dueMs = dueMs
    this.#settle = settle
  }

  settle(outcome: Uint8Array | MetastoreError): void {
    this.isSettled = true
    this.#settle(outcome)
  }

  expire(): void {
    this.#fail(`was not answered within ${this.#timeoutMs} ms`)
  }

  lose(): void {
    this.#fail('was not answered before the connection ended')
  }

  #fail(why: string): void {
    const error = this.isSent
      ? new MetastoreError('INDETERMINATE', `${this.what} was sent and ${why}`)
      : new MetastoreError('UNAVAILABLE', `${this.what} was not sent, and ${why}`)
    this.settle(error)
  }
}
