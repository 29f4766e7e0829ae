/**
 * A replica's lease on one domain (codec/lease-file.ts): while it has not expired, collection keeps
 * the manifest that it names and every newer one, with their tables.
 *
 * Invariants
 *  1. A lease that keeps a manifest is in the bucket before the pointer is read that names it.
 *  2. The lease moves on to a manifest when that one is installed, not before: until then reads
 *     need the tables of the one before.
 */
import { leaseKey } from '../../codec/bucket-layout.ts'
import { encodeLease } from '../../codec/lease-file.ts'
import type { ManifestName } from '../../codec/manifest.ts'
import type { IoRunner } from '../io-pool.ts'

export interface DomainLeaseOptions {
  readonly io: IoRunner
  /** UUID. */
  readonly domain: string
  readonly readerId: string
  readonly leaseMs: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

export class DomainLease {
  readonly #options: DomainLeaseOptions
  /** What it names; null: all that the domain has. */
  #manifest: ManifestName | null = null
  /** Zero: it was not written yet. */
  #expiresAt = 0
  /** Whether it may be in the bucket, whatever became of the write. */
  #wasWritten = false
  #isReleased = false
  /** Writes go one after another, so that the last one counts. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: DomainLeaseOptions) {
    this.#options = options
  }

  /**
   * The pointer is about to be read. Invariant 1.
   * @param manifest the one in use; null: none yet, so that all is kept that the domain has
   */
  async ensure(manifest: ManifestName | null): Promise<void> {
    // One that is live names this manifest or an older one, and keeps every newer one as well.
    if (this.#leftMs() * 3 < this.#options.leaseMs) await this.#write(manifest)
  }

  /** The manifest is installed. Invariant 2. */
  async moveTo(manifest: ManifestName): Promise<void> {
    await this.#write(manifest)
  }

  /** To be called several times in leaseMs: it is written anew when a third of that has passed. */
  async renew(): Promise<void> {
    const isDue = this.#wasWritten && this.#leftMs() * 3 <= this.#options.leaseMs * 2
    if (isDue) await this.#write()
  }

  /** Nothing is used any more: the lease goes from the bucket, and none is written again. */
  async release(): Promise<void> {
    this.#isReleased = true
    const { io, domain, readerId } = this.#options
    await this.#inTurn(async () => {
      if (!this.#wasWritten) return
      await io.run({ type: 'remove', keys: [leaseKey(domain, readerId)] })
    })
  }

  #leftMs(): number {
    return this.#expiresAt - this.#options.now()
  }

  /** @param named default: what the lease named last, when its turn comes */
  #write(named?: ManifestName | null): Promise<void> {
    const { io, domain, readerId, leaseMs, now } = this.#options
    return this.#inTurn(async () => {
      if (this.#isReleased) return
      const manifest = named === undefined ? this.#manifest : named
      const expiresAt = now() + leaseMs
      this.#wasWritten = true
      const bytes = encodeLease({ readerId, domain, expiresAt, manifest })
      await io.run({ type: 'overwrite', key: leaseKey(domain, readerId), bytes })
      this.#manifest = manifest
      this.#expiresAt = expiresAt
    })
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }
}
