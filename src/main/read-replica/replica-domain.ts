/**
 * A domain of a read replica as callers see it: reads, of what was taken over from the bucket.
 */
import { tableOfKey } from '../../codec/bucket-layout.ts'
import { type CorruptionPlace, MetastoreError } from '../../codec/errors.ts'
import type { ArgumentsOf, ReadName, ResultOf } from '../../shared/reads/index.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { RecordDomain } from '../record-store.ts'

export class ReplicaDomain implements RecordDomain {
  readonly local: DomainHandle
  readonly #refresh: () => Promise<void>

  constructor(local: DomainHandle, refresh: () => Promise<void>) {
    this.local = local
    this.#refresh = refresh
  }

  /**
   * A table that is gone although the lease should have kept it is in a newer manifest no more: the
   * read is made once more after a refresh.
   * @throws CORRUPTION naming the table when that did not help
   */
  async read<N extends ReadName>(
    name: N,
    args: ArgumentsOf<N>,
    sequence?: number,
  ): Promise<ResultOf<N>> {
    try {
      return await this.local.reads.read(name, args, sequence)
    } catch (error) {
      if (!isOfTable(error)) throw error
    }
    // When it fails, the second try says what is missing.
    await this.#refresh().catch(() => {})
    return await this.local.reads.read(name, args, sequence)
  }

  readSync<N extends ReadName>(name: N, args: ArgumentsOf<N>, sequence?: number): ResultOf<N> {
    return this.local.reads.readSync(name, args, sequence)
  }

  /** @throws READ_ONLY */
  write(): Promise<never> {
    const message = 'a read replica takes no writes; its cluster does'
    return Promise.reject(new MetastoreError('READ_ONLY', message))
  }
}

function isOfTable(error: unknown): boolean {
  if (!(error instanceof MetastoreError) || error.code !== 'CORRUPTION') return false
  const { file } = (error.details ?? {}) as CorruptionPlace
  return file !== undefined && tableOfKey(file) !== undefined
}
