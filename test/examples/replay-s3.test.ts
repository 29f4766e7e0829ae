/**
 * Goal: a whole trace is answered right with its tables in S3, over reopening, crash and restore.
 * Method: the replay example as a process, on the largest trace that is there.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { S3ObjectStore } from '../../src/workers/io/s3/s3-object-store.ts'
import { keysOf } from '../object-stores/contract.ts'
import { freshLocation, makeBucket, serverEndpoint, withoutServer } from '../s3/s3-server.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const PROGRAM = fileURLToPath(new URL('../../examples/replay/replay.js', import.meta.url))

if (withoutServer === false) before(makeBucket)

test('a whole trace is answered right on S3', { skip: withoutServer }, async () => {
  const location = freshLocation()
  const { bucket, prefix, options } = location
  const directory = await temporaryDirectory()
  const store = ['--store', `s3://${bucket}/${prefix}`, '--endpoint', serverEndpoint()]
  const args = [PROGRAM, '--quiet', '--directory', directory, ...store]
  const env = {
    ...process.env,
    AWS_ACCESS_KEY_ID: options.credentials?.accessKeyId,
    AWS_SECRET_ACCESS_KEY: options.credentials?.secretAccessKey,
  }
  const { stdout } = await promisify(execFile)(process.execPath, args, { env })
  assert.equal(stdout.trimEnd().split('\n').at(-1), 'all answers right')
  for (const when of ['after the reopening', 'after the restore', 'after the crash']) {
    assert.ok(stdout.includes(`answers ${when}: right`), when)
  }
  const objects = new S3ObjectStore(location)
  assert.ok((await keysOf(objects, '')).some(key => key.endsWith('.sst')))
  await objects.close()
  await rm(directory, { recursive: true })
})
