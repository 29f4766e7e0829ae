/**
 * Commits manifest edits of one domain, one at a time: flushes and compactions go on side by side,
 * and each manifest is made from the one before.
 *
 * The order of steps is what makes a crash harmless: tables, then the manifest that names them,
 * then its commit through the log, then its installation, and last the pointer in the bucket that
 * says it was committed. An edit that fails before its commit has changed nothing, and what it left
 * in the bucket is referred to by nothing; it is tried again under a new version, since nobody
 * knows what a failed attempt has left. Once committed, an edit is done: only the pointer may lag.
 */
import { manifestKey } from '../../codec/bucket-layout.ts'
import { conflict, MetastoreError } from '../../codec/errors.ts'
import {
  decodeManifest,
  encodeManifest,
  type Manifest,
  type ManifestName,
  manifestName,
  putTable,
  type TableDescription,
} from '../../codec/manifest.ts'
import type { BuiltTable } from '../../shared/io-tasks.ts'
import { MANIFEST_EDIT, REQUEST } from '../../shared/messages.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { IoRunner } from '../io-pool.ts'
import { ENTRY_KIND, type ReplicatedLog } from '../replication/replicated-log.ts'
import type { TableStore } from './table-store.ts'

export interface ManifestCommitterOptions {
  domain: DomainHandle
  log: ReplicatedLog
  io: IoRunner
  tables: TableStore
  now: () => number
}

export type ManifestEdit =
  /** Everything up to `lastSequence`, whose last entry is `lastIndex`, is in tables now. */
  | { kind: 'flush'; tables: readonly BuiltTable[]; lastSequence: number; lastIndex: number }
  /** The outcome of the job that the worker has picked last; no tables for a move. */
  | { kind: 'compaction'; tables: readonly BuiltTable[] }

/** Ids of tables that one job may make, both inclusive. */
export interface TableIds {
  readonly first: number
  readonly last: number
}

export interface Collectable {
  /** The one that the bucket's pointer names; null while this instance has not moved it. */
  committed: ManifestName | null
  /** When that was done; milliseconds since the epoch. */
  announcedAt: number
  firstIdUnderWay: number
  firstVersionUnderWay: number
}

export class ManifestCommitter {
  readonly #options: ManifestCommitterOptions
  readonly #jobs = new Set<TableIds>()
  #nextTableId: number
  #nextVersion: number
  #isCommitting = false
  /** The last edit under way or done; the next one waits for it. */
  #last: Promise<unknown> = Promise.resolve()
  /** What the bucket's pointer names; null when this instance has not moved it yet. */
  #announced: Manifest | null = null
  #announcedAt = 0
  /** The time of leading that this works in. */
  readonly #leadership: number

  constructor(options: ManifestCommitterOptions) {
    this.#options = options
    this.#leadership = options.domain.leadership
    const { manifest } = options.domain
    this.#nextTableId = manifest?.nextTableId ?? 1
    this.#nextVersion = (manifest?.version ?? 0) + 1
  }

  /** Sets table ids aside for a job, until its endJob(); they are never given again. */
  beginJob(count: number): TableIds {
    const ids = { first: this.#nextTableId, last: this.#nextTableId + count - 1 }
    this.#nextTableId += count
    this.#jobs.add(ids)
    return ids
  }

  /** The job's tables are in a manifest, or will never be. */
  endJob(ids: TableIds): void {
    this.#jobs.delete(ids)
  }

  /** Tables with this id or a greater one may belong to a job. */
  get firstIdUnderWay(): number {
    return Math.min(this.#nextTableId, ...[...this.#jobs].map(({ first }) => first))
  }

  /** The manifest that the bucket's pointer names; null while this instance has not moved it. */
  get announced(): Manifest | null {
    return this.#announced
  }

  /** What collection has to know of edits: what counts, and what may still come to count. */
  get collectable(): Collectable {
    const announced = this.#announced
    // What was made after the announced one may be committed, or about to be.
    const isQuiet = this.isAnnounced && !this.#isCommitting
    return {
      committed: announced && manifestName(announced),
      announcedAt: this.#announcedAt,
      firstIdUnderWay: this.firstIdUnderWay,
      firstVersionUnderWay: isQuiet ? this.#nextVersion : (announced?.version ?? 0) + 1,
    }
  }

  /** Grows with every job. */
  get nextTableId(): number {
    return this.#nextTableId
  }

  /** Up to where a restore finds everything. */
  get announcedSequence(): number {
    return this.#announced?.lastSequence ?? 0
  }

  /** Whether the bucket's pointer names the newest committed manifest. */
  get isAnnounced(): boolean {
    return this.#announced === this.#options.domain.manifest
  }

  /**
   * Makes an edit the version. When this resolves it is committed and installed.
   * @throws what went wrong before the commit; nothing is changed then
   */
  commit(edit: ManifestEdit): Promise<void> {
    return this.#exclusively(() => this.#commit(edit))
  }

  /** Moves the bucket's pointer to the newest manifest; the log lets go of what it covers. */
  announce(): Promise<void> {
    return this.#exclusively(async () => {
      const { domain, io, log, now } = this.#options
      const { manifest } = domain
      if (manifest === null || manifest === this.#announced) return
      this.#expectLeading()
      const moved = await io.run({ type: 'moveCommitted', manifest: manifestName(manifest) })
      // A newer leader has been here: what this one holds for committed may be old.
      if (moved === 'superseded') throw notLeading(domain)
      this.#announced = manifest
      this.#announcedAt = now()
      log.cut(domain.number, manifest.lastIndex)
    })
  }

  /**
   * Proposes the newest manifest once more, so that the log can be cut up to there: of a domain
   * without new rows its entry would keep an old part of the log. Changes nothing else.
   */
  moveForward(): Promise<void> {
    return this.#exclusively(async () => {
      const { domain, log } = this.#options
      const { manifest } = domain
      if (manifest === null || domain.hasUnflushed) return
      this.#expectLeading()
      const index = log.propose(domain.number, ENTRY_KIND.manifest, encodeManifest(manifest))
      log.flush()
      await domain.committed(index)
      // Before it there are no rows that the manifest does not cover.
      log.cut(domain.number, index - 1)
    })
  }

  #exclusively(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work, work)
    this.#last = turn
    return turn
  }

  async #commit(edit: ManifestEdit): Promise<void> {
    this.#isCommitting = true
    try {
      await this.#commitNext(edit)
    } finally {
      this.#isCommitting = false
    }
  }

  async #commitNext(edit: ManifestEdit): Promise<void> {
    const { domain, io, log, tables } = this.#options
    // A node that cannot commit has nothing to put into the bucket.
    domain.expectAlive()
    this.#expectLeading()
    const bytes = await this.#nextManifest(edit)
    const key = manifestKey(decodeManifest(bytes, 'next manifest'))
    if ((await io.run({ type: 'create', key, bytes })) === 'exists') {
      throw conflict(`${key} is already in the bucket`)
    }
    this.#expectLeading()
    // Before the commit, which installs the manifest on every node.
    for (const table of edit.tables) tables.add(domain, table)
    try {
      const index = log.propose(domain.number, ENTRY_KIND.manifest, bytes)
      log.flush()
      await domain.committed(index)
    } catch (error) {
      // It may be committed all the same; then reads fetch what they need.
      for (const table of edit.tables) tables.discard(domain, table)
      throw error
    }
  }

  /**
   * Others may have led in between, even if this node leads again: the manifest is then not made
   * from the newest one.
   */
  #expectLeading(): void {
    const { domain } = this.#options
    if (domain.leadership !== this.#leadership) throw notLeading(domain)
  }

  /** The worker has the version, so it makes the manifest. */
  #nextManifest(edit: ManifestEdit): Promise<Uint8Array> {
    const { domain, log, now } = this.#options
    const version = this.#nextVersion++
    const descriptions = edit.tables.map(({ description }) => description)
    return domain.manage(
      REQUEST.manifest,
      out => {
        out.varint(log.term(domain.number)).varint(version)
        out.varint(this.#nextTableId).varint(now())
        if (edit.kind === 'compaction') out.u8(MANIFEST_EDIT.compaction)
        else out.u8(MANIFEST_EDIT.flush).varint(edit.lastSequence).varint(edit.lastIndex)
        putTables(out, descriptions)
      },
      reader => reader.raw(reader.remaining).slice(),
    )
  }
}

function putTables(
  out: Parameters<typeof putTable>[0],
  descriptions: readonly TableDescription[],
): void {
  out.varint(descriptions.length)
  for (const description of descriptions) putTable(out, description)
}

function notLeading({ number }: DomainHandle): MetastoreError {
  return new MetastoreError('UNAVAILABLE', `this node does not lead metastore partition ${number}`)
}
