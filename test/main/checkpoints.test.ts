/**
 * Goal: a checkpoint names a manifest of each metastore partition that has all that was written
 * before the call and is there; its name is taken once; bad arguments are refused by name.
 * Method: a store over a bucket in memory; collections that come between are played by the test.
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import { checkpointKey, manifestKey } from '../../src/codec/bucket-layout.ts'
import type { CheckpointFile } from '../../src/codec/checkpoint-file.ts'
import { decodeCheckpoint } from '../../src/codec/checkpoint-file.ts'
import type { ClusterFile } from '../../src/codec/cluster-file.ts'
import { encodeManifest, type Manifest } from '../../src/codec/manifest.ts'
import { Checkpoints } from '../../src/main/checkpoints.ts'
import { IoPool } from '../../src/main/io-pool.ts'
import { MemoryObjectStore } from '../../src/main/object-stores/memory-object-store.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { SourceStore } from './recovery/source-store.ts'

let directory: string
before(async () => {
  directory = await temporaryDirectory()
})
after(() => rm(directory, { recursive: true }))

async function read(source: SourceStore, name: string): Promise<CheckpointFile> {
  const key = checkpointKey(source.store.clusterId, name)
  return decodeCheckpoint((await source.bucket.get(key)) as Uint8Array, key)
}

test('names the flushed manifest of each metastore partition, and its sequence', async () => {
  await using source = await SourceStore.open(directory)
  const { store } = source
  const empty = await store.checkpoint('empty')
  assert.deepEqual(empty.domains, [
    { domain: 0, sequence: 0 },
    { domain: 1, sequence: 0 },
  ])
  assert.equal(empty.expiresAt, null)
  assert.deepEqual((await read(source, 'empty')).domains[0].manifest, null)
  await source.putAll('a')
  const one = await store.checkpoint('one', { ttlMs: 60_000 })
  assert.deepEqual(
    one.domains.map(({ sequence }) => sequence),
    await source.sequences(),
  )
  assert.equal(one.expiresAt, one.createdAt + 60_000)
  for (const [i, { manifest }] of (await read(source, 'one')).domains.entries()) {
    assert.ok(manifest)
    assert.equal(manifestKey(manifest), manifestKey(await source.committed(i)))
  }
  assert.deepEqual(await store.checkpoints(), [empty, one])
  await store.deleteCheckpoint('empty')
  await store.deleteCheckpoint('empty')
  assert.deepEqual(await store.checkpoints(), [one])
})

test('a name is taken once, and must be one', async () => {
  await using source = await SourceStore.open(directory)
  const { store } = source
  await store.checkpoint('one', { ttlMs: 1 })
  const both = await Promise.allSettled([store.checkpoint('two'), store.checkpoint('two')])
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  await assert.rejects(store.checkpoint('one'), { code: 'CONFLICT', message: /checkpoint one/ })
  const wrong: [unknown[], RegExp][] = [
    [['../a'], /name must be.*"\.\.\/a"/],
    [[''], /name must be.*""/],
    [['x'.repeat(129)], /name must be/],
    [[undefined], /name must be.*undefined/],
    [['a', { ttlMs: 0 }], /ttlMs.*0/],
    [['a', { ttlMs: 1.5 }], /ttlMs.*1\.5/],
    [['a', 7], /options.*7/],
  ]
  for (const [[name, options], message] of wrong) {
    const call = store.checkpoint(name as string, options as { ttlMs?: number })
    await assert.rejects(call, { code: 'INVALID_REQUEST', message })
  }
})

const CLUSTER: ClusterFile = {
  clusterId: '11111111-1111-4111-8111-111111111111',
  hashing: 'murmur2',
  domains: ['22222222-2222-4222-8222-222222222222'],
  createdAt: 1,
}
const MANIFEST: Manifest = {
  ...{ clusterId: CLUSTER.clusterId, domain: CLUSTER.domains[0], epoch: 1, version: 1 },
  ...{ parent: null, lastSequence: 5, lastIndex: 5, nextTableId: 1, createdAt: 1 },
  ...{ compactionCursors: [], tables: [] },
}

test('manifests that are collected before they are named are replaced by newer ones', async () => {
  const bucket = new MemoryObjectStore()
  const io = new IoPool({ type: 'object', store: bucket }, { min: 1, max: 1 })
  let version = 0
  let versionsLost = 2
  const checkpoints = new Checkpoints({
    ...{ io, cluster: CLUSTER, now: () => 7 },
    flushed: async () => {
      const manifest = { ...MANIFEST, version: ++version, lastSequence: version }
      if (version > versionsLost) await bucket.put(manifestKey(manifest), encodeManifest(manifest))
      const { domain, epoch } = manifest
      return { sequence: version, manifest: { domain, epoch, version } }
    },
  })
  const made = await checkpoints.create('one', undefined)
  assert.deepEqual(made.domains, [{ domain: 0, sequence: 3 }])
  assert.deepEqual(await checkpoints.list(), [made])
  versionsLost = Number.POSITIVE_INFINITY
  await assert.rejects(checkpoints.create('two', 9), { code: 'UNAVAILABLE', message: /collected/ })
  assert.deepEqual(await checkpoints.list(), [made])
  await io.close()
})
