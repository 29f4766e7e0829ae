/**
 * Calls of one domain to its worker. The worker may begin anew, with nothing: then what was asked
 * before is void, whatever comes back, and readers wait until all of it has taken effect again.
 */
import type { ByteReader, ByteWriter } from '../codec/bytes.ts'
import type { MetastoreError } from '../codec/errors.ts'
import { type Call, newCall } from './calls.ts'
import type { WorkerLink } from './worker-link.ts'

export class DomainCalls {
  readonly #domain: number
  readonly #link: WorkerLink
  #failure: MetastoreError | undefined
  /** How often the worker has begun anew. */
  #lives = 0
  #rebuilding: Promise<void> | undefined
  #endRebuilding: () => void = () => {}

  constructor(domain: number, link: WorkerLink) {
    this.#domain = domain
    this.#link = link
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** @throws what this node failed with */
  expectAlive(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Nothing more will be answered. */
  fail(reason: MetastoreError): void {
    this.#failure ??= reason
    this.endRebuilding()
  }

  // -------------------------------------------------------------- lives of the worker

  get lives(): number {
    return this.#lives
  }

  /** While the worker begins anew: resolves when all has taken effect again. */
  get rebuilding(): Promise<void> | undefined {
    return this.#rebuilding
  }

  beginRebuilding(): void {
    this.#lives++
    this.#rebuilding ??= new Promise(resolve => {
      this.#endRebuilding = resolve
    })
  }

  endRebuilding(): void {
    if (this.#rebuilding === undefined) return
    this.#rebuilding = undefined
    this.#endRebuilding()
  }

  /** Whether the worker that was asked is the one that is there now. */
  isOfThisLife({ life }: Call): boolean {
    return life === this.#lives
  }

  // -------------------------------------------------------------- calls

  /** A request about the domain itself: always taken, and its answer waits for no commit. */
  manage<T>(
    kind: number,
    encode: (out: ByteWriter) => void,
    decode: (reader: ByteReader) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      this.expectAlive()
      this.send(kind, newCall(resolve as (value: unknown) => void, reject, decode, false), encode)
    })
  }

  /** @throws through the promise: OVERLOADED before anything was sent, or the worker's answer */
  ask<T>(
    kind: number,
    encode: (out: ByteWriter) => void,
    decode: (reader: ByteReader) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      this.admit()
      this.send(kind, newCall(resolve as (value: unknown) => void, reject, decode, false), encode)
    })
  }

  /** @throws OVERLOADED; or what this node failed with */
  admit(): void {
    this.expectAlive()
    this.#link.admit()
  }

  send(kind: number, call: Call, encode: (out: ByteWriter) => void): void {
    call.life = this.#lives
    encode(this.#link.begin(kind, this.#domain, call))
    this.#link.send(call)
  }
}
