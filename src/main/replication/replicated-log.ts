/**
 * What the metastore asks of replication: entries of many groups (a domain each) are proposed in
 * order and come back as committed, in order, when a majority has them on disk (raft-node.ts).
 */
import type { Entry } from '../raft/entry.ts'

export interface ReplicatedLog {
  /**
   * Entries of the group from `from`, or the first one that was not cut off since, up to before
   * `to`: as many as have at most `bytesMax` bytes, but at least one if there is one. Not to be
   * changed.
   */
  entries(group: number, from: number, to: number, bytesMax: number): readonly Entry[]
  /** Raft term of the group's leader: the epoch of what it names in the bucket. */
  term(group: number): number
  /**
   * Appends an entry, whose payload is copied. Nothing goes out before flush().
   * @returns its index in the group, if the group's core takes it
   */
  propose(group: number, kind: number, payload: Uint8Array): number
  /** Whether this node leads the group as its only voter: nobody else need be asked. */
  isAlone(group: number): boolean
  /**
   * Resolves with the index up to which a read must see, so that it sees every write that was
   * acknowledged before this call. Where this node leads, it then still led after the call.
   */
  readIndex(group: number): Promise<number>
  /** End of a turn: everything proposed goes out, with one sync for all. */
  flush(): void
  /** Entries of the group up to `index` are no longer needed. */
  cut(group: number, index: number): void
  /** Bytes of the group's entries on disk. */
  groupBytes(group: number): number
  /** Bytes of the whole log on disk, entries that nobody needs any more included. */
  readonly sizeBytes: number
  /** A group that keeps the oldest part of the log from being removed; undefined when none does. */
  pinningGroup(): number | undefined
  /** The disk is full: what is proposed now may wait for room; reads go on. */
  readonly isFull: boolean
  close(): Promise<void>
}

/** Kinds of entries. On disk; these never change (docs/log-format.md). */
export const ENTRY_KIND = {
  /** A row batch. */
  rows: 1,
  /** u64 sequence: memtables are frozen after it. */
  freeze: 2,
  /** A manifest: its commit installs it. */
  manifest: 3,
} as const
