/**
 * A domain of a read replica: follows what the bucket has of it. What is committed there goes to
 * the worker by the calls by which a follower's log does; there are no log entries, so the sequence
 * stands for the index.
 *
 * Invariants
 *  1. The worker is given each batch once, in order: what the manifest covers is in its tables, and
 *     the tail goes on from there without a gap. What is older than what is there changes nothing.
 *  2. Memtables end where a flush's manifest is installed: those wholly below it go with that, one
 *     that reaches further with the next. So a memtable that stays lacks no version that is newer
 *     than what it has: it counts before the tables.
 *  3. A manifest is used under a lease (domain-lease.ts), and found by the pointer after that lease
 *     was put (docs/garbage.md, "Readers").
 *  4. Memory is bounded: past FROZEN_MAX frozen memtables the tail waits for a manifest.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  committedKey,
  manifestKey,
  tailKey,
  tailOfKey,
  tailPrefix,
} from '../../codec/bucket-layout.ts'
import { ByteReader } from '../../codec/bytes.ts'
import { decodeCommitted } from '../../codec/committed-pointer.ts'
import { corruption } from '../../codec/errors.ts'
import {
  decodeManifest,
  isNewerManifest,
  type Manifest,
  type ManifestName,
} from '../../codec/manifest.ts'
import { readBatchHeader } from '../../codec/row-batch.ts'
import type { Tail, TailName } from '../../codec/tail.ts'
import { coveringTails } from '../../shared/tail-cover.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { IoRunner } from '../io-pool.ts'
import type { Logger } from '../logger.ts'
import { ReadAhead } from '../read-ahead.ts'
import type { DomainLease } from './domain-lease.ts'

/** A leader has four at the most, and the active one, before it refuses writes. */
const FROZEN_MAX = 8
/** Tail objects of a domain that are read before their turn. */
const TAILS_AHEAD = 2
/** Pointer and manifest are read anew when the pointer moved between. */
const MANIFEST_ATTEMPTS = 3

export interface DomainFollowerOptions {
  readonly domain: DomainHandle
  readonly clusterId: string
  readonly io: IoRunner
  readonly lease: DomainLease
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly logger: Logger
}

export class DomainFollower {
  readonly #options: DomainFollowerOptions
  readonly #domain: DomainHandle
  /** The newest batch that the worker has, in tables or in memtables. */
  #sequence = 0
  /** Tail objects up to this key have nothing that is not here. */
  #listedTo: string | undefined
  #asOf = 0

  constructor(options: DomainFollowerOptions) {
    this.#options = options
    this.#domain = options.domain
  }

  /**
   * A time, in milliseconds since the epoch, of which everything is here that the bucket had then:
   * when the newest refresh began that left nothing out; or, when that was longer ago, when the
   * newest manifest or tail object that is applied was made.
   */
  get asOf(): number {
    return this.#asOf
  }

  /** The newest batch that reads see. */
  get sequence(): number {
    return this.#domain.visibleSequence
  }

  /**
   * Takes over what is newer in the bucket.
   * @throws what the bucket fails with, CORRUPTION naming the file; what was there stays, and what
   *   was taken over until then
   */
  async refresh(): Promise<void> {
    const startedAt = this.#options.now()
    await this.#followManifest()
    if (await this.#followTail()) this.#hasStateOf(startedAt)
  }

  #hasStateOf(time: number): void {
    // A leader's clock may be ahead of ours.
    this.#asOf = Math.max(this.#asOf, Math.min(time, this.#options.now()))
  }

  // -------------------------------------------------------------- manifests

  async #followManifest(): Promise<void> {
    const { lease } = this.#options
    const installed = this.#domain.manifest
    // Before the pointer is read: what it names then stays, and what is installed is still in use.
    await lease.ensure(installed && nameOf(installed))
    for (let attempt = 1; ; attempt++) {
      const name = await this.#readPointer()
      if (name === null || (installed !== null && !isNewerManifest(name, installed))) return
      const key = manifestKey(name)
      const bytes = await this.#options.io.run({ type: 'read', key })
      if (bytes !== null) {
        await this.#install(decodeManifest(bytes, key), bytes, key, name)
        await lease.moveTo(name)
        return
      }
      // It may have been collected since: then the pointer names another one.
      if (attempt === MANIFEST_ATTEMPTS) {
        throw corruption(`${key} is not in the bucket`, { file: key })
      }
    }
  }

  async #readPointer(): Promise<ManifestName | null> {
    const key = committedKey(this.#domain.uuid)
    const bytes = await this.#options.io.run({ type: 'read', key })
    if (bytes === null) return null
    const name = decodeCommitted(bytes, key)
    if (name.domain !== this.#domain.uuid) {
      throw corruption(`${key} names a manifest of ${name.domain}`, { file: key })
    }
    return name
  }

  async #install(
    manifest: Manifest,
    bytes: Uint8Array,
    key: string,
    name: ManifestName,
  ): Promise<void> {
    const domain = this.#domain
    const before = domain.manifest?.lastSequence ?? 0
    const isExpected =
      manifest.clusterId === this.#options.clusterId &&
      manifestKey(manifest) === manifestKey(name) &&
      manifest.lastSequence >= before
    if (!isExpected) {
      throw corruption(`${key} is not the manifest that it is named to be`, { file: key })
    }
    if (manifest.lastSequence > before) {
      domain.freeze()
      await domain.synced()
    }
    await domain.install(manifest, bytes)
    const isNews = manifest.lastSequence > this.#sequence
    if (isNews) this.#sequence = manifest.lastSequence
    domain.tookEffect(this.#sequence, this.#sequence)
    if (isNews) this.#hasStateOf(manifest.createdAt)
  }

  // -------------------------------------------------------------- the tail

  /** @returns whether everything was applied that the bucket has */
  async #followTail(): Promise<boolean> {
    const { io } = this.#options
    const names = await this.#newTails()
    const covering = coveringTails(names, this.#sequence)
    const tails = new ReadAhead(covering, TAILS_AHEAD, name =>
      io.run({ type: 'readTail', key: tailKey(name) }),
    )
    for (const name of covering) {
      if (!this.#hasRoom(0, 0)) return false
      const key = tailKey(name)
      const tail = await tails.read(name)
      // Collected since it was listed: a manifest covers it.
      if (tail === null) return false
      this.#expectTail(tail, key, name)
      if (!(await this.#apply(tail))) return false
    }
    this.#skipCovered(names)
    return names.every(({ last }) => last <= this.#sequence)
  }

  /** Sorted by key. */
  async #newTails(): Promise<TailName[]> {
    const names = await this.#list(this.#listedTo)
    if (this.#listedTo === undefined) return names
    const reached = coveringTails(names, this.#sequence).at(-1)?.last ?? this.#sequence
    // What fills a gap may have come late, under a key before those that were looked at.
    return names.some(({ last }) => last > reached) ? await this.#list(undefined) : names
  }

  async #list(after: string | undefined): Promise<TailName[]> {
    const prefix = tailPrefix(this.#domain.uuid)
    const keys = await this.#options.io.run({ type: 'keys', prefix, after })
    return keys.map(tailOfKey).filter(name => name !== undefined)
  }

  #skipCovered(names: readonly TailName[]): void {
    for (const name of names) {
      if (name.last > this.#sequence) return
      const key = tailKey(name)
      if (this.#listedTo === undefined || key > this.#listedTo) this.#listedTo = key
    }
  }

  #expectTail(tail: Tail, key: string, name: TailName): void {
    const { clusterId } = this.#options
    if (tail.clusterId === clusterId && tailKey(tail) === tailKey(name)) return
    throw corruption(`${key} is not the tail object that it is named to be`, { file: key })
  }

  /** @returns false when the rest has to wait for a manifest */
  async #apply({ batches, createdAt }: Tail): Promise<boolean> {
    const domain = this.#domain
    let isWhole = true
    for (const batch of batches) {
      const { sequence, count } = readBatchHeader(new ByteReader(batch, 'tail batch'))
      if (sequence <= this.#sequence) continue
      isWhole = this.#hasRoom(count, batch.length)
      if (!isWhole) break
      domain.apply(sequence, sequence, batch)
      this.#sequence = sequence
      await this.#paced()
    }
    await domain.synced()
    domain.tookEffect(this.#sequence, this.#sequence)
    if (isWhole) this.#hasStateOf(createdAt)
    return isWhole
  }

  /** Invariant 4. */
  #hasRoom(rows: number, sizeBytes: number): boolean {
    const { memtables, number, manifest } = this.#domain
    if (memtables.frozen.length < FROZEN_MAX && memtables.fitsOne(rows, sizeBytes)) return true
    const { logger } = this.#options
    logger.warn(
      { domain: number, sequence: this.#sequence, flushed: manifest?.lastSequence ?? 0 },
      'the tail does not fit into memory; it waits for the next flush',
    )
    return false
  }

  /** Lets the worker catch up. @throws what the replica failed with */
  async #paced(): Promise<void> {
    while (this.#domain.link.isBacklogged) {
      this.#domain.expectAlive()
      await nextTurn()
    }
  }
}

function nameOf({ domain, epoch, version }: Manifest): ManifestName {
  return { domain, epoch, version }
}
