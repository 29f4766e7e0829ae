/**
 * A reader with a lease, and a checkpoint, of a cluster whose clocks are apart: by as much as the
 * garbage delay, which is what docs/garbage.md promises. The reader's own clock is behind all.
 */
import assert from 'node:assert/strict'
import {
  checkpointKey,
  committedKey,
  leaseKey,
  manifestKey,
  tableKey,
} from '../../../src/codec/bucket-layout.ts'
import { encodeCheckpoint } from '../../../src/codec/checkpoint-file.ts'
import { decodeCommitted } from '../../../src/codec/committed-pointer.ts'
import { encodeLease } from '../../../src/codec/lease-file.ts'
import { decodeManifest, type Manifest, manifestName } from '../../../src/codec/manifest.ts'
import { begun, FAULT_SETTINGS, garbageGoes } from './fault-play.ts'
import type { NodeSettings } from './settings.ts'
import { CREATED_AT, type Stage, simulateNodes } from './simulation.ts'

const MINUTE_MS = 60_000
const SKEW_MS = 4 * MINUTE_MS
const LEASE_MS = MINUTE_MS
const RENEW_MS = LEASE_MS / 3
const READER = '00000000-0000-4000-8000-00000000000e'
/** Long enough that nothing is kept by the delay alone. */
const READS_MS = 20 * MINUTE_MS
/** Of the one domain nothing but the lease keeps the manifest, of the other the checkpoint. */
const LEASED = 0
const CHECKPOINTED = 1

/** @param bucketSkewMs how far the bucket's clock is ahead of true time */
export async function runClocks(seed: number, bucketSkewMs: number): Promise<void> {
  const settings: Partial<NodeSettings> = {
    ...{ ...FAULT_SETTINGS, electionTimeoutMs: 6000, heartbeatIntervalMs: 2000 },
    ...{ skewMsMax: SKEW_MS, bucketSkewMs, garbageDelayMs: 2 * SKEW_MS },
  }
  await simulateNodes(seed, settings, play)
}

async function play(stage: Stage): Promise<void> {
  await begun(stage)
  await work(stage)
  const leased = await committed(stage, LEASED)
  const checkpointed = await committed(stage, CHECKPOINTED)
  const names = [leased, checkpointed].flatMap(manifest => [
    manifestKey(manifest),
    ...manifest.tables.map(tableKey),
  ])
  const endsAt = readersNow(stage) + READS_MS
  await putCheckpoint(stage, checkpointed, endsAt)
  const expectKept = async (): Promise<void> => {
    for (const name of names) {
      assert.ok(await stage.bucket.head(name), `${name} was collected from under its reader`)
    }
  }
  while (readersNow(stage) < endsAt) {
    const expiresAt = await putLease(stage, leased)
    await work(stage)
    while (readersNow(stage) < expiresAt - RENEW_MS) await stage.pass(RENEW_MS / 4)
    await expectKept()
  }
  // The last one, and the checkpoint, until they have expired by the clock of who made them.
  const expiresAt = await putLease(stage, leased)
  await putCheckpoint(stage, checkpointed, expiresAt)
  while (readersNow(stage) < expiresAt) {
    await work(stage)
    await stage.pass(RENEW_MS / 4)
  }
  await expectKept()
  await garbageGoes(stage)
}

/** Writes, a flush, and a collection, in every domain. */
async function work(stage: Stage): Promise<void> {
  stage.clients.goOn()
  await stage.pass(200)
  stage.clients.pause()
  await stage.expectCalm()
}

function readersNow({ queue }: Stage): number {
  return CREATED_AT + queue.nowMs - SKEW_MS
}

async function committed({ bucket, cluster }: Stage, domain: number): Promise<Manifest> {
  const pointer = await bucket.get(committedKey(cluster.domains[domain]))
  assert.ok(pointer !== null)
  const key = manifestKey(decodeCommitted(pointer, 'pointer'))
  const bytes = await bucket.get(key)
  assert.ok(bytes !== null)
  return decodeManifest(bytes, key)
}

async function putLease(stage: Stage, manifest: Manifest): Promise<number> {
  const { domain } = manifest
  const expiresAt = readersNow(stage) + LEASE_MS
  const lease = { readerId: READER, domain, expiresAt, manifest: manifestName(manifest) }
  await stage.bucket.put(leaseKey(domain, READER), encodeLease(lease))
  return expiresAt
}

async function putCheckpoint(stage: Stage, kept: Manifest, expiresAt: number): Promise<void> {
  const { bucket, cluster } = stage
  const { clusterId } = cluster
  const manifest = manifestName(kept)
  const domains = [{ domain: kept.domain, sequence: kept.lastSequence, manifest }]
  const checkpoint = { name: 'before', clusterId, createdAt: readersNow(stage), expiresAt, domains }
  await bucket.put(checkpointKey(clusterId, 'before'), encodeCheckpoint(checkpoint))
}
