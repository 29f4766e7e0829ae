/**
 * Goal: a cluster's identity is written once and for all, and never misread.
 * Method: golden text, a round trip by property, and every field missing or wrong.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { type ClusterFile, decodeCluster, encodeCluster } from '../../src/codec/cluster-file.ts'
import { MetastoreError } from '../../src/codec/errors.ts'

const ID = '00112233-4455-6677-8899-aabbccddeeff'
const DOMAINS = ['11111111-2222-4333-8444-555555555555', '66666666-7777-4888-9999-aaaaaaaaaaaa']
const CLUSTER: ClusterFile = { clusterId: ID, hashing: 'murmur2', domains: DOMAINS, createdAt: 7 }
const GOLDEN = `{
  "format": "waymark-cluster",
  "version": 1,
  "clusterId": "${ID}",
  "hashing": "murmur2",
  "domains": [
    "${DOMAINS[0]}",
    "${DOMAINS[1]}"
  ],
  "createdAt": 7
}
`
const encoder = new TextEncoder()

test('the founders of a cluster of several are in its text', () => {
  const several = { ...CLUSTER, founders: [1, 2, 30] }
  assert.deepEqual(decodeCluster(encodeCluster(several), 'the/file'), several)
  const text = new TextDecoder().decode(encodeCluster(several))
  for (const wrong of ['[]', '[0]', '["a"]', '7']) {
    const founders = /\[\s*1,\s*2,\s*30\s*\]/
    refuses(encoder.encode(text.replace(founders, wrong)), 'founders')
  }
})

function refuses(bytes: Uint8Array, named: string, why = named): void {
  assert.throws(
    () => decodeCluster(bytes, 'the/file'),
    (error: unknown) =>
      error instanceof MetastoreError &&
      error.code === 'CORRUPTION' &&
      error.message.includes('the/file') &&
      error.message.includes(named) &&
      (error.details as { file: string }).file === 'the/file',
    why,
  )
}

test('a cluster has its golden text', () => {
  assert.equal(new TextDecoder().decode(encodeCluster(CLUSTER)), GOLDEN)
  assert.deepEqual(decodeCluster(encoder.encode(GOLDEN), 'the/file'), CLUSTER)
})

test('every cluster comes back', () => {
  const domains = fc.array(fc.uuid(), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(fc.uuid(), domains, fc.maxSafeNat(), (clusterId, uuids, createdAt) => {
      const cluster: ClusterFile = { clusterId, hashing: 'murmur2', domains: uuids, createdAt }
      assert.deepEqual(decodeCluster(encodeCluster(cluster), 'the/file'), cluster)
    }),
  )
})

test('a field that is missing or wrong is CORRUPTION naming the file and the field', () => {
  const good = { format: 'waymark-cluster', version: 1, ...CLUSTER }
  const bad: Record<string, unknown[]> = {
    format: [undefined, 'waymark-committed', 1],
    version: [undefined, 0, 2, '1'],
    clusterId: [undefined, 'x', ID.toUpperCase(), 5],
    hashing: [undefined, 'crc32', ''],
    domains: [undefined, [], 'x', {}, [DOMAINS[0], 'x'], [null]],
    createdAt: [undefined, '7', 1.5, null, 2 ** 53],
  }
  for (const [field, values] of Object.entries(bad)) {
    for (const value of values) {
      const text = JSON.stringify({ ...good, [field]: value })
      refuses(encoder.encode(text), field, text)
    }
  }
})

test('what is no JSON object is CORRUPTION', () => {
  for (const text of ['', '{', 'null', '5', '"x"', '[]']) refuses(encoder.encode(text), '', text)
  refuses(Uint8Array.of(0x7b, 0xff, 0x7d), 'not JSON')
  const bytes = encoder.encode(GOLDEN.trimEnd())
  for (let length = 0; length < bytes.length; length++) {
    refuses(bytes.subarray(0, length), 'not JSON', `${length} bytes`)
  }
})
