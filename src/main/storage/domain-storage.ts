/**
 * A domain's way to the bucket while this node leads it: its manifest edits, flushes, compactions
 * and tail. Begins with what the leader before has left undone.
 */
import type { MetastoreError } from '../../codec/errors.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { Slots } from '../slots.ts'
import { Compactor, type CompactorOptions } from './compactor.ts'
import { Flusher, type FlusherOptions } from './flusher.ts'
import { GarbageCollector, type GarbageCollectorOptions } from './garbage-collector.ts'
import { ManifestCommitter } from './manifest-committer.ts'
import type { TableStore } from './table-store.ts'
import { TailShipper } from './tail-shipper.ts'

export interface DomainStorageOptions
  extends Omit<CompactorOptions, 'committer'>,
    Omit<FlusherOptions, 'committer' | 'onFlushed'>,
    Omit<GarbageCollectorOptions, 'committer'> {
  readonly tables: TableStore
  /** See TailShipperOptions. */
  readonly logTurns: Slots
  /** null: the tail is not shipped. */
  readonly tailIntervalMs: number | null
}

export class DomainStorage {
  readonly committer: ManifestCommitter
  readonly flusher: Flusher
  readonly compactor: Compactor
  readonly collector: GarbageCollector
  readonly tail: TailShipper | undefined
  readonly #domain: DomainHandle

  constructor(options: DomainStorageOptions) {
    this.#domain = options.domain
    this.committer = new ManifestCommitter(options)
    const shared = { ...options, committer: this.committer }
    this.compactor = new Compactor(shared)
    const { tailIntervalMs } = options
    if (tailIntervalMs !== null) this.tail = new TailShipper({ ...shared, tailIntervalMs })
    this.flusher = new Flusher({ ...shared, onFlushed: () => this.compactor.wake() })
    this.collector = new GarbageCollector(shared)
  }

  /** Nothing new begins; what is under way ends by itself, or with the I/O pool. */
  async close(reason: MetastoreError): Promise<void> {
    this.#domain.onFrozen = () => {}
    await Promise.all([this.flusher.close(reason), this.compactor.close(), this.tail?.close()])
    this.compactor.fail(reason)
  }
}
