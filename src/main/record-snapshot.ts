/** A domain's rows as they were at one moment, for reads of records. Main thread. */
import { invalidRequest } from '../codec/errors.ts'
import type { DomainHandle } from './domain-handle.ts'
import type { LiveSnapshot } from './snapshot-registry.ts'

/**
 * What RecordStore.snapshot() gives. Good for every kind and partition of its domain until it is
 * released; rows that only it sees are kept so long, so release it.
 */
export class RecordSnapshot implements Disposable {
  readonly #domain: DomainHandle
  readonly #live: LiveSnapshot
  #isReleased = false

  constructor(domain: DomainHandle) {
    this.#domain = domain
    this.#live = domain.reads.takeSnapshot()
  }

  /** Ends it; reads that began before still get their answers. May be called again. */
  release(): void {
    this.#isReleased = true
    this.#live.release()
  }

  [Symbol.dispose](): void {
    this.release()
  }

  /**
   * The sequence to read at.
   * @throws INVALID_REQUEST once released, and when `domain` is another one
   */
  sequenceIn(domain: DomainHandle): number {
    if (this.#isReleased) throw invalidRequest('snapshot has been released')
    if (domain !== this.#domain) {
      throw invalidRequest('snapshot was taken in another metastore partition')
    }
    return this.#live.sequence
  }
}
