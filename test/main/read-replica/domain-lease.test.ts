/**
 * Goal: a lease is in the bucket before its manifest is used, is renewed well before it expires,
 * moves with the manifest, and goes at the end. Method: a clock by hand over a bucket in memory that
 * can fail; then a replica's own leases.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { leaseKey, leasePrefix, manifestKey, tableKey } from '../../../src/codec/bucket-layout.ts'
import { decodeLease, type LeaseFile } from '../../../src/codec/lease-file.ts'
import { decodeManifest, type ManifestName } from '../../../src/codec/manifest.ts'
import type { IoRunner } from '../../../src/main/io-pool.ts'
import { MemoryObjectStore } from '../../../src/main/object-stores/memory-object-store.ts'
import { DomainLease } from '../../../src/main/read-replica/domain-lease.ts'
import { isObjectTask, runObjectTask } from '../../../src/shared/object-tasks.ts'
import { FaultyObjectStore } from '../../object-stores/faulty-object-store.ts'
import { ReplicaFixture } from './replica-fixture.ts'

const DOMAIN = '00000000-0000-4000-8000-00000000000d'
const READER = '00000000-0000-4000-8000-00000000000e'
const KEY = leaseKey(DOMAIN, READER)
const LEASE_MS = 900
const NOTHING = new Uint8Array()

class Lease {
  readonly bucket = new FaultyObjectStore(new MemoryObjectStore(), () => null)
  nowMs = 1000
  readonly lease: DomainLease

  constructor() {
    const io = {
      run: async (task: { type: string }) => {
        assert.ok(isObjectTask(task))
        return await runObjectTask(task, this.bucket, { deadlineMs: 60_000, attemptsMax: 1 })
      },
    }
    this.lease = new DomainLease({
      ...{ io: io as unknown as IoRunner, domain: DOMAIN, readerId: READER, leaseMs: LEASE_MS },
      now: () => this.nowMs,
    })
  }

  get writes(): number {
    return this.bucket.calls.filter(({ method }) => method === 'put').length
  }

  async found(): Promise<LeaseFile | undefined> {
    const bytes = await this.bucket.get(KEY)
    return bytes === null ? undefined : decodeLease(bytes, KEY)
  }
}

function manifest(version: number): ManifestName {
  return { domain: DOMAIN, epoch: 1, version }
}

test('a lease is written before a manifest is used, and moves on after', async () => {
  const of = new Lease()
  await of.lease.ensure(manifest(1))
  const expected = { readerId: READER, domain: DOMAIN, expiresAt: 1000 + LEASE_MS }
  assert.deepEqual(await of.found(), { ...expected, manifest: manifest(1) })
  of.nowMs = 1100
  // A live one names an older manifest and keeps every newer one.
  await of.lease.ensure(manifest(2))
  assert.deepEqual((await of.found())?.manifest, manifest(1))
  await of.lease.moveTo(manifest(2))
  assert.deepEqual(await of.found(), { ...expected, expiresAt: 2000, manifest: manifest(2) })
})

test('without a manifest it keeps all', async () => {
  const of = new Lease()
  await of.lease.ensure(null)
  assert.equal((await of.found())?.manifest, null)
})

test('one that has expired, or is about to, is written before the next use', async () => {
  const of = new Lease()
  await of.lease.ensure(manifest(1))
  of.nowMs = 1000 + LEASE_MS - 100
  await of.lease.ensure(manifest(2))
  assert.deepEqual((await of.found())?.manifest, manifest(2))
  assert.equal((await of.found())?.expiresAt, of.nowMs + LEASE_MS)
})

test('a renewal names the same manifest again, once a third of the time has passed', async () => {
  const of = new Lease()
  await of.lease.renew()
  assert.equal(of.writes, 0)
  await of.lease.ensure(manifest(1))
  of.nowMs += LEASE_MS / 3 - 1
  await of.lease.renew()
  assert.equal(of.writes, 1)
  of.nowMs += 1
  await of.lease.renew()
  assert.equal((await of.found())?.expiresAt, of.nowMs + LEASE_MS)
  assert.deepEqual((await of.found())?.manifest, manifest(1))
})

test('when it cannot be written the manifest must not be used', async () => {
  const of = new Lease()
  of.bucket.plan = () => 'errorBefore'
  await assert.rejects(of.lease.ensure(manifest(1)))
  await assert.rejects(of.lease.ensure(manifest(1)))
  of.bucket.plan = () => null
  await of.lease.ensure(manifest(1))
  assert.deepEqual((await of.found())?.manifest, manifest(1))
})

test('a release deletes it, also one that was written without an answer, and it stays gone', async () => {
  const of = new Lease()
  of.bucket.plan = () => 'errorAfter'
  await assert.rejects(of.lease.ensure(manifest(1)))
  assert.ok((await of.bucket.head(KEY).catch(() => null)) === null)
  of.bucket.plan = () => null
  assert.ok((await of.found()) !== undefined)
  const writing = of.lease.moveTo(manifest(2))
  await of.lease.release()
  await writing
  await of.lease.moveTo(manifest(3))
  await of.lease.renew()
  assert.equal(await of.found(), undefined)
})

test("a replica's leases are there before its manifests are read, renewed, moved and removed", async () => {
  const fixture = await ReplicaFixture.open({ partitions: 2 })
  try {
    await fixture.put('a', '1')
    await fixture.store.flush()
    const bucket = new FaultyObjectStore(fixture.bucket, () => null)
    const replica = await fixture.openReplica({ objectStore: bucket, leaseMs: 400 })
    const domains = await fixture.domains()
    const leases = async (): Promise<(LeaseFile | undefined)[]> => {
      const found = domains.map(async domain => {
        const [object] = (await fixture.bucket.list(leasePrefix(domain))).objects
        const bytes = object === undefined ? null : await fixture.bucket.get(object.key)
        return bytes === null ? undefined : decodeLease(bytes, object.key)
      })
      return await Promise.all(found)
    }
    const [first] = (await leases()).filter(lease => lease?.manifest !== null)
    assert.ok(first !== undefined)
    // The other domain has no manifest: all that it may get is kept.
    assert.equal((await leases()).filter(lease => lease?.manifest === null).length, 1)
    const keys = bucket.calls.map(({ key }) => key)
    const manifestRead = keys.findIndex(key => key.includes(`${first.domain}/manifest/`))
    const leaseWritten = keys.findIndex(key => key.includes(`${first.domain}/lease/`))
    assert.ok(leaseWritten >= 0 && leaseWritten < manifestRead, `${leaseWritten} ${manifestRead}`)

    const endsAt = performance.now() + 20_000
    for (;;) {
      const now = Date.now()
      const left = (await leases()).map(lease => (lease?.expiresAt ?? 0) - now)
      const isRenewed = (await leases()).every(lease => (lease?.expiresAt ?? 0) > first.expiresAt)
      if (isRenewed && left.every(ms => ms > 0)) break
      assert.ok(performance.now() < endsAt, 'the leases were not renewed')
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    await fixture.put('a', '2')
    await fixture.store.flush()
    await replica.refresh()
    const [moved] = (await leases()).filter(lease => lease?.domain === first.domain)
    assert.ok((moved?.manifest?.version ?? 0) > (first.manifest?.version ?? 0))
    await replica.close()
    assert.deepEqual(await leases(), [undefined, undefined])
  } finally {
    await fixture.close()
  }
})

test('a flush and a collection right after the pointer was read take nothing away', async () => {
  const fixture = await ReplicaFixture.open({ partitions: 1, garbageDelayMs: 0 })
  try {
    await fixture.put('a', '1')
    await fixture.store.flush()
    const [domain] = await fixture.domains()
    const deleteNow = fixture.bucket.delete.bind(fixture.bucket)
    let letDelete = (): void => {}
    const mayDelete = new Promise<void>(resolve => {
      letDelete = resolve
    })
    // What the collector has listed by now it deletes when the replica has its manifest.
    const bucket = new FaultyObjectStore(fixture.bucket, () => null)
    let collected: Promise<unknown> | undefined
    const get = bucket.get.bind(bucket)
    bucket.get = async (key, options) => {
      const bytes = await get(key, options)
      if (key.endsWith('/committed') && collected === undefined) {
        await fixture.put('a', '2')
        await fixture.store.flush()
        await fixture.store.compact()
        let hasListed = (): void => {}
        const listed = new Promise<void>(resolve => {
          hasListed = resolve
        })
        fixture.bucket.delete = async (...args) => {
          hasListed()
          await mayDelete
          await deleteNow(...args)
        }
        collected = fixture.store.collectGarbage()
        await Promise.race([listed, collected])
      }
      return bytes
    }
    await fixture.openReplica({ objectStore: bucket })
    letDelete()
    assert.ok(collected !== undefined)
    await collected
    const [{ key: lease }] = (await fixture.bucket.list(leasePrefix(domain))).objects
    const { manifest: name } = decodeLease((await fixture.bucket.get(lease)) ?? NOTHING, lease)
    assert.ok(name !== null)
    const bytes = await fixture.bucket.get(manifestKey(name))
    assert.ok(bytes !== null, 'the manifest that the replica reads by was collected')
    for (const table of decodeManifest(bytes, 'manifest').tables) {
      assert.ok(await fixture.bucket.head(tableKey(table)), `${tableKey(table)} was collected`)
    }
  } finally {
    await fixture.close()
  }
})
