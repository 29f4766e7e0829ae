/**
 * Goal: names in the bucket are what the page says, sort as their numbers, and differ when any of
 * their parts does.
 * Method: literals, and a property over pairs of numbers.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import {
  CLUSTER_PREFIX,
  clusterIdOf,
  clusterKey,
  committedKey,
  manifestKey,
  originKey,
  tableKey,
} from '../../src/codec/bucket-layout.ts'

const ID = '00112233-4455-6677-8899-aabbccddeeff'

test('names are those of the page', () => {
  assert.equal(clusterKey(ID), `cluster/${ID}/cluster.json`)
  assert.equal(committedKey(ID), `domain/${ID}/committed`)
  assert.equal(originKey(ID), `domain/${ID}/origin.json`)
  assert.equal(
    manifestKey({ domain: ID, epoch: 3, version: 12 }),
    `domain/${ID}/manifest/00000000000000000003-00000000000000000012`,
  )
  assert.equal(
    tableKey({ domain: ID, epoch: 3, id: Number.MAX_SAFE_INTEGER }),
    `domain/${ID}/table/00000000000000000003-00009007199254740991.sst`,
  )
})

test('a cluster id is found in the key of its file and in no other', () => {
  assert.ok(clusterKey(ID).startsWith(CLUSTER_PREFIX))
  assert.equal(clusterIdOf(clusterKey(ID)), ID)
  const others = [
    `cluster/${ID}/cluster.json.new`,
    `cluster/${ID}/other.json`,
    `x/cluster/${ID}/cluster.json`,
    `cluster/${ID.toUpperCase()}/cluster.json`,
    `cluster/${ID}0/cluster.json`,
    'cluster//cluster.json',
    committedKey(ID),
  ]
  for (const other of others) assert.equal(clusterIdOf(other), undefined, other)
})

test('names sort as epoch, then number, and are equal only for equal numbers', () => {
  const number = fc.oneof(fc.nat(120), fc.maxSafeNat())
  fc.assert(
    fc.property(number, number, number, number, (epochA, a, epochB, b) => {
      const expected = Math.sign(epochA - epochB || a - b)
      for (const name of [tableName, manifestName]) {
        const [left, right] = [name(epochA, a), name(epochB, b)]
        const order = left < right ? -1 : left > right ? 1 : 0
        assert.equal(order, expected)
      }
    }),
  )
})

function tableName(epoch: number, id: number): string {
  return tableKey({ domain: ID, epoch, id })
}

function manifestName(epoch: number, version: number): string {
  return manifestKey({ domain: ID, epoch, version })
}
