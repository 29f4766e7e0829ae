/**
 * Goal: what belongs to somebody who came after, is about to be committed, or is kept by those who
 * read by a relative, is no garbage; and it is said when more will be.
 * Method: listings by hand.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manifestKey, tableKey, tailKey } from '../../../src/codec/bucket-layout.ts'
import type { CheckpointFile } from '../../../src/codec/checkpoint-file.ts'
import type { LeaseFile } from '../../../src/codec/lease-file.ts'
import type { Manifest, ManifestName } from '../../../src/codec/manifest.ts'
import {
  type BucketObject,
  type DomainListing,
  decideGarbage,
  type Found,
  type Garbage,
} from '../../../src/workers/io/garbage/decide.ts'

const DOMAIN = '11111111-0000-4000-8000-000000000001'
const RELATIVE = '11111111-0000-4000-8000-000000000002'
const CLUSTER = '99999999-0000-4000-8000-000000000000'
const NOW = 10_000
const DELAY_MS = 1000

const NOTHING: DomainListing = {
  ...{ tables: [], tails: [], manifests: [], leases: [], checkpoints: [] },
  ...{ foreignTables: new Set(), relatives: [] },
}

function object(key: string, modifiedAt = 0): BucketObject {
  return { key, sizeBytes: 1, modifiedAt }
}

/** By epoch and version, and each made from the one before. */
function manifestOf(epoch: number, version: number, rest: Partial<Manifest> = {}): Manifest {
  return {
    ...{ clusterId: CLUSTER, domain: DOMAIN, epoch, version },
    parent: version === 1 ? null : { domain: DOMAIN, epoch, version: version - 1 },
    ...{ lastSequence: version * 10, lastIndex: 1, nextTableId: 1, createdAt: 0 },
    ...{ compactionCursors: [], tables: [] },
    ...rest,
  }
}

function found(content: Manifest, modifiedAt = 0): Found<Manifest> {
  return { object: object(manifestKey(content), modifiedAt), content }
}

function lease(manifest: ManifestName | null, expiresAt: number): Found<LeaseFile> {
  const content = { readerId: CLUSTER, domain: DOMAIN, expiresAt, manifest }
  return { object: object('lease'), content }
}

function checkpoint(
  manifest: Manifest,
  expiresAt: number | null,
  domain = DOMAIN,
): Found<CheckpointFile> {
  const domains = [{ domain, sequence: manifest.lastSequence, manifest }]
  const content = { name: 'c', clusterId: CLUSTER, createdAt: 0, expiresAt, domains }
  return { object: object('checkpoint'), content }
}

function decide(
  listing: Partial<DomainListing>,
  committed: ManifestName | null,
  rest: object = {},
): Garbage {
  return decideGarbage(
    { ...NOTHING, ...listing },
    {
      ...{ domain: DOMAIN, committed, epoch: 3, firstIdUnderWay: 7, firstVersionUnderWay: 7 },
      ...{ delayMs: DELAY_MS, now: NOW, announcedAt: 0, isFirst: true, ...rest },
    },
  )
}

test("manifests that are about to be committed stay, and a later leader's", () => {
  const committed = manifestOf(3, 5)
  const names: [number, number, boolean][] = [
    [3, 6, false],
    [3, 7, true],
    [3, 8, true],
    [2, 9, false],
    [4, 1, true],
  ]
  const others = names.map(([epoch, version]) => manifestOf(epoch, version, { parent: committed }))
  const { manifests } = decide({ manifests: [committed, ...others].map(m => found(m)) }, committed)
  const gone = others.filter((_, i) => !names[i][2]).map(manifestKey)
  assert.deepEqual(
    manifests.map(({ key }) => key),
    gone,
  )
})

test('tables of jobs under way stay, and those of a later leader', () => {
  const names = [
    { epoch: 3, id: 6 },
    { epoch: 3, id: 7 },
    { epoch: 2, id: 99 },
    { epoch: 4, id: 1 },
  ].map(name => tableKey({ domain: DOMAIN, ...name }))
  const { tables } = decide({ tables: names.map(key => object(key)) }, null)
  assert.deepEqual(
    tables.map(({ key }) => key),
    [names[0], names[2]],
  )
})

test('objects count as of the newest state that was flushed the delay ago', () => {
  const manifests = [manifestOf(3, 1), manifestOf(3, 2), manifestOf(3, 3)]
  const at = (announcedAt: number, ...times: number[]): Garbage => {
    const all = manifests.map((m, i) => found(m, times[i]))
    return decide({ manifests: all }, manifests[2], { announcedAt })
  }
  const due = NOW - DELAY_MS
  assert.equal(at(0, 0, 1, due).objectsUpTo, 30)
  const young = at(0, 0, 1, due + 1)
  assert.deepEqual([young.objectsUpTo, young.nextDueAt], [10, NOW + 1])
  // A commit may come long after the put, but before the pointer moves and the next one is put.
  assert.equal(at(due + 1, 0, 1, 2).objectsUpTo, 20)
  assert.deepEqual(at(due + 1, 0, 1, 2).manifests.length, 1)
  assert.equal(at(0, NOW - 3, NOW - 2, NOW - 1).objectsUpTo, 0)
  // What was put and never committed says nothing.
  const lost = manifestOf(3, 4, { parent: manifests[1], lastSequence: 99 })
  const all = [...manifests, lost].map(m => found(m))
  assert.equal(decide({ manifests: all }, manifests[2]).objectsUpTo, 30)
})

test('leases and checkpoints hold objects at the oldest state that one of them names', () => {
  const manifests = [manifestOf(3, 1), manifestOf(3, 2), manifestOf(3, 3)]
  const [first, second, third] = manifests
  const all = { manifests: manifests.map(m => found(m)) }
  const tails = [object(tailKey({ domain: DOMAIN, epoch: 3, first: 1, last: 20 }))]
  const upTo = (rest: Partial<DomainListing>): [number, number] => {
    const { objectsUpTo, tails: gone } = decide({ ...all, tails, ...rest }, third)
    return [objectsUpTo, gone.length]
  }
  const live = NOW + 1
  assert.deepEqual(upTo({}), [30, 1])
  assert.deepEqual(upTo({ leases: [lease(second, live), lease(third, live)] }), [20, 1])
  assert.deepEqual(upTo({ leases: [lease(first, live)] }), [10, 0])
  assert.deepEqual(upTo({ leases: [lease(null, live)] }), [0, 0])
  assert.deepEqual(upTo({ leases: [lease(manifestOf(3, 9), live)] }), [0, 0])
  assert.deepEqual(upTo({ leases: [lease(first, NOW - DELAY_MS)] }), [30, 1])
  assert.deepEqual(upTo({ checkpoints: [checkpoint(first, null)] }), [10, 1])
  assert.deepEqual(upTo({ checkpoints: [checkpoint(first, 1)] }), [30, 1])
})

test('those who read by a relative hold objects of the common history', () => {
  const committed = manifestOf(3, 3)
  const theirs = manifestOf(1, 1, { domain: RELATIVE })
  const upTo = (rest: object, sharedUpTo = 25): number => {
    const manifests = [found(theirs)]
    const none = { leases: [], checkpoints: [] }
    const relative = {
      clusterId: CLUSTER,
      domain: RELATIVE,
      sharedUpTo,
      manifests,
      ...none,
      ...rest,
    }
    return decide({ manifests: [found(committed)], relatives: [relative] }, committed).objectsUpTo
  }
  assert.equal(upTo({}), 25)
  assert.equal(upTo({}, 99), 30)
  assert.equal(upTo({ leases: [lease(theirs, NOW)] }), 10)
  assert.equal(upTo({ leases: [lease(null, NOW)] }), 0)
  assert.equal(upTo({ leases: [lease(theirs, 1)] }), 25)
  assert.equal(upTo({ checkpoints: [checkpoint(theirs, null, RELATIVE)] }), 10)
  assert.equal(upTo({ checkpoints: [checkpoint(theirs, 1, RELATIVE)] }), 25)
})

test('it says when the next thing will be old enough', () => {
  const committed = manifestOf(3, 1)
  const listing = { manifests: [found(committed)] }
  const due = (rest: Partial<DomainListing>): number | null =>
    decide({ ...listing, ...rest }, committed).nextDueAt
  assert.equal(due({}), null)
  const young = object(tableKey({ domain: DOMAIN, epoch: 3, id: 1 }), NOW - 10)
  assert.equal(due({ tables: [young] }), NOW - 10 + DELAY_MS)
  assert.equal(due({ leases: [lease(committed, NOW + 5)] }), NOW + 5 + DELAY_MS)
  assert.equal(due({ checkpoints: [checkpoint(committed, NOW + 7)] }), NOW + 7 + DELAY_MS)
  assert.equal(due({ checkpoints: [checkpoint(committed, null)] }), null)
  const all = { tables: [young], leases: [lease(committed, NOW + 5)] }
  assert.equal(due(all), NOW - 10 + DELAY_MS)
})

test('one domain of a cluster deletes its expired checkpoints', () => {
  const checkpoints = [checkpoint(manifestOf(3, 1), 1), checkpoint(manifestOf(3, 1), NOW)]
  assert.deepEqual(decide({ checkpoints }, null).checkpoints, [checkpoints[0].object])
  assert.deepEqual(decide({ checkpoints }, null, { isFirst: false }).checkpoints, [])
})
