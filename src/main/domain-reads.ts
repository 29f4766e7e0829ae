/**
 * Reads of a domain's replica on this node: on this thread where that needs no waiting, else on the
 * worker.
 *
 * Invariant: a read of the newest state on this thread sees every write that was called before it:
 * none is under way then, so the visible sequence is the newest. A snapshot's sequence is visible.
 */
import type { ByteReader } from '../codec/bytes.ts'
import { MetastoreError } from '../codec/errors.ts'
import { REQUEST } from '../shared/messages.ts'
import {
  type ArgumentsOf,
  decodeRead,
  putRead,
  type ReadName,
  type ResultOf,
} from '../shared/reads/index.ts'
import type { DomainCalls } from './domain-calls.ts'
import type { DomainView } from './domain-view.ts'
import type { LiveSnapshot } from './snapshot-registry.ts'
import type { CachedBlocks } from './storage/cached-blocks.ts'

export interface DomainReadsOptions {
  domain: number
  calls: DomainCalls
  view: DomainView
  /** Blocks that the worker keeps in shared memory. */
  blocks: CachedBlocks
  /** Whether this thread may answer at all. */
  readsHere: boolean
  /** Whether writes wait for the worker's answer. */
  hasWritesUnderWay: () => boolean
  /** Whether the worker has rows that may never be committed, nor be replaced. */
  hasDoubtfulRows: () => boolean
}

export class DomainReads {
  readonly #options: DomainReadsOptions

  constructor(options: DomainReadsOptions) {
    this.#options = options
  }

  /**
   * @param sequence of a live snapshot; absent: the newest state
   * @throws UNAVAILABLE when another node's flush has taken no regard of the snapshot
   */
  async read<N extends ReadName>(
    name: N,
    args: ArgumentsOf<N>,
    sequence?: number,
  ): Promise<ResultOf<N>> {
    const { calls, view } = this.#options
    for (;;) {
      // Without a rebuild it is sent in this turn: calls take effect in the order they were made.
      while (calls.rebuilding !== undefined) await calls.rebuilding
      view.expectSnapshot(sequence)
      const life = calls.lives
      try {
        return await this.#readOnce(name, args, sequence)
      } catch (error) {
        // When the worker has begun anew meanwhile the answer was void.
        if (life === calls.lives || calls.hasFailed) throw error
      }
    }
  }

  /**
   * Reads as of a sequence without a snapshot's promise: a row that has changed since may be the
   * one of then or none; one that has not is there.
   */
  async readUnchanged<N extends ReadName>(
    name: N,
    args: ArgumentsOf<N>,
    sequence: number,
  ): Promise<ResultOf<N>> {
    const { calls } = this.#options
    while (calls.rebuilding !== undefined) await calls.rebuilding
    return await this.#readOnce(name, args, sequence)
  }

  /** A read of another node, as it was encoded there. @returns the answer, encoded */
  async readEncoded(read: Uint8Array): Promise<Uint8Array> {
    const { calls } = this.#options
    while (calls.rebuilding !== undefined) await calls.rebuilding
    return await calls.ask(
      REQUEST.read,
      out => out.varint(0).raw(read),
      (reader: ByteReader) => reader.raw(reader.remaining).slice(),
    )
  }

  /**
   * Answers on this thread, from memory or the local cache. Sees every write that was acknowledged
   * before, and of those under way none.
   * @throws UNAVAILABLE when that needs the bucket; what the read itself throws
   */
  readSync<N extends ReadName>(name: N, args: ArgumentsOf<N>, sequence?: number): ResultOf<N> {
    const { calls, view, blocks } = this.#options
    calls.expectAlive()
    if (calls.rebuilding !== undefined) throw this.#unavailable('its worker begins anew')
    view.expectSnapshot(sequence)
    const answer = view.answer(name, args, blocks.withFiles, sequence)
    if (answer !== undefined) return answer.result
    throw this.#unavailable('a synchronous read cannot wait for the bucket')
  }

  /**
   * Keeps what is visible now readable, until it is released; or until another node flushes or
   * compacts, which knows of snapshots of its own only.
   */
  takeSnapshot(): LiveSnapshot {
    return this.#options.view.takeSnapshot()
  }

  async #readOnce<N extends ReadName>(
    name: N,
    args: ArgumentsOf<N>,
    sequence: number | undefined,
  ): Promise<ResultOf<N>> {
    const { blocks, calls, view } = this.#options
    if (this.#canReadHere(sequence)) {
      const answer = view.answer(name, args, blocks, sequence)
      if (answer !== undefined) return answer.result
    }
    // On its way it may wait behind others: what it is to see must stay until it is answered.
    const at = sequence ?? this.#committedOnly()
    const kept = at === undefined ? undefined : view.snapshots.take(at)
    try {
      return await calls.ask(
        REQUEST.read,
        out => putRead(out.varint(at === undefined ? 0 : at + 1), name, args),
        reader => decodeRead(name, reader),
      )
    } finally {
      kept?.release()
    }
  }

  /** The invariant; all memtables are mapped. */
  #canReadHere(sequence: number | undefined): boolean {
    const { blocks, calls, hasWritesUnderWay, readsHere } = this.#options
    return (
      readsHere &&
      (sequence !== undefined || !hasWritesUnderWay()) &&
      !calls.hasFailed &&
      blocks.isWorthTrying
    )
  }

  /**
   * A worker answers the newest state, committed or not, and the answer waits for its commit. But
   * what a deposed leader has proposed may never be committed, nor replaced while it is alone.
   * @returns the sequence to read at then
   */
  #committedOnly(): number | undefined {
    const { hasDoubtfulRows, view } = this.#options
    return hasDoubtfulRows() ? view.visibleSequence : undefined
  }

  #unavailable(why: string): MetastoreError {
    return new MetastoreError('UNAVAILABLE', `metastore partition ${this.#options.domain}: ${why}`)
  }
}
