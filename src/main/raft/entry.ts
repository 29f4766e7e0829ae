/** Entries of a group's log, the hard state beside it, the snapshot that stands for its start. */
import type { ConfState } from './configuration.ts'

/** No member: nobody voted for, no leader known. Ids of members are positive safe integers. */
export const NOBODY = 0

/**
 * The kinds that the core gives a meaning to; all others, 1 to 253, are the caller's. Kinds are on
 * disk and never change.
 */
/** Empty: a leader's first entry (dissertation 6.4, step 1). */
export const NOOP_KIND = 0
/** Empty: what is left of a configuration change that came at a wrong moment. */
export const REFUSED_KIND = 254
/** Payload: codec/config-change.ts. */
export const CONFIG_KIND = 255

export interface Entry {
  readonly term: number
  readonly index: number
  readonly kind: number
  /** Opaque to the core. Shared between log, messages and ready; nobody may write to it. */
  readonly payload: Uint8Array
}

/** An entry before it has its place in the log. */
export interface Proposal {
  readonly kind: number
  readonly payload: Uint8Array
}

/** Figure 2, persistent state, and the commit index, which spares a restart the wait for it. */
export interface HardState {
  readonly term: number
  /** NOBODY when no vote was given in the term. */
  readonly vote: number
  readonly commit: number
}

/** Everything up to and including `index`; a manifest and the configuration. */
export interface Snapshot {
  readonly index: number
  readonly term: number
  readonly configuration: ConfState
  /** Opaque to the core. */
  readonly data: Uint8Array
}

/** Where a log ends, or what one of its entries is: two logs with the same mark agree up to it. */
export interface LogMark {
  readonly term: number
  readonly index: number
}

/** What an entry weighs against the limits, in bytes. */
export type EntryBytes = (entry: Entry) => number

const ENTRY_OVERHEAD_BYTES = 40

/** The payload and the header of its record in the log. */
export function entryBytes(entry: Entry): number {
  return entry.payload.length + ENTRY_OVERHEAD_BYTES
}

export function payloadBytes(entries: readonly Proposal[]): number {
  let sum = 0
  for (const { payload } of entries) sum += payload.length
  return sum
}

export function totalBytes(entries: readonly Entry[], bytesOf: EntryBytes): number {
  let sum = 0
  for (const entry of entries) sum += bytesOf(entry)
  return sum
}

/**
 * The entries at [from, to) of the array, as many as weigh at most `bytesMax`, but at least one:
 * else nothing moves. Copies no more than it gives: the array may be a long backlog.
 */
export function limited(
  entries: readonly Entry[],
  from: number,
  to: number,
  bytesMax: number,
  bytesOf: EntryBytes,
): readonly Entry[] {
  let sum = 0
  for (let at = from; at < to; at++) {
    sum += bytesOf(entries[at])
    if (sum > bytesMax && at > from) return entries.slice(from, at)
  }
  return entries.slice(from, to)
}
