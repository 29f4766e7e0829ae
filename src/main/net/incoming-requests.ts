/** Requests that came over one connection and are not answered yet. */
import { MetastoreError } from '../../codec/errors.ts'
import { encodeResponse, type RequestFrame } from '../../codec/request-format.ts'
import type { NetContext } from './context.ts'
import type { Outbox } from './outbox.ts'

const RETRY_AFTER_MS = 50

export class IncomingRequests {
  readonly #peer: number
  readonly #context: NetContext
  readonly #outbox: Outbox
  #count = 0
  #bytes = 0
  #isEnded = false

  constructor(peer: number, context: NetContext, outbox: Outbox) {
    this.#peer = peer
    this.#context = context
    this.#outbox = outbox
  }

  /** Hands it over, or answers OVERLOADED when there are too many. */
  receive({ id, kind, timeoutMs, payload }: RequestFrame): void {
    if (!this.#hasRoom(payload.length)) {
      const answer = new MetastoreError('OVERLOADED', 'too many requests are not answered', {
        details: { retryAfterMs: RETRY_AFTER_MS },
      })
      this.#outbox.addFrame(encodeResponse({ id, answer }))
      return
    }
    this.#count++
    this.#bytes += payload.length
    let isAnswered = false
    const respond = (answer: Uint8Array | MetastoreError): void => {
      if (isAnswered || this.#isEnded) return
      const frame = encodeResponse({ id, answer })
      isAnswered = true
      this.#count--
      this.#bytes -= payload.length
      this.#outbox.addFrame(frame)
    }
    this.#context.handlers.onRequest({ peer: this.#peer, kind, payload, timeoutMs, respond })
  }

  /** Nobody waits for the answers any more. */
  end(): void {
    this.#isEnded = true
  }

  #hasRoom(payloadBytes: number): boolean {
    const { requestsMax, requestBytesMax, backlogBytesMax } = this.#context.limits
    return (
      this.#count < requestsMax &&
      (this.#count === 0 || this.#bytes + payloadBytes <= requestBytesMax) &&
      this.#outbox.backlogBytes < backlogBytesMax
    )
  }
}
