/**
 * Those who use a domain's objects from outside: readers that hold a lease, checkpoints, and
 * restores that make a cluster of their own.
 */
import {
  checkpointKey,
  clusterKey,
  committedKey,
  leaseKey,
  manifestKey,
  originKey,
  tailOfKey,
} from '../../../src/codec/bucket-layout.ts'
import { encodeCheckpoint } from '../../../src/codec/checkpoint-file.ts'
import { encodeCluster } from '../../../src/codec/cluster-file.ts'
import { decodeCommitted, encodeCommitted } from '../../../src/codec/committed-pointer.ts'
import { encodeLease } from '../../../src/codec/lease-file.ts'
import { decodeManifest, encodeManifest, type Manifest } from '../../../src/codec/manifest.ts'
import { putOrigins } from '../../../src/main/recovery/put-origins.ts'
import type { IoResults, IoTask } from '../../../src/shared/io-tasks.ts'
import type { ObjectStore } from '../../../src/shared/object-store.ts'
import { runIoTask } from '../../../src/workers/io/run-io-task.ts'
import { clusterOf, keysOf, SimDomain } from './sim-domain.ts'
import type { World } from './world.ts'

const HELD_MS = 400

/** The manifest that the pointer names; null before the first one. */
async function readCommitted(bucket: ObjectStore, domain: string): Promise<Manifest | null> {
  for (;;) {
    const pointer = await bucket.get(committedKey(domain))
    if (pointer === null) return null
    const key = manifestKey(decodeCommitted(pointer, 'pointer'))
    const bytes = await bucket.get(key)
    if (bytes !== null) return decodeManifest(bytes, key)
  }
}

/** Puts something that names the committed manifest, until the pointer has not moved meanwhile. */
async function hold(
  bucket: ObjectStore,
  domain: SimDomain,
  put: (manifest: Manifest) => Promise<unknown>,
): Promise<Manifest | null> {
  for (;;) {
    const manifest = await readCommitted(bucket, domain.uuid)
    if (manifest === null) return null
    await put(manifest)
    const pointer = await bucket.get(committedKey(domain.uuid))
    const named = pointer === null ? '' : manifestKey(decodeCommitted(pointer, 'pointer'))
    if (named === manifestKey(manifest)) return manifest
  }
}

/** Reads by one manifest after the other, and goes without a word. */
export async function readByLease(world: World, domain: SimDomain): Promise<void> {
  const { bucket, dice, store } = world
  const readerId = world.uuid()
  for (let round = dice.whole(1, 3); round > 0; round--) {
    let until = 0
    const manifest = await hold(bucket, domain, held => {
      until = world.now + dice.whole(0, 2 * HELD_MS)
      const lease = { readerId, domain: domain.uuid, expiresAt: until, manifest: held }
      return bucket.put(leaseKey(domain.uuid, readerId), encodeLease(lease))
    })
    if (manifest === null) return
    const tails = [...store.keys].filter(key => {
      const name = tailOfKey(key)
      return name?.domain === domain.uuid && name.last > manifest.lastSequence
    })
    const holder = {
      who: `reader ${readerId} of version ${manifest.version}`,
      keys: [...keysOf(manifest), ...tails, ...domain.objectsAt(manifest.lastSequence)],
      until,
    }
    domain.holders.push(holder)
    while (world.now < until) await world.turn()
  }
}

export async function makeCheckpoint(world: World, domain: SimDomain): Promise<void> {
  const { bucket, dice } = world
  let until = 0
  const manifest = await hold(bucket, domain, held => {
    const { clusterId } = domain
    until = world.now + dice.whole(0, 3 * HELD_MS)
    const name = `c-${world.uuid()}`
    const named = { domain: domain.uuid, sequence: held.lastSequence, manifest: held }
    const times = { createdAt: world.now, expiresAt: until }
    const file = encodeCheckpoint({ name, clusterId, ...times, domains: [named] })
    return bucket.put(checkpointKey(clusterId, name), file)
  })
  if (manifest === null) return
  const keys = [...keysOf(manifest), ...domain.objectsAt(manifest.lastSequence)]
  domain.holders.push({ who: `a checkpoint of version ${manifest.version}`, keys, until })
}

/**
 * A new cluster from the newest state, and a part of what came after it, as a restored tail does.
 * @param bucket by steps, or at once when the delay is too short for that
 */
export async function restore(
  world: World,
  bucket: ObjectStore,
  source: SimDomain,
  delayMs: number,
): Promise<SimDomain | undefined> {
  const ancestor = await readCommitted(bucket, source.uuid)
  if (ancestor === null) return undefined
  const upTo = world.dice.whole(ancestor.lastSequence, source.changes.length)
  const domain = new SimDomain(world, world.uuid(), source.changes.slice(0, upTo))
  const { uuid, clusterId } = domain
  const begun = { who: 'a restore under way', until: Number.POSITIVE_INFINITY }
  const holder = { ...begun, keys: [...keysOf(ancestor), ...[...source.objectsAt(upTo)]] }
  if (bucket !== world.store) holder.until = world.now + delayMs
  source.holders.push(holder)
  const io = {
    run: async <T extends IoTask>(task: T): Promise<IoResults[T['type']]> =>
      (await runIoTask(task, {
        ...{ bucket, deadlineMs: 60_000 },
        cacheOf: () => ({ write: async () => false, writeRange: async () => false }),
      })) as IoResults[T['type']],
  }
  const { lastSequence } = ancestor
  await putOrigins(io, [{ domain: uuid, ancestor: source.uuid, sequence: lastSequence }])
  await bucket.put(clusterKey(clusterId), encodeCluster(clusterOf(domain)))
  const adopted: Manifest = {
    ...ancestor,
    ...{ clusterId, domain: uuid, epoch: ancestor.epoch + 1, version: ancestor.version + 1 },
    parent: { domain: source.uuid, epoch: ancestor.epoch, version: ancestor.version },
  }
  await bucket.put(manifestKey(adopted), encodeManifest(adopted))
  await bucket.put(committedKey(uuid), encodeCommitted(adopted))
  source.holders = source.holders.filter(one => one !== holder)
  domain.committed = adopted
  domain.epoch = adopted.epoch
  domain.shipped = upTo
  return domain
}

/** The cluster of a domain is gone for good: only what others refer to of it is left. */
export async function retire(world: World, domain: SimDomain): Promise<void> {
  await world.store.delete([clusterKey(domain.clusterId), originKey(domain.uuid)])
}
