/**
 * The log of one group as its Raft core reads it and its append side writes it: the shared log on
 * disk, the newest entries in memory besides, and the configuration at each index that may be asked
 * for.
 *
 * Invariants
 *  1. What the core reads is what was handed to the disk, durable or not; the core itself counts
 *     nothing before the disk has said that it is.
 *  2. The base on disk is the configuration at the cut, and a commit index that covers the manifest
 *     entry which allowed the cut; it is written before the cut. A crash may leave the base without
 *     the cut: recovery then makes it (recovery/recover-groups.ts).
 *  3. Between cuts the base is written again with a newer commit index, so that a node that starts
 *     knows most of what is committed, and replays it without hearing of a leader.
 */
import { encodeConfState } from '../../codec/conf-state.ts'
import { decodeGroupBase, encodeGroupBase, type GroupBase } from '../../codec/group-base.ts'
import type { DiskLog } from '../log/disk-log.ts'
import type { ConfState } from '../raft/configuration.ts'
import { type Entry, entryBytes, type HardState, limited, type Snapshot } from '../raft/entry.ts'
import type { InitialState, LogStorage } from '../raft/log-storage.ts'
import type { AppendWork } from '../raft/ready.ts'

/**
 * Bytes of the newest entries that are kept in memory for followers and the apply side: of all
 * groups of a node together, and of one at most and at least.
 */
const KEPT_BYTES_MAX = 64 * 1024 * 1024
const GROUP_KEPT_BYTES_MOST = 4 * 1024 * 1024
const GROUP_KEPT_BYTES_LEAST = 64 * 1024
/** Bytes of committed entries until the commit index is noted on disk: soon replayed. */
const NOTE_AFTER_BYTES = 1024 * 1024
/** A base with a larger manifest (of a snapshot) is not written again for a commit index. */
const NOTED_BASE_BYTES_MAX = 64 * 1024
const NO_BYTES = new Uint8Array(0)

/** What the group has when the node starts; recovery finds it (recovery/recover-groups.ts). */
export interface GroupStart {
  readonly configuration: ConfState
  /** Known to be committed; at least what the log implies. */
  readonly commit: number
}

export class GroupLog implements LogStorage {
  readonly #disk: DiskLog
  readonly #group: number
  readonly #start: GroupStart
  /** The newest entries, from #keptFirst on, without a gap up to the last. */
  #kept: Entry[] = []
  #keptFirst: number
  #keptBytes = 0
  readonly #keptBytesMax: number
  /** Of committed entries, since the commit index was written last. */
  #unnotedBytes = 0
  /** Ascending; the first one holds at the cut. */
  #configurations: { index: number; configuration: ConfState }[]
  /** The newest that can be sent; its index is at least the cut's. */
  #snapshot: Omit<Snapshot, 'configuration'> | undefined

  /** @param groups how many of them share the memory for entries */
  constructor(disk: DiskLog, group: number, start: GroupStart, groups: number) {
    const share = Math.floor(KEPT_BYTES_MAX / groups)
    this.#keptBytesMax = Math.max(GROUP_KEPT_BYTES_LEAST, Math.min(GROUP_KEPT_BYTES_MOST, share))
    this.#disk = disk
    this.#group = group
    this.#start = start
    this.#keptFirst = disk.lastIndex(group) + 1
    const index = disk.firstIndex(group) - 1
    this.#configurations = [{ index, configuration: start.configuration }]
  }

  // -------------------------------------------------------------- read by the core

  initialState(): InitialState {
    const state = this.#disk.groupState(this.#group)
    const { configuration, commit } = this.#start
    if (state === undefined) return { hardState: undefined, configuration }
    const { term, vote } = state
    const hardState: HardState | undefined = term === 0 ? undefined : { term, vote, commit }
    return { hardState, configuration }
  }

  firstIndex(): number {
    return this.#disk.firstIndex(this.#group)
  }

  lastIndex(): number {
    return this.#disk.lastIndex(this.#group)
  }

  term(index: number): number | undefined {
    return this.#disk.term(this.#group, index)
  }

  entries(from: number, to: number, bytesMax: number): readonly Entry[] | undefined {
    if (from < this.firstIndex()) return undefined
    if (from < this.#keptFirst) {
      return this.#disk.entries(this.#group, from, Math.min(to, this.#keptFirst), bytesMax)
    }
    const first = this.#keptFirst
    return limited(this.#kept, from - first, to - first, bytesMax, entryBytes)
  }

  snapshot(): Snapshot | undefined {
    if (this.#snapshot === undefined) return undefined
    return { ...this.#snapshot, configuration: this.#configurationAt(this.#snapshot.index) }
  }

  // -------------------------------------------------------------- the append side

  /**
   * Hands the work to the disk; nothing is written before its flush().
   * @returns the ticket whose durability is that of the work; undefined when nothing is to be
   * written
   */
  append({ hardState, snapshot, entries, mustSync }: AppendWork): number | undefined {
    const disk = this.#disk
    const group = this.#group
    let ticket: number | undefined
    const known = disk.groupState(group)
    if (hardState !== undefined && mustSync) {
      const { term, vote } = hardState
      if (known?.term !== term || known.vote !== vote) {
        ticket = disk.setHardState(group, term, vote)
      }
    }
    if (snapshot !== undefined) ticket = this.#install(snapshot)
    for (const { term, index, kind, payload } of entries) {
      ticket = disk.append(group, term, index, kind, payload)
    }
    this.#keep(entries)
    return ticket
  }

  #install(snapshot: Snapshot): number {
    const { index, term, configuration, data } = snapshot
    this.#kept = []
    this.#keptBytes = 0
    this.#configurations = [{ index, configuration }]
    this.#snapshot = { index, term, data }
    this.#writeBase(index, { commit: index, term, configuration, manifest: data })
    const ticket = this.#disk.cut(this.#group, index, term)
    this.#keptFirst = this.#disk.lastIndex(this.#group) + 1
    return ticket
  }

  #keep(entries: readonly Entry[]): void {
    if (entries.length === 0) return
    const from = entries[0].index
    if (from < this.#keptFirst || this.#kept.length === 0) {
      this.#kept = []
      this.#keptBytes = 0
      this.#keptFirst = from
    } else {
      for (const dropped of this.#kept.splice(from - this.#keptFirst)) {
        this.#keptBytes -= entryBytes(dropped)
      }
    }
    // Changes that were replaced were not committed, so no state depends on them.
    for (const entry of entries) {
      this.#kept.push(entry)
      this.#keptBytes += entryBytes(entry)
    }
    this.#trim()
  }

  /** Halves what is kept when it has outgrown its limit, so that most calls move nothing. */
  #trim(): void {
    if (this.#keptBytes <= this.#keptBytesMax) return
    let count = 0
    while (this.#keptBytes > this.#keptBytesMax / 2 && count < this.#kept.length - 1) {
      this.#keptBytes -= entryBytes(this.#kept[count++])
    }
    this.#kept = this.#kept.slice(count)
    this.#keptFirst += count
  }

  // -------------------------------------------------------------- the apply side

  /** Entries up to `commit` are handed to the owner. It is noted with the next flush, unsynced. */
  committed(entries: readonly Entry[], commit: number): void {
    for (const entry of entries) this.#unnotedBytes += entryBytes(entry)
    if (this.#unnotedBytes >= NOTE_AFTER_BYTES) this.noteCommit(commit)
  }

  /** Invariant 3. */
  noteCommit(commit: number): void {
    this.#unnotedBytes = 0
    if (commit === 0) return
    const known = this.#disk.groupState(this.#group)?.configuration
    if (known === undefined) {
      const { configuration } = this.#configurations[0]
      this.#writeBase(0, { commit, term: 0, configuration, manifest: NO_BYTES })
    } else if (known.bytes.length <= NOTED_BASE_BYTES_MAX) {
      const base = decodeGroupBase(known.bytes, `state of group ${this.#group}`)
      if (base.commit >= commit) return
      const bytes = encodeGroupBase({ ...base, commit })
      this.#disk.setConfiguration(this.#group, known.index, bytes)
    }
  }

  /** A change of the configuration was applied. */
  configurationChanged(index: number, configuration: ConfState): void {
    this.#configurations.push({ index, configuration })
  }

  /**
   * A committed manifest covers everything up to `index`: from now on it is what followers get that
   * need what was cut off.
   */
  offerSnapshot(index: number, manifest: Uint8Array): void {
    const term = this.term(index)
    if (term === undefined || index < (this.#snapshot?.index ?? 0)) return
    this.#snapshot = { index, term, data: manifest }
  }

  /**
   * Entries up to `index` are not needed any more.
   * @param commit covers the entry of the manifest that allows it
   */
  cut(index: number, commit: number): void {
    const term = this.term(index)
    if (index < this.firstIndex() || term === undefined) return
    const configuration = this.#configurationAt(index)
    this.#configurations = [
      { index, configuration },
      ...this.#configurations.filter(known => known.index > index),
    ]
    this.#writeBase(index, { commit, term, configuration, manifest: NO_BYTES })
    this.#disk.cut(this.#group, index, term)
    if (index >= this.#keptFirst) {
      const dropped = this.#kept.splice(0, index + 1 - this.#keptFirst)
      for (const entry of dropped) this.#keptBytes -= entryBytes(entry)
      this.#keptFirst = index + 1
    }
  }

  #writeBase(
    index: number,
    { configuration, ...rest }: Omit<GroupBase, 'configuration'> & { configuration: ConfState },
  ): void {
    const bytes = encodeGroupBase({ ...rest, configuration: encodeConfState(configuration) })
    this.#disk.setConfiguration(this.#group, index, bytes)
  }

  #configurationAt(index: number): ConfState {
    let found = this.#configurations[0].configuration
    for (const known of this.#configurations) {
      if (known.index > index) break
      found = known.configuration
    }
    return found
  }
}
