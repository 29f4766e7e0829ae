/** Calls that wait for a worker's answer, by number. A settled call's number is used again. */
import type { ByteReader } from '../codec/bytes.ts'
import { MetastoreError } from '../codec/errors.ts'

export interface Call {
  resolve: (value: unknown) => void
  reject: (error: Error) => void
  /** Makes the result of an answer's bytes. */
  decode: (reader: ByteReader) => unknown
  /** Bytes of the request, which count against the limit of what is under way. */
  requestBytes: number
  isWrite: boolean
  /** Of a write: the leadership in which it was sent (domain-handle.ts). */
  leadership: number
  /** How often the worker had begun anew when it was sent. */
  life: number
}

export function newCall(
  resolve: (value: unknown) => void,
  reject: (error: Error) => void,
  decode: (reader: ByteReader) => unknown,
  isWrite: boolean,
): Call {
  return { resolve, reject, decode, requestBytes: 0, isWrite, leadership: 0, life: 0 }
}

export class Calls {
  /** Number 0 means "nobody waits". */
  readonly #calls: (Call | undefined)[] = [undefined]
  readonly #free: number[] = []
  count = 0

  add(call: Call): number {
    this.count++
    const number = this.#free.pop()
    if (number === undefined) return this.#calls.push(call) - 1
    this.#calls[number] = call
    return number
  }

  /** Takes a call out; its answer has come. */
  take(number: number): Call {
    const call = this.#calls[number]
    if (call === undefined) throw new Error(`call ${number} is not under way`)
    this.#calls[number] = undefined
    this.#free.push(number)
    this.count--
    return call
  }

  /** The metastore cannot go on: what became of writes under way is not known. */
  failAll(reason: MetastoreError): void {
    for (const [number, call] of this.#calls.entries()) {
      if (call !== undefined) this.take(number).reject(unanswered(call.isWrite, reason))
    }
  }
}

/** What a call fails with that will not be answered any more. */
export function unanswered(isWrite: boolean, reason: MetastoreError): MetastoreError {
  if (!isWrite) return reason
  return new MetastoreError(
    'INDETERMINATE',
    `the write may or may not have been applied: ${reason.message}`,
    { cause: reason },
  )
}
