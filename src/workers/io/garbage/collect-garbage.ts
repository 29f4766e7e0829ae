/**
 * Finds and deletes what a domain has in the bucket and nobody refers to any more: tables,
 * manifests, tail objects, leases, checkpoints and unfinished uploads. Reads in the order that
 * decide.ts relies on, and deletes so that whatever is left after a failure is found again.
 */
import { tablePrefix, tailPrefix } from '../../../codec/bucket-layout.ts'
import type { CollectedGarbage, GarbageCollection } from '../../../shared/garbage-tasks.ts'
import type { ObjectStore } from '../../../shared/object-store.ts'
import { BucketAccess } from './bucket-access.ts'
import { type DomainListing, decideGarbage, type Garbage } from './decide.ts'
import { readCheckpoints, readLeases, readManifests, readSurroundings } from './surroundings.ts'

/** @throws what the bucket fails with; whatever was not deleted is found the next time */
export async function collectGarbage(
  store: ObjectStore,
  collection: GarbageCollection,
  deadlineMs: number,
): Promise<CollectedGarbage> {
  const bucket = new BucketAccess(store, deadlineMs)
  const { domain, now, delayMs, isDryRun } = collection
  const listing = await readListing(bucket, collection)
  const garbage = decideGarbage(listing, collection)
  const uploads = await bucket.abortUploads(tablePrefix(domain), now - delayMs, isDryRun)
  if (!isDryRun) await deleteAll(bucket, garbage)
  const { tables, manifests, tails, leases, checkpoints, objectsUpTo, nextDueAt } = garbage
  const all = [tables, manifests, tails, leases, checkpoints].flat()
  return {
    tables: tables.length,
    manifests: manifests.length,
    tails: tails.length,
    leases: leases.length,
    checkpoints: checkpoints.length,
    uploads,
    sizeBytes: all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    relatives: listing.relatives.map(({ clusterId }) => clusterId),
    objectsUpTo,
    nextDueAt,
  }
}

async function readListing(
  bucket: BucketAccess,
  { clusterId, domain }: GarbageCollection,
): Promise<DomainListing> {
  const tables = await bucket.list(tablePrefix(domain))
  const tails = await bucket.list(tailPrefix(domain))
  const manifests = await readManifests(bucket, domain)
  const leases = await readLeases(bucket, domain)
  const checkpoints = await readCheckpoints(bucket, clusterId)
  const surroundings = await readSurroundings(bucket, domain)
  return { tables, tails, manifests, leases, checkpoints, ...surroundings }
}

async function deleteAll(bucket: BucketAccess, garbage: Garbage): Promise<void> {
  const { tables, tails, manifests, leases, checkpoints } = garbage
  // Manifests after tables: while one is there, what it names is found again.
  for (const objects of [tables, tails, manifests, leases, checkpoints]) {
    await bucket.delete(objects.map(({ key }) => key))
  }
}
