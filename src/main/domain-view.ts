/**
 * What reads of a domain see on this thread: the mapped memtables, the version, and the sequence up
 * to which rows are visible, which never goes back.
 */
import { MetastoreError } from '../codec/errors.ts'
import type { Control } from '../shared/control.ts'
import type { ArgumentsOf, ReadName, ResultOf } from '../shared/reads/index.ts'
import { Snapshot } from '../shared/snapshot.ts'
import { Version } from '../shared/version.ts'
import type { DomainMemtables } from './domain-memtables.ts'
import { LocalReads } from './local-reads.ts'
import { type LiveSnapshot, SnapshotRegistry } from './snapshot-registry.ts'
import type { MainBlocks } from './storage/cached-blocks.ts'

export class DomainView {
  readonly snapshots: SnapshotRegistry = new SnapshotRegistry()
  readonly #domain: number
  readonly #control: Control
  readonly #memtables: DomainMemtables
  readonly #localReads = new LocalReads()
  #visible = 0
  /** What snapshots below it saw is gone: another node has flushed or compacted. */
  #snapshotFloor = 0
  version: Version = Version.EMPTY

  constructor(domain: number, control: Control, memtables: DomainMemtables) {
    this.#domain = domain
    this.#control = control
    this.#memtables = memtables
  }

  get visibleSequence(): number {
    return this.#visible
  }

  makeVisible(sequence: number): void {
    if (sequence <= this.#visible) return
    this.#visible = sequence
    this.#control.advanceVisible(this.#domain, sequence)
  }

  /**
   * Answers a read from what `blocks` has.
   * @param sequence of a snapshot; absent: what is visible
   * @returns undefined when it needs more
   * @throws what the read itself throws
   */
  answer<N extends ReadName>(
    name: N,
    args: ArgumentsOf<N>,
    blocks: MainBlocks,
    sequence: number = this.#visible,
  ): { result: ResultOf<N> } | undefined {
    const view = new Snapshot(this.#memtables.newestFirst, this.version, sequence)
    return this.#localReads.answer(name, args, view, blocks)
  }

  /** Keeps what is visible now, until it is released. */
  takeSnapshot(): LiveSnapshot {
    return this.snapshots.take(this.#visible)
  }

  /** Another node has made tables up to the sequence; it knows of snapshots of its own only. */
  snapshotsAreLostBelow(sequence: number): void {
    this.#snapshotFloor = Math.max(this.#snapshotFloor, sequence)
  }

  /** @throws UNAVAILABLE when what the snapshot saw is gone */
  expectSnapshot(sequence: number | undefined): void {
    if (sequence === undefined || sequence >= this.#snapshotFloor) return
    throw new MetastoreError(
      'UNAVAILABLE',
      `metastore partition ${this.#domain}: the snapshot is lost, because another node has flushed`,
    )
  }
}
