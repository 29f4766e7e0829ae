/** Goal: who a read replica is, is never misread. Method: golden text, and what is like it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { MetastoreError } from '../../src/codec/errors.ts'
import { decodeReplica, encodeReplica } from '../../src/codec/replica-file.ts'

const READER = '00112233-4455-6677-8899-aabbccddeeff'
const CLUSTER = 'ffeeddcc-bbaa-9988-7766-554433221100'
const IDS = `"readerId":"${READER}","clusterId":"${CLUSTER}"`
const TEXT = `{"format":"waymark-replica","version":1,${IDS}}\n`

test('a replica has its golden text, and nothing else is taken for one', () => {
  const replica = { readerId: READER, clusterId: CLUSTER }
  assert.equal(new TextDecoder().decode(encodeReplica(replica)), TEXT)
  assert.deepEqual(decodeReplica(new TextEncoder().encode(TEXT), 'the/file'), replica)
  const spoiled = [
    TEXT.replace('waymark-replica', 'waymark-lease'),
    TEXT.replace('"version":1', '"version":2'),
    TEXT.replace(READER, 'me'),
    TEXT.replace('clusterId', 'cluster'),
    TEXT.slice(0, -10),
    'null',
  ]
  for (const text of spoiled) {
    assert.throws(
      () => decodeReplica(new TextEncoder().encode(text), 'the/file'),
      (error: unknown) =>
        error instanceof MetastoreError &&
        error.code === 'CORRUPTION' &&
        (error.details as { file: string }).file === 'the/file',
      text,
    )
  }
})
