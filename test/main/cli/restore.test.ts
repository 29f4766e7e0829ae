/**
 * Goal: `waymark restore` makes a cluster that `waymark serve` can open, prints what it found as
 * JSON, and ends with the right code. Method: the compiled program as a process.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Metastore, type MetastoreOptions, type RestoreReport } from '../../../src/index.ts'
import { temporaryDirectory } from '../../temporary-directory.ts'

const PROGRAM = fileURLToPath(new URL('../../../src/main/cli/waymark.js', import.meta.url))
const place = { topicId: '33333333-3333-4333-8333-333333333333', partition: 0 }

let directory: string
let sourceId: string
before(async () => {
  directory = await temporaryDirectory()
  const source = await Metastore.open(config('source'))
  sourceId = source.clusterId
  await source.records('k').put(place, 'a', Buffer.from('first'))
  await source.checkpoint('one')
  await source.records('k').put(place, 'a', Buffer.from('second'))
  await source.flush()
  await source.close()
})
after(() => rm(directory, { recursive: true }))

function config(name: string): MetastoreOptions {
  const objectStore = `file:${join(directory, 'bucket')}`
  return { dataDir: join(directory, name), objectStore, partitions: 2, workers: 1 }
}

function restore(
  name: string,
  ...args: string[]
): { code: number | null; out: string; err: string } {
  const file = join(directory, `${name}.json`)
  writeFileSync(file, JSON.stringify(config(name)))
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [PROGRAM, 'restore', '--config', file, ...args],
    { encoding: 'utf8', timeout: 60_000 },
  )
  return { code: status, out: stdout, err: stderr }
}

async function valueIn(name: string): Promise<string> {
  const store = await Metastore.open(config(name))
  const value = await store.records('k').get(place, 'a')
  await store.close()
  return `${value && Buffer.from(value)}`
}

test('restores the newest state, a checkpoint, or that of a time', async () => {
  const latest = restore('latest', '--from', sourceId)
  assert.equal(latest.code, 0, latest.err)
  const report = JSON.parse(latest.out) as RestoreReport
  assert.deepEqual([report.sourceId, report.at], [sourceId, 'latest'])
  assert.equal(report.domains.length, 2)
  assert.equal(await valueIn('latest'), 'second')
  assert.equal(restore('one', '--from', sourceId, '--checkpoint', 'one').code, 0)
  assert.equal(await valueIn('one'), 'first')
  const now = new Date().toISOString()
  assert.equal(restore('now', '--from', sourceId, '--timestamp', now, '--partial').code, 0)
  assert.equal(await valueIn('now'), 'second')
})

test('what is wrong is told, and nothing is printed', () => {
  const wrong: [string[], RegExp][] = [
    [[], /--from/],
    [['--from', 'x'], /from\.clusterId/],
    [['--from', sourceId, '--timestamp', 'yesterday'], /--timestamp must be.*yesterday/],
    [['--from', sourceId, '--timestamp', '1', '--checkpoint', 'a'], /both given/],
    [['--from', sourceId, '--timestamp', '1'], /oldest state/],
    [['--from', sourceId, '--checkpoint', 'none'], /has one/],
  ]
  for (const [args, text] of wrong) {
    const { code, out, err } = restore('wrong', ...args)
    assert.deepEqual([code, out], [2, ''], err)
    assert.match(err, text)
  }
  const { code, err } = restore('source', '--from', sourceId)
  assert.equal(code, 1)
  assert.match(err, /already holds/)
})
