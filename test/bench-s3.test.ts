/**
 * Goal: the benches of a bucket keep working on S3. Method: the compiled program runs in its small
 * mode against a real server; it checks its answers itself.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Figure } from '../bench/measure.ts'
import type { SetUp } from '../bench/report.ts'
import { serverEndpoint, withoutServer } from './s3/s3-server.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const PROGRAM = fileURLToPath(new URL('../bench/all.js', import.meta.url))
const WORKLOADS = ['replica-cold-start', 'restore', 'bucket']

test('what is measured on a directory is measured on S3 as well', {
  skip: withoutServer,
}, async () => {
  const directory = await temporaryDirectory()
  const [runs, jsonPath] = [join(directory, 'runs'), join(directory, 'results.json')]
  const options = ['--small', '--peers', 'none', '--directory', runs, '--json', jsonPath]
  const args = [PROGRAM, ...options, '--only', WORKLOADS.join()]
  const { stderr } = await promisify(execFile)(process.execPath, args)
  assert.equal(stderr, '')
  const results = JSON.parse(readFileSync(jsonPath, 'utf8')) as { setUp: SetUp; figures: Figure[] }
  assert.ok(results.setUp.stores.some(({ version }) => version === serverEndpoint()))
  for (const workload of WORKLOADS) {
    const of = results.figures.filter(figure => figure.workload === workload)
    const [onS3, onDirectory] = ['S3, ', 'directory, '].map(name =>
      of.filter(({ variant }) => variant.startsWith(name)),
    )
    assert.ok(onS3.length > 0 && onS3.length === onDirectory.length, workload)
    for (const { checked, variant } of onS3) assert.ok(checked > 0, variant)
  }
  assert.deepEqual(readdirSync(runs), [])
  await rm(directory, { recursive: true })
})
