/**
 * Goal: who waits for the commit of what this node has proposed learns when it leads no more.
 * Method: a domain whose worker is the test.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetastoreError } from '../../../src/codec/errors.ts'
import { decodeManifest } from '../../../src/codec/manifest.ts'
import { FakeDomain } from './fake-domain.ts'
import { manifestOf } from './replica-fixture.ts'

const deposed = new MetastoreError('UNAVAILABLE', 'this node leads no more')

test('a commit is waited for only while this node leads', async () => {
  const { domain } = new FakeDomain()
  await assert.rejects(domain.committed(5), { code: 'UNAVAILABLE' })
  domain.beginLeading(0)
  const waiting = domain.committed(5)
  domain.stopLeading(deposed)
  await assert.rejects(waiting, deposed)
  // The entry that gets the index is another one's.
  domain.tookEffect(5, 1)
  await assert.rejects(domain.committed(5), { code: 'UNAVAILABLE' })
})

test('who reads waits for an entry whoever leads', async () => {
  const { domain } = new FakeDomain()
  domain.beginLeading(0)
  const waiting = domain.progress.reached(5)
  domain.stopLeading(deposed)
  domain.tookEffect(5, 1)
  await waiting
})

test('once nobody waits for commits any more, nobody can begin to', async () => {
  const { domain } = new FakeDomain()
  domain.beginLeading(0)
  const waiting = domain.committed(5)
  const closed = new MetastoreError('CLOSED', 'closed')
  domain.endCommits(closed)
  await assert.rejects(waiting, closed)
  await assert.rejects(domain.committed(6), closed)
})

test('a leadership has a number of its own, and none while it is handed over', () => {
  const { domain } = new FakeDomain()
  assert.equal(domain.leadership, 0)
  domain.beginLeading(0)
  const first = domain.leadership
  domain.pauseWrites()
  assert.equal(domain.leadership, 0)
  domain.resumeWrites()
  assert.equal(domain.leadership, first)
  domain.stopLeading(deposed)
  domain.beginLeading(0)
  assert.notEqual(domain.leadership, first)
})

test('what a manifest covers is visible as soon as reads have its tables', async () => {
  const fake = new FakeDomain()
  const { domain } = fake
  domain.tookEffect(3, 3)
  const bytes = manifestOf({ lastSequence: 9, lastIndex: 12 })
  const installed = domain.install(decodeManifest(bytes, 'manifest'), bytes)
  const seen: [number, number][] = []
  // Looks after every step of what resolves.
  const looking = (async () => {
    while (seen.length < 100) {
      seen.push([domain.manifest?.lastSequence ?? 0, domain.visibleSequence])
      await Promise.resolve()
      if (seen.length === 10) void fake.work()
    }
  })()
  await Promise.all([installed, looking])
  assert.deepEqual(new Set(seen.map(String)), new Set(['0,3', '9,9']))
})
