/**
 * Finds and deletes what a domain has in the bucket and nobody refers to any more: tables and
 * manifests of failed or cancelled attempts, and those that later manifests have replaced.
 *
 * Kept are: the committed manifest; every manifest that was replaced less than the delay ago, for
 * whoever began to read by it; all manifests of other domains, since a restored cluster refers to
 * its ancestor's tables until its own collection is past that; every table that a kept manifest
 * names; tables of jobs under way; and whatever is younger than the delay.
 */
import {
  CLUSTER_PREFIX,
  clusterIdOf,
  manifestKey,
  manifestOfKey,
  manifestPrefix,
  tableKey,
  tableOfKey,
  tablePrefix,
} from '../../codec/bucket-layout.ts'
import { decodeCluster } from '../../codec/cluster-file.ts'
import { decodeManifest, type Manifest, type ManifestName } from '../../codec/manifest.ts'
import type { CollectedTables, TableCollection } from '../../shared/io-tasks.ts'
import type { ObjectPage, ObjectStore } from '../../shared/object-store.ts'
import { withRetry } from '../../shared/retry.ts'

const DELETED_AT_ONCE = 1000

type BucketObject = ObjectPage['objects'][number]

interface FoundManifest {
  object: BucketObject
  manifest: Manifest
}

/**
 * When each manifest was replaced by the one made from it, along the chain of the committed one.
 * Those outside the chain never counted.
 */
function replacements(
  found: ReadonlyMap<string, FoundManifest>,
  committed: ManifestName | null,
): Map<string, number> {
  const replacedAt = new Map<string, number>()
  let child = committed === null ? undefined : found.get(manifestKey(committed))
  while (child !== undefined && child.manifest.parent !== null) {
    const parent = manifestKey(child.manifest.parent)
    replacedAt.set(parent, child.object.modifiedAt)
    child = found.get(parent)
  }
  return replacedAt
}

/** @throws what the bucket fails with; whatever was not deleted is found the next time */
export async function collectTables(
  bucket: ObjectStore,
  collection: TableCollection,
  deadlineMs: number,
): Promise<CollectedTables> {
  return new TableCollector(bucket, collection, deadlineMs).run()
}

class TableCollector {
  readonly #bucket: ObjectStore
  readonly #collection: TableCollection
  readonly #deadlineMs: number
  /** Names of the tables that somebody refers to. */
  readonly #kept = new Set<string>()

  constructor(bucket: ObjectStore, collection: TableCollection, deadlineMs: number) {
    this.#bucket = bucket
    this.#collection = collection
    this.#deadlineMs = deadlineMs
  }

  async run(): Promise<CollectedTables> {
    const { domain, isDryRun } = this.#collection
    // Tables first: one that is uploaded and committed meanwhile is not in the list.
    const listed = await this.#list(tablePrefix(domain))
    const manifests = await this.#oldManifests()
    await this.#keepOthers()
    const tables = listed.filter(object => this.#isGarbage(object))
    if (!isDryRun) {
      // Manifests last: while one is there, what it names is found again.
      await this.#delete(tables)
      await this.#delete(manifests)
    }
    const sizeBytes = [...tables, ...manifests].reduce((sum, object) => sum + object.sizeBytes, 0)
    return { tables: tables.length, manifests: manifests.length, sizeBytes }
  }

  /** The domain's manifests that nobody reads by any more; the tables of the others are kept. */
  async #oldManifests(): Promise<BucketObject[]> {
    const { committed, domain } = this.#collection
    const found = new Map<string, FoundManifest>()
    for (const object of await this.#list(manifestPrefix(domain))) {
      const manifest = await this.#manifest(object.key)
      if (manifest !== undefined) found.set(object.key, { object, manifest })
    }
    const replacedAt = replacements(found, committed)
    const old: BucketObject[] = []
    for (const [key, { object, manifest }] of found) {
      const isCommitted = committed !== null && manifestKey(committed) === key
      if (!isCommitted && this.#isPastDelay(replacedAt.get(key) ?? object.modifiedAt)) {
        old.push(object)
      } else this.#keepTablesOf(manifest)
    }
    return old
  }

  /** What the manifests of other domains name of this one's tables. */
  async #keepOthers(): Promise<void> {
    const { domain } = this.#collection
    for (const { key } of await this.#list(CLUSTER_PREFIX)) {
      if (clusterIdOf(key) === undefined) continue
      const bytes = await this.#get(key)
      const domains = bytes === null ? [] : decodeCluster(bytes, key).domains
      for (const other of domains) if (other !== domain) await this.#keepAllOf(other)
    }
  }

  async #keepAllOf(domain: string): Promise<void> {
    for (const { key } of await this.#list(manifestPrefix(domain))) {
      const manifest = await this.#manifest(key)
      if (manifest !== undefined) this.#keepTablesOf(manifest)
    }
  }

  /** Undefined when it has gone since it was listed: its own domain has collected it. */
  async #manifest(key: string): Promise<Manifest | undefined> {
    const bytes = manifestOfKey(key) === undefined ? null : await this.#get(key)
    return bytes === null ? undefined : decodeManifest(bytes, key)
  }

  #keepTablesOf({ tables }: Manifest): void {
    for (const table of tables) this.#kept.add(tableKey(table))
  }

  #isGarbage({ key, modifiedAt }: BucketObject): boolean {
    const name = tableOfKey(key)
    if (name === undefined || this.#kept.has(key) || !this.#isPastDelay(modifiedAt)) return false
    const { epoch, firstIdUnderWay } = this.#collection
    return name.epoch < epoch || (name.epoch === epoch && name.id < firstIdUnderWay)
  }

  #isPastDelay(time: number): boolean {
    return time <= this.#collection.now - this.#collection.delayMs
  }

  async #list(prefix: string): Promise<BucketObject[]> {
    const objects: BucketObject[] = []
    let after: string | undefined
    for (;;) {
      const page = await withRetry({ deadlineMs: this.#deadlineMs }, signal =>
        this.#bucket.list(prefix, after === undefined ? { signal } : { signal, after }),
      )
      objects.push(...page.objects)
      if (page.next === null) return objects
      after = page.next
    }
  }

  #get(key: string): Promise<Uint8Array | null> {
    return withRetry({ deadlineMs: this.#deadlineMs }, signal => this.#bucket.get(key, { signal }))
  }

  async #delete(objects: readonly BucketObject[]): Promise<void> {
    for (let at = 0; at < objects.length; at += DELETED_AT_ONCE) {
      const keys = objects.slice(at, at + DELETED_AT_ONCE).map(({ key }) => key)
      await withRetry({ deadlineMs: this.#deadlineMs }, signal =>
        this.#bucket.delete(keys, { signal }),
      )
    }
  }
}
