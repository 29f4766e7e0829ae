/**
 * A domain's part in its Raft group: what is committed goes to the worker, on every node in the
 * same order, and the node that leads has the domain's writes and its way to the bucket.
 *
 * The leader's worker inserts rows before they are committed; everywhere else they are inserted
 * when they are. Rows that were inserted and are then replaced in the log cannot be taken out
 * again: the worker begins anew (a rebuild) from the newest manifest and the log behind it.
 *
 * Invariants
 *  1. The worker is given each committed entry once, in order, from the manifest on; what the node
 *     has proposed itself it has already.
 *  2. Nobody writes before the group has committed an entry of the leader's term and the worker has
 *     everything before it: what a write is checked against is the newest state there is.
 *  3. An entry takes effect (Progress) when every read on this node sees it. No read sees less than
 *     one before it, rebuilds included.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MetastoreError } from '../../codec/errors.ts'
import {
  decodeManifest,
  encodeManifest,
  isNewerManifest,
  type Manifest,
} from '../../codec/manifest.ts'
import { batchSequence } from '../../codec/row-batch.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { Entry, Snapshot } from '../raft/entry.ts'
import type { Role } from '../raft/raft.ts'
import type { GroupLog } from './group-log.ts'
import type { GroupOwner } from './raft-node.ts'
import { ENTRY_KIND } from './replicated-log.ts'

/** Bytes of entries that are read from the log at once, to catch up. */
const READ_BYTES = 1024 * 1024
/** Until the worker is asked again to be ready for writes, when the bucket did not let it. */
const PREPARE_AGAIN_MS = 200

export interface ReplicaOptions {
  readonly domain: DomainHandle
  readonly log: GroupLog
  /** Milliseconds in which a deposed leader may learn what became of its writes. */
  readonly patienceMs: number
  /** This node leads the domain from now on, or does no more. */
  readonly onLeading: (isLeading: boolean) => void
  /** A committed manifest stands for all entries up to `index`: they may be cut off. */
  readonly onCovered: (index: number) => void
  /** The worker has caught up: more may be handed out. */
  readonly onCaughtUp: () => void
  readonly onFailure: (error: unknown) => void
}

export class Replica implements GroupOwner {
  readonly #options: ReplicaOptions
  readonly #domain: DomainHandle
  /** The last entry that the worker was given or has of itself. */
  #given: number
  /** The last of them that the worker had to be given. */
  #foreign: number
  /** The last of them that it has said it has; -1: nothing yet in its present life. */
  #done = -1
  /** Of the newest row batch among them. */
  #sequence = 0
  /** The last entry that is known to be committed, and its term. */
  #committed: number
  #committedTerm = 0
  /** The newest that was given. */
  #manifest: Manifest | null = null
  /** Up to where the newest that is installed stands for the log. */
  #coveredIndex = 0
  #isCatchingUp = false
  #isSyncing = false
  /** Counts rebuilds: work for an earlier state of the worker is void. */
  #life = 0
  #role: Role = 'follower'
  #term = 0
  #isPreparing = false
  #isLeading = false
  #abandoning: NodeJS.Timeout | undefined
  #preparingAgain: NodeJS.Timeout | undefined
  #isClosed = false

  /** @param manifest stands for everything that was cut off, and maybe for more; encoded */
  constructor(options: ReplicaOptions, manifest: Uint8Array | undefined) {
    this.#options = options
    this.#domain = options.domain
    const cutIndex = options.log.firstIndex() - 1
    this.#given = cutIndex
    this.#foreign = cutIndex
    this.#begin(cutIndex, manifest)
    this.#committed = this.#given
    // Maybe nothing else is known to be committed before a leader is there.
    this.#settle()
  }

  /** Whether this node leads the domain and may write to it. */
  get isLeading(): boolean {
    return this.#isLeading
  }

  /** Whether committed entries wait for the worker. */
  get isBehind(): boolean {
    return this.#isCatchingUp
  }

  // -------------------------------------------------------------- what Raft says

  onCommitted(entries: readonly Entry[]): void {
    const last = entries[entries.length - 1]
    // At the start the manifest may stand for more than is handed out yet.
    this.#committed = Math.max(this.#committed, last.index)
    this.#committedTerm = last.term
    if (this.#isCatchingUp) return
    if (entries[0].index === this.#given + 1 && !this.#domain.link.isBacklogged) {
      for (const entry of entries) this.#give(entry)
      this.#settle()
    } else void this.#catchUp()
  }

  onTruncated(index: number): void {
    if (index <= this.#domain.insertedIndex) this.#lose('another leader has replaced it')
  }

  onRefused(): void {
    this.#lose('this node does not lead the metastore partition any more')
  }

  onSnapshot({ index, data }: Snapshot): void {
    const bytes = data.slice()
    this.#domain.lose(unavailable('a snapshot has taken the place of the log'))
    this.#committed = Math.max(this.#committed, index)
    this.#rebuild(index, bytes)
  }

  onRole(role: Role, term: number): void {
    const wasLeader = this.#role === 'leader'
    this.#role = role
    this.#term = term
    if (role === 'leader') this.#leadWhenReady()
    else if (wasLeader) this.#stopLeading()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#abandoning)
    clearTimeout(this.#preparingAgain)
  }

  // -------------------------------------------------------------- leading

  /** Invariant 2. */
  #leadWhenReady(): void {
    const isReady =
      this.#role === 'leader' &&
      this.#committedTerm === this.#term &&
      this.#given === this.#committed &&
      !this.#isCatchingUp
    if (!isReady || this.#isLeading || this.#isPreparing) return
    this.#isPreparing = true
    const [term, life] = [this.#term, this.#life]
    void this.#domain
      .recovered()
      .then(() => {
        this.#isPreparing = false
        const isStill = this.#role === 'leader' && this.#term === term && this.#life === life
        if (isStill) this.#lead()
        else this.#leadWhenReady()
      })
      .catch(error => this.#notPrepared(error))
  }

  #lead(): void {
    clearTimeout(this.#abandoning)
    this.#isLeading = true
    this.#domain.beginLeading(this.#sequence)
    this.#options.onLeading(true)
  }

  /** The worker reads what it remembers of requests: tables for it may be out of reach. */
  #notPrepared(error: unknown): void {
    this.#isPreparing = false
    const code = error instanceof MetastoreError ? error.code : undefined
    // The node closes: it is to lead nothing any more, and nothing has failed.
    if (code === 'CLOSED') return
    if (code !== 'UNAVAILABLE' || this.#domain.hasFailed) {
      this.#fail(error)
      return
    }
    clearTimeout(this.#preparingAgain)
    this.#preparingAgain = setTimeout(() => this.#leadWhenReady(), PREPARE_AGAIN_MS)
    this.#preparingAgain.unref()
  }

  #stopLeading(): void {
    if (!this.#isLeading) return
    this.#isLeading = false
    this.#domain.stopLeading(
      unavailable('this node does not lead the metastore partition any more'),
    )
    this.#options.onLeading(false)
    // What it would have cut as the leader, with the commit index that the cut keeps.
    if (this.#coveredIndex > 0) this.#options.onCovered(this.#coveredIndex)
    // The next leader may still commit what is on its way, or not be heard of for long.
    this.#abandoning = setTimeout(() => {
      this.#domain.abandon(unavailable('nothing was heard of the next leader'))
    }, this.#options.patienceMs)
    this.#abandoning.unref()
  }

  // -------------------------------------------------------------- rebuilding

  /** Rows that the worker has will not be committed. */
  #lose(why: string): void {
    this.#stopLeading()
    clearTimeout(this.#abandoning)
    this.#domain.lose(unavailable(why))
    const manifest = this.#manifest === null ? undefined : encodeManifest(this.#manifest)
    this.#rebuild(this.#options.log.firstIndex() - 1, manifest)
  }

  #rebuild(from: number, manifest: Uint8Array | undefined): void {
    this.#stopLeading()
    this.#life++
    this.#isSyncing = false
    this.#domain.reset()
    this.#done = -1
    this.#sequence = 0
    this.#manifest = null
    this.#begin(from, manifest)
    void this.#catchUp()
  }

  /** The worker has nothing: it goes on behind what the manifest stands for. */
  #begin(from: number, manifest: Uint8Array | undefined): void {
    this.#given = from
    this.#foreign = from
    if (manifest === undefined) return
    const decoded = decodeManifest(manifest, `manifest of domain ${this.#domain.number}`)
    this.#given = Math.max(from, decoded.lastIndex)
    this.#install(decoded, manifest, this.#given)
  }

  async #catchUp(): Promise<void> {
    const life = this.#life
    const { log, onCaughtUp } = this.#options
    const { link } = this.#domain
    this.#isCatchingUp = true
    try {
      while (this.#given < this.#committed) {
        if (link.isBacklogged) await link.drained()
        else {
          // What was cut off since is in the manifest.
          this.#given = Math.max(this.#given, log.firstIndex() - 1)
          const entries = log.entries(this.#given + 1, this.#committed + 1, READ_BYTES)
          if (entries === undefined) throw new Error(`entry ${this.#given + 1} was cut off`)
          for (const entry of entries) this.#give(entry)
          // Readers need not wait until everything is there: that may go on for long.
          this.#sync()
          // The worker's responses, and everybody else, have their turns.
          await nextTurn()
        }
        if (this.#isClosed || life !== this.#life) return
      }
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#isCatchingUp = false
    this.#settle()
    onCaughtUp()
  }

  // -------------------------------------------------------------- giving

  #give(entry: Entry): void {
    const { index, kind, payload } = entry
    this.#given = index
    if (kind === ENTRY_KIND.rows) this.#giveRows(index, payload)
    else if (kind === ENTRY_KIND.freeze) this.#giveFreeze(index)
    else if (kind === ENTRY_KIND.manifest) this.#giveManifest(index, payload)
  }

  #giveRows(index: number, batch: Uint8Array): void {
    const sequence = batchSequence(batch)
    if (sequence <= (this.#manifest?.lastSequence ?? 0)) return
    this.#sequence = sequence
    if (index <= this.#domain.insertedIndex) this.#domain.commitOwn(index)
    else {
      this.#foreign = index
      this.#domain.apply(sequence, index, batch)
    }
  }

  #giveFreeze(index: number): void {
    if (index <= this.#domain.insertedIndex) return
    this.#foreign = index
    this.#domain.freeze()
  }

  #giveManifest(index: number, bytes: Uint8Array): void {
    const manifest = decodeManifest(bytes, `entry ${index} of domain ${this.#domain.number}`)
    // Proposed once more, so that the log can be cut up to there, it covers all before it.
    const coversAll = this.#sequence <= manifest.lastSequence
    const coveredIndex = coversAll ? index - 1 : manifest.lastIndex
    if (this.#manifest === null || isNewerManifest(manifest, this.#manifest)) {
      this.#install(manifest, bytes, coveredIndex)
    } else if (coversAll && !isNewerManifest(this.#manifest, manifest)) {
      this.#options.log.offerSnapshot(coveredIndex, bytes)
    }
  }

  /** @param coveredIndex the manifest stands for everything up to there */
  #install(manifest: Manifest, bytes: Uint8Array, coveredIndex: number): void {
    const life = this.#life
    this.#manifest = manifest
    this.#sequence = Math.max(this.#sequence, manifest.lastSequence)
    this.#foreign = Math.max(this.#foreign, this.#given)
    void this.#domain
      .install(manifest, bytes)
      .then(() => {
        if (life !== this.#life || this.#isClosed) return
        this.#options.log.offerSnapshot(coveredIndex, bytes)
        this.#coveredIndex = coveredIndex
        // The leader cuts its log when the bucket's pointer names the manifest.
        if (!this.#isLeading) this.#options.onCovered(coveredIndex)
      })
      .catch(error => this.#fail(error))
  }

  /** What was given takes effect: at once if the worker had it, else when it says so. */
  #settle(): void {
    if (this.#foreign > this.#done) this.#sync()
    else this.#domain.tookEffect(this.#given, this.#sequence)
    this.#leadWhenReady()
  }

  #sync(): void {
    if (this.#isSyncing) return
    this.#isSyncing = true
    const [life, index, sequence] = [this.#life, this.#given, this.#sequence]
    void this.#domain
      .synced()
      .then(() => {
        if (life !== this.#life) return
        this.#isSyncing = false
        this.#done = index
        this.#domain.tookEffect(index, sequence)
        if (!this.#isCatchingUp) this.#settle()
      })
      .catch(error => this.#fail(error))
  }

  #fail(error: unknown): void {
    if (!this.#isClosed) this.#options.onFailure(error)
  }
}

function unavailable(why: string): MetastoreError {
  return new MetastoreError('UNAVAILABLE', why)
}
