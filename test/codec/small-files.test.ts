/**
 * Goal: checkpoints and leases in the bucket are never misread.
 * Method: golden text, a round trip, and every field missing or wrong.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { isCheckpointName } from '../../src/codec/bucket-layout.ts'
import {
  type CheckpointFile,
  decodeCheckpoint,
  encodeCheckpoint,
} from '../../src/codec/checkpoint-file.ts'
import { MetastoreError } from '../../src/codec/errors.ts'
import { decodeLease, encodeLease, type LeaseFile } from '../../src/codec/lease-file.ts'

const ID = '00112233-4455-6677-8899-aabbccddeeff'
const MANIFEST = { domain: ID, epoch: 3, version: 12 }
const MANIFEST_TEXT = `{"domain":"${ID}","epoch":3,"version":12}`

const CHECKPOINT: CheckpointFile = {
  ...{ name: 'before-upgrade', clusterId: ID, createdAt: 5, expiresAt: null },
  domains: [
    { domain: ID, sequence: 7, manifest: MANIFEST },
    { domain: ID, sequence: 0, manifest: null },
  ],
}
const CHECKPOINT_TEXT =
  `{"format":"waymark-checkpoint","version":1,"name":"before-upgrade","clusterId":"${ID}",` +
  `"createdAt":5,"expiresAt":null,"domains":[{"domain":"${ID}","sequence":7,` +
  `"manifest":${MANIFEST_TEXT}},{"domain":"${ID}","sequence":0,"manifest":null}]}\n`

const LEASE: LeaseFile = { readerId: ID, domain: ID, expiresAt: 9, manifest: MANIFEST }
const LEASE_TEXT =
  `{"format":"waymark-lease","version":1,"readerId":"${ID}","domain":"${ID}","expiresAt":9,` +
  `"manifest":${MANIFEST_TEXT}}\n`

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (encoded: Uint8Array): string => new TextDecoder().decode(encoded)

/** Every way to leave a field out or to put something wrong into it, at any depth. */
function spoiled(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [undefined, {}, '-', -1, 1.5]
  return Object.entries(value).flatMap(([key, field]) =>
    spoiled(field).map(bad => {
      const copy = Array.isArray(value) ? [...value] : { ...value }
      Object.assign(copy, { [key]: bad })
      return copy
    }),
  )
}

function refuses(decode: (bytes: Uint8Array, file: string) => unknown, value: unknown): void {
  assert.throws(
    () => decode(bytes(JSON.stringify(value)), 'the/file'),
    (error: unknown) =>
      error instanceof MetastoreError &&
      error.code === 'CORRUPTION' &&
      (error.details as { file: string }).file === 'the/file',
    JSON.stringify(value),
  )
}

test('a checkpoint has its golden text, and nothing else is taken for one', () => {
  assert.equal(text(encodeCheckpoint(CHECKPOINT)), CHECKPOINT_TEXT)
  assert.deepEqual(decodeCheckpoint(bytes(CHECKPOINT_TEXT), 'the/file'), CHECKPOINT)
  for (const bad of spoiled(JSON.parse(CHECKPOINT_TEXT))) refuses(decodeCheckpoint, bad)
  refuses(decodeCheckpoint, null)
})

test('a lease has its golden text, and nothing else is taken for one', () => {
  assert.equal(text(encodeLease(LEASE)), LEASE_TEXT)
  assert.deepEqual(decodeLease(bytes(LEASE_TEXT), 'the/file'), LEASE)
  const empty = { ...LEASE, manifest: null }
  assert.deepEqual(decodeLease(encodeLease(empty), 'the/file'), empty)
  for (const bad of spoiled(JSON.parse(LEASE_TEXT))) refuses(decodeLease, bad)
})

test("a checkpoint's name is part of a key, and cannot leave its place", () => {
  for (const name of ['a', 'before-upgrade_3.1', 'x'.repeat(128)]) assert.ok(isCheckpointName(name))
  for (const name of ['', '.', '..', 'a/b', '-a', 'x'.repeat(129), 'a b', 'ä', 3, null]) {
    assert.ok(!isCheckpointName(name), String(name))
  }
})
