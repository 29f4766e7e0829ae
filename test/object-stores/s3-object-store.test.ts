/**
 * Goal: the S3 store keeps the contract, and what S3 does differently stays inside of it.
 * Method: the contract suite and a few calls more against a real server.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { CreateMultipartUploadCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { S3ObjectStore } from '../../src/workers/io/s3/s3-object-store.ts'
import { FaultProxy } from '../s3/fault-proxy.ts'
import {
  BUCKET,
  freshLocation,
  makeBucket,
  serverEndpoint,
  unfinishedUploads,
  withClient,
  withoutServer,
} from '../s3/s3-server.ts'
import { bytes, keysOf, objectStoreContract } from './contract.ts'

describe('the S3 store', { skip: withoutServer }, () => {
  before(makeBucket)

  objectStoreContract('S3', async () => {
    const store = new S3ObjectStore(freshLocation())
    return { store, close: () => store.close() }
  })

  test('two prefixes of a bucket, and the bucket itself, are three stores', async () => {
    const locations = [freshLocation(), freshLocation()]
    const [one, two] = locations.map(location => new S3ObjectStore(location))
    const whole = new S3ObjectStore({ ...locations[0], prefix: '' })
    await one.put('k', bytes(1))
    await two.put('k', bytes(2))
    assert.deepEqual(await keysOf(one, ''), ['k'])
    assert.deepEqual(await whole.get(`${locations[1].prefix}k`), bytes(2))
    await Promise.all([one, two, whole].map(store => store.close()))
  })

  test('what others put below the prefix under names that are no keys is passed over', async () => {
    const location = freshLocation()
    const store = new S3ObjectStore(location)
    for (const name of ['folder/', 'a//b', 'caf\u00e9']) {
      const input = { Bucket: BUCKET, Key: location.prefix + name, Body: 'x' }
      await withClient(client => client.send(new PutObjectCommand(input)))
    }
    await store.put('k', bytes(1))
    assert.deepEqual(await keysOf(store, ''), ['k'])
    assert.deepEqual(await keysOf(store, '', 1), ['k'])
    await store.close()
  })

  test('credentials and region that are not given come from the environment', async () => {
    const location = freshLocation()
    const { credentials, region: _, ...options } = location.options
    process.env.AWS_ACCESS_KEY_ID = credentials?.accessKeyId
    process.env.AWS_SECRET_ACCESS_KEY = credentials?.secretAccessKey
    const store = new S3ObjectStore({ ...location, options })
    try {
      assert.equal(await store.put('k', bytes(1)), 'created')
    } finally {
      delete process.env.AWS_ACCESS_KEY_ID
      delete process.env.AWS_SECRET_ACCESS_KEY
      await store.close()
    }
  })
})

describe('requests of the S3 store', { skip: withoutServer }, () => {
  let proxy: FaultProxy
  before(async () => {
    await makeBucket()
    proxy = await FaultProxy.listen(serverEndpoint())
  })
  after(() => proxy.close())

  test('thousands of keys are deleted by a request each thousand', async () => {
    const store = new S3ObjectStore(freshLocation(proxy.endpoint))
    const keys = Array.from({ length: 2_500 }, (_, i) => `many/${i}`)
    for (const key of [keys[0], keys[1_700], keys[2_499]]) await store.put(key, bytes(1))
    proxy.requests.length = 0
    await store.delete(keys)
    assert.equal(proxy.requests.length, 3)
    assert.deepEqual(await keysOf(store, ''), [])
    await store.close()
  })

  test('bodies have a checksum, whole and in parts', async () => {
    const store = new S3ObjectStore(freshLocation(proxy.endpoint))
    proxy.requests.length = 0
    await store.put('small', bytes(10))
    await store.put('large', new Uint8Array(9 * 1024 * 1024))
    const puts = proxy.requests.filter(({ method }) => method === 'PUT')
    assert.equal(puts.length, 3)
    for (const { headers } of puts) assert.ok(headers['x-amz-checksum-crc32'] !== undefined)
    await store.close()
  })

  test('unfinished uploads below a prefix and before a time are counted and aborted', async () => {
    const location = freshLocation()
    const store = new S3ObjectStore(location)
    const begin = (key: string) =>
      withClient(client =>
        client.send(
          new CreateMultipartUploadCommand({ Bucket: BUCKET, Key: location.prefix + key }),
        ),
      )
    for (const key of ['a/1', 'a/1', 'a/2', 'b/1']) await begin(key)
    const before = Date.now() + 60_000
    assert.deepEqual(await store.abortUploads('', { before: 0 }), { uploads: 0 })
    assert.deepEqual(await store.abortUploads('', { before, dryRun: true }), { uploads: 4 })
    assert.deepEqual(await store.abortUploads('a/', { before }), { uploads: 3 })
    assert.equal(await unfinishedUploads(location.prefix), 1)
    assert.deepEqual(await store.abortUploads('', { before }), { uploads: 1 })
    assert.equal(await unfinishedUploads(location.prefix), 0)
    await store.close()
  })
})
