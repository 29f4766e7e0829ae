/**
 * Collects the garbage of one domain while this node leads it (docs/garbage.md). What is in the
 * bucket and named there is an I/O task's (workers/io/garbage/). Objects of callers are known by
 * rows: their preregistrations expire by a write; an object that has become garbage is deleted
 * from the bucket, and only then its row.
 */
import { objectKey } from '../../codec/bucket-layout.ts'
import { MetastoreError } from '../../codec/errors.ts'
import { formatUuid } from '../../codec/uuid.ts'
import type { CollectedGarbage } from '../../shared/garbage-tasks.ts'
import type { CollectableObjects } from '../../shared/reads/object-reads.ts'
import { OBJECT_IDS_MAX, WRITE_KIND } from '../../shared/writes/write-kinds.ts'
import type { DomainHandle } from '../domain-handle.ts'
import type { IoRunner } from '../io-pool.ts'
import type { ReplicatedLog } from '../replication/replicated-log.ts'
import type { ManifestCommitter } from './manifest-committer.ts'

/** After so long a round says that it is not done: whoever asked for it waits only so long. */
const ROUND_MS = 3_000

export interface GarbageCollectorOptions {
  clusterId: string
  domain: DomainHandle
  committer: ManifestCommitter
  log: ReplicatedLog
  io: IoRunner
  garbageDelayMs: number
  preregistrationTtlMs: number
  /** Milliseconds since the epoch. */
  now: () => number
}

export interface DomainGarbage {
  objects: number
  tables: number
  manifests: number
  tails: number
  uploads: number
  leases: number
  checkpoints: number
  bytes: number
  expiredPreregistrations: number
  /** Ids of the clusters for which objects are kept. */
  relatives: string[]
  /** False when there is more, and another round is to follow. */
  isDone: boolean
}

export class GarbageCollector {
  readonly #options: GarbageCollectorOptions
  /** The time of leading that this works in. */
  readonly #leadership: number
  /** The last round under way or done; the next one waits for it. */
  #last: Promise<unknown> = Promise.resolve()
  /** What the last complete round began with; undefined before the first one. */
  #seen: string | undefined
  #seenTableId = 0
  /** When more is garbage, even if nothing changes. */
  #nextDueAt: number | null = null
  /** Of a pass over the object rows that takes more than one round. */
  #pass: Pass | undefined

  constructor(options: GarbageCollectorOptions) {
    this.#options = options
    this.#leadership = options.domain.leadership
  }

  /** Whether a round may find something that the last complete one did not. */
  get isDue(): boolean {
    const isOldEnough = this.#nextDueAt !== null && this.#nextDueAt <= this.#options.now()
    return isOldEnough || this.#seen !== this.#state()
  }

  /** @throws what stops the round; what was not deleted is found by the next one */
  collect(isDryRun: boolean): Promise<DomainGarbage> {
    const round = (): Promise<DomainGarbage> => this.#round(isDryRun)
    const turn = this.#last.then(round, round)
    this.#last = turn
    return turn
  }

  /** All that makes garbage, but time. */
  #state(): string {
    const { domain, committer } = this.#options
    const { epoch, version } = domain.manifest ?? { epoch: 0, version: 0 }
    const { isAnnounced, nextTableId } = committer
    return [epoch, version, domain.visibleSequence, nextTableId, isAnnounced].join()
  }

  async #round(isDryRun: boolean): Promise<DomainGarbage> {
    const { committer, domain } = this.#options
    // Readers go by the pointer: what it does not name yet replaces nothing.
    await committer.announce()
    const begun = { state: this.#state(), tableId: committer.nextTableId, oldestMadeAt: null }
    const pass: Pass = isDryRun ? begun : (this.#pass ?? begun)
    // Somebody else may lead by now, and know better what counts.
    await domain.confirm()
    this.#expectLeading()
    const bucket = await this.#collectBucket(isDryRun)
    const rows = new ObjectCollection(this.#options, bucket.objectsUpTo, isDryRun, () =>
      this.#expectLeading(),
    )
    await rows.run(pass)
    if (!isDryRun) this.#ended(rows.isDone, pass, bucket.nextDueAt)
    return reportOf(bucket, rows)
  }

  #ended(isDone: boolean, pass: Pass, bucketDueAt: number | null): void {
    const { garbageDelayMs, preregistrationTtlMs, now } = this.#options
    this.#pass = isDone ? undefined : pass
    if (!isDone) return
    const { oldestMadeAt, state, tableId } = pass
    this.#nextDueAt = bucketDueAt
    if (oldestMadeAt !== null) {
      this.#nextDueAt = least(this.#nextDueAt, oldestMadeAt + preregistrationTtlMs)
    }
    // Uploads that jobs have left unfinished since will be old enough then.
    if (tableId !== this.#seenTableId) {
      this.#nextDueAt = least(this.#nextDueAt, now() + garbageDelayMs)
    }
    this.#seen = state
    this.#seenTableId = tableId
  }

  #collectBucket(isDryRun: boolean): Promise<CollectedGarbage> {
    const { clusterId, committer, domain, log, io, garbageDelayMs, now } = this.#options
    return io.run({
      type: 'collectGarbage',
      clusterId,
      domain: domain.uuid,
      ...committer.collectable,
      epoch: log.term(domain.number),
      delayMs: garbageDelayMs,
      now: now(),
      isDryRun,
      isFirst: domain.number === 0,
    })
  }

  #expectLeading(): void {
    const { domain } = this.#options
    if (domain.leadership === this.#leadership) return
    throw new MetastoreError(
      'UNAVAILABLE',
      `this node does not lead metastore partition ${domain.number}; the rest of its garbage stays`,
    )
  }
}

/** Over all object rows of a domain, in id order, in one round or several. */
interface Pass {
  /** What it began with. */
  readonly state: string
  readonly tableId: number
  /** Where it goes on; absent at the beginning. */
  after?: Uint8Array | undefined
  /** When the oldest preregistration was made that has not expired. */
  oldestMadeAt: number | null
}

/** A round of a pass. */
class ObjectCollection {
  readonly #options: GarbageCollectorOptions
  readonly #upTo: number
  readonly #isDryRun: boolean
  readonly #expectLeading: () => void
  readonly #madeBy: number
  objects = 0
  sizeBytes = 0
  expired = 0
  isDone = false

  constructor(
    options: GarbageCollectorOptions,
    upTo: number,
    isDryRun: boolean,
    expectLeading: () => void,
  ) {
    this.#options = options
    this.#upTo = upTo
    this.#isDryRun = isDryRun
    this.#expectLeading = expectLeading
    this.#madeBy = Math.max(0, options.now() - options.preregistrationTtlMs)
  }

  async run(pass: Pass): Promise<void> {
    const { domain, now } = this.#options
    const endsAt = now() + ROUND_MS
    do {
      const { after } = pass
      const found = await domain.reads.read('scanCollectable', { after, madeBy: this.#madeBy })
      await this.#expire(found.expired)
      await this.#deleteGarbage(found.garbage)
      pass.oldestMadeAt = least(pass.oldestMadeAt, found.oldestMadeAt)
      pass.after = found.next
      this.isDone = found.next === undefined
      // Nobody goes on where a dry run ends.
    } while (!this.isDone && (this.#isDryRun || now() < endsAt))
  }

  async #expire(ids: readonly Uint8Array[]): Promise<void> {
    if (this.#isDryRun) this.expired += ids.length
    else {
      for (const some of chunks(ids)) {
        this.expired += await this.#write(WRITE_KIND.expireObjects, some, this.#madeBy)
      }
    }
  }

  /** Of what is garbage now, what was so in a state that nobody stands before any more. */
  async #deleteGarbage(garbage: CollectableObjects['garbage']): Promise<void> {
    const { domain, io } = this.#options
    for (const some of chunks(garbage)) {
      const ids = some.map(({ id }) => id)
      const states = await domain.reads.readUnchanged('getObjectStates', ids, this.#upTo)
      const old = some.filter((_, i) => states[i] === 'garbage')
      if (old.length === 0) continue
      if (!this.#isDryRun) {
        this.#expectLeading()
        const keys = old.map(({ id }) => objectKey(formatUuid(id)))
        await io.run({ type: 'deleteObjects', keys })
        await this.#write(
          WRITE_KIND.forgetObjects,
          old.map(({ id }) => id),
        )
      }
      this.objects += old.length
      this.sizeBytes += old.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    }
  }

  /** @returns how many rows were changed */
  #write(kind: number, ids: readonly Uint8Array[], madeBy?: number): Promise<number> {
    this.#expectLeading()
    return this.#options.domain.write(
      out => {
        // No request id: once more is no harm.
        out.u8(0).u8(kind)
        if (madeBy !== undefined) out.varint(madeBy)
        for (const id of ids) out.raw(id)
      },
      reader => reader.varint(),
    )
  }
}

function* chunks<T>(all: readonly T[]): Generator<T[]> {
  for (let at = 0; at < all.length; at += OBJECT_IDS_MAX) yield all.slice(at, at + OBJECT_IDS_MAX)
}

function least(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b
  return Math.min(a, b)
}

function reportOf(bucket: CollectedGarbage, rows: ObjectCollection): DomainGarbage {
  const { tables, manifests, tails, uploads, leases, checkpoints, sizeBytes, relatives } = bucket
  return {
    objects: rows.objects,
    ...{ tables, manifests, tails, uploads, leases, checkpoints },
    bytes: sizeBytes + rows.sizeBytes,
    expiredPreregistrations: rows.expired,
    relatives,
    isDone: rows.isDone,
  }
}
