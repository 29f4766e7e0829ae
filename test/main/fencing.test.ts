/**
 * Goal: of two writers that both take themselves for the leader, the deposed one can neither
 * overwrite what the other has put into the bucket nor make its own state the one that is found.
 * Method: a dataDir is copied and both copies are opened, the second in a newer term; over a bucket
 * in memory, in a directory, and on a real S3 server.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { Metastore, type MetastoreOptions } from '../../src/index.ts'
import { freshLocation, makeBucket, withoutServer } from '../s3/s3-server.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const TP = { topicId: randomUUID(), partition: 0 }
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

type Bucket = Pick<MetastoreOptions, 'objectStore' | 's3'>

async function writersFence(bucket: (directory: string) => Bucket): Promise<void> {
  const directory = await temporaryDirectory()
  try {
    const settings = { ...bucket(directory), partitions: 1, workers: 1 }
    const at = (name: string): MetastoreOptions => ({
      ...settings,
      dataDir: join(directory, name),
    })
    const put = (store: Metastore, key: string): Promise<void> =>
      store.records('k').put(TP, key, bytes(key))

    const old = await Metastore.open(at('old'))
    await put(old, 'both')
    await old.flush()
    await old.close()
    await cp(join(directory, 'old'), join(directory, 'new'), { recursive: true })

    const deposed = await Metastore.open(at('old'))
    await put(deposed, 'deposed, before')
    await deposed.flush()
    // Opened once more than the other: its terms are newer.
    await (await Metastore.open(at('new'))).close()
    const leader = await Metastore.open(at('new'))
    await put(leader, 'leader')
    // Its first look finds the name that the other has put, whose log is another one.
    await leader.flush().catch(() => leader.flush())
    await put(deposed, 'deposed, after')
    await assert.rejects(deposed.flush(), { code: 'UNAVAILABLE' })
    await put(leader, 'leader, later')
    await leader.flush()
    await Promise.all([deposed.close(), leader.close()])

    const from = { clusterId: leader.clusterId }
    const restored = await Metastore.restore({ ...at('restored'), from })
    const found: string[] = []
    for await (const { key } of restored.records('k').scan(TP)) {
      found.push(new TextDecoder().decode(key))
    }
    await restored.close()
    assert.deepEqual(found, ['both', 'leader', 'leader, later'])
  } finally {
    await rm(directory, { recursive: true })
  }
}

test('a deposed writer is fenced off in a bucket in memory', { timeout: 60_000 }, async () => {
  await writersFence(() => ({ objectStore: `memory:fencing-${randomUUID()}` }))
})

test('a deposed writer is fenced off in a directory', { timeout: 60_000 }, async () => {
  await writersFence(directory => ({ objectStore: `file:${join(directory, 'bucket')}` }))
})

describe('on a real S3 server', { skip: withoutServer }, () => {
  before(makeBucket)
  test('a deposed writer is fenced off', { timeout: 60_000 }, async () => {
    const { bucket, prefix, options } = freshLocation()
    await writersFence(() => ({ objectStore: `s3://${bucket}/${prefix}`, s3: options }))
  })
})
