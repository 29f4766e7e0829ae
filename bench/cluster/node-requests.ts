/** What the bench asks of a node's process (cluster-node.ts), and what it is answered. */
import type { MetastoreOptions } from '../../src/index.ts'
import type { Load, LoadReport } from './timed-load.ts'

/** Calls of one kind; the like-for-like ones beside etcd are `puts` and `gets`. */
export type LoadKind = 'commits' | 'puts' | 'lookups' | 'gets'

/** Where the answer is unknown there is none: only that it is done. */
export interface NodeRequests {
  /** Opens the member; resolves when it is. */
  open: { ask: MetastoreOptions; answer: unknown }
  /** Of each metastore partition, as far as this node knows. */
  partitions: { ask: undefined; answer: PartitionView[] }
  /** Makes this node the leader of a metastore partition. */
  lead: { ask: { partition: number }; answer: unknown }
  /** Bytes of SSTables that this node has written. */
  flushedBytes: { ask: undefined; answer: number }
  /** This node's share of so many rows, as records or as extents: for `gets` or `lookups`. */
  fill: { ask: { kind: 'records' | 'extents'; rows: number }; answer: unknown }
  /** Before a load of commits, outside of its clock. */
  preregister: { ask: { commits: number }; answer: unknown }
  load: { ask: { kind: LoadKind } & Load; answer: LoadReport }
  /** Puts one row after the other to each of these metastore partitions, until told to end. */
  beginWriting: { ask: { partitions: number[] }; answer: unknown }
  /**
   * Resolves when each of them has taken a row that was put after `since`, in milliseconds since the
   * epoch; what was acknowledged is read and compared first.
   */
  endWriting: { ask: { since: number }; answer: WritingReport }
  /** Commits until it is killed; resolves when they flow. */
  beginFlow: { ask: FlowSettings; answer: unknown }
  /** What was acknowledged before is in tables, and a restore finds them. */
  flush: { ask: undefined; answer: unknown }
  flowReport: { ask: undefined; answer: FlowReport }
  close: { ask: undefined; answer: unknown }
}

export interface FlowSettings {
  /** Extents of a commit. */
  extents: number
  /** Of this node; null: as fast as it goes. */
  ratePerSecond: number | null
  inFlight: number
  commitsMax: number
  /** Where it is kept what was acknowledged (acknowledgements.ts). */
  journalPath: string
}

export interface FlowReport {
  /** Acknowledged so far. */
  commits: number
  elapsedMs: number
  /** The most that status() has told of the tail's lag. */
  lagMsMax: number
  /** What status() tells now: writes that are older would not be lost. */
  recoveryPointMs: number
  /** When it told that; milliseconds since the epoch. */
  at: number
}

export interface PartitionView {
  /** 0: none. */
  leader: number
  /** Of the newest write that reads on this node see. */
  sequence: number
  /** Up to there the tail is in the bucket; 0 when this node does not know. */
  shipped: number
}

export interface WritingReport {
  /** For each partition, when its first row put after `since` was acknowledged. */
  acknowledgedAt: number[]
  checked: number
  hash: number
}

export type RequestName = keyof NodeRequests

export interface NodeRequest<N extends RequestName = RequestName> {
  name: N
  ask: NodeRequests[N]['ask']
}

/** Requests are answered in order, one at a time. */
export type NodeResponse = { answer: unknown } | { error: string }
