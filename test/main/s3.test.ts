/**
 * Goal: a metastore keeps what it flushed in a bucket of S3, finds it there again without its own
 * disk, and tells credentials to nobody. Method: a real server, and a logger that keeps all lines.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, before, beforeEach, describe, test } from 'node:test'
import { Metastore, type MetastoreOptions } from '../../src/index.ts'
import { JsonLinesLogger } from '../../src/main/cli/json-lines-logger.ts'
import { FaultProxy } from '../s3/fault-proxy.ts'
import {
  freshLocation,
  makeBucket,
  s3Options,
  serverEndpoint,
  withoutServer,
} from '../s3/s3-server.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const TP = { topicId: randomUUID(), partition: 0 }
const ROWS = 5_000

describe('a metastore on S3', { skip: withoutServer }, () => {
  let directory: string
  before(makeBucket)
  beforeEach(async () => {
    directory = await temporaryDirectory()
  })
  afterEach(async () => {
    await rm(directory, { recursive: true })
  })

  function options(change: Partial<MetastoreOptions> = {}): MetastoreOptions {
    const { bucket, prefix, options: s3 } = freshLocation()
    return {
      dataDir: join(directory, 'data'),
      objectStore: `s3://${bucket}/${prefix}`,
      s3,
      partitions: 2,
      durability: 'os',
      ...change,
    }
  }

  async function writeRows(store: Metastore): Promise<void> {
    const rows = store.records('test')
    await Promise.all(
      Array.from({ length: ROWS }, (_, i) => rows.put(TP, `key-${i}`, Buffer.alloc(2_500, i))),
    )
    await store.flush()
  }

  async function expectRows(store: Metastore): Promise<void> {
    const rows = store.records('test')
    for (let i = 0; i < ROWS; i += 97) {
      const value = (await rows.get(TP, `key-${i}`)) ?? assert.fail(`key-${i} is gone`)
      assert.equal(Buffer.compare(value, Buffer.alloc(2_500, i)), 0)
    }
  }

  test('tables are read back after the cache is lost, and after the whole disk is', async () => {
    const given = options({ compression: 'none' })
    const first = await Metastore.open(given)
    await writeRows(first)
    await first.close()

    await rm(join(given.dataDir, 'cache'), { recursive: true })
    const again = await Metastore.open(given)
    await expectRows(again)
    await again.compact()
    await expectRows(again)
    assert.ok((await again.collectGarbage({ dryRun: true })).tables >= 0)
    await again.close()

    await rm(given.dataDir, { recursive: true })
    const from = { clusterId: first.clusterId }
    const restored = await Metastore.restore({ ...given, from })
    await expectRows(restored)
    await restored.close()
  })

  test('reads are right while the way to the bucket loses, cuts and flips', async () => {
    const proxy = await FaultProxy.listen(serverEndpoint())
    const given = options({ s3: s3Options(proxy.endpoint), compression: 'none' })
    const first = await Metastore.open(given)
    await writeRows(first)
    await first.close()
    await rm(join(given.dataDir, 'cache'), { recursive: true })

    const again = await Metastore.open(given)
    let ranges = 0
    proxy.plan = ({ headers }) => {
      if (headers.range === undefined) return null
      const faults = [
        { type: 'flip', atByte: 1_000 },
        { type: 'cut', atByte: 2_000 },
        { type: 'loseAnswer' },
        { type: 'answer', status: 503, code: 'SlowDown' },
        null,
      ] as const
      return faults[ranges++ % faults.length]
    }
    await expectRows(again)
    await again.compact()
    await expectRows(again)
    assert.ok(ranges > 10)
    await again.close()
    await proxy.close()
  })

  test('close does not wait for a bucket that hangs', async () => {
    const proxy = await FaultProxy.listen(serverEndpoint())
    const store = await Metastore.open(options({ s3: s3Options(proxy.endpoint) }))
    await store.records('test').put(TP, 'key', Buffer.from('value'))
    proxy.plan = () => ({ type: 'hang' })
    const flushing = store.flush().catch((error: unknown) => error)
    const startedAt = performance.now()
    await store.close()
    assert.ok(performance.now() - startedAt < 4_000)
    assert.equal(((await flushing) as { code?: string }).code, 'CLOSED')
    await proxy.close()
  })

  test('a bucket that is not there fails the open at once, by its name', async () => {
    const given = options({ objectStore: 's3://waymark-absent/somewhere' })
    await assert.rejects(Metastore.open(given), {
      code: 'UNAVAILABLE',
      message: /s3:\/\/waymark-absent\/somewhere\/.*404 NoSuchBucket/,
    })
  })

  test('wrong credentials fail the open at once, and are nowhere to be read', async () => {
    const lines: string[] = []
    const secret = 'do-not-tell-this-secret'
    const { s3 } = options()
    const given = options({
      s3: { ...s3, credentials: { accessKeyId: 'testkey', secretAccessKey: secret } },
      logger: new JsonLinesLogger(line => lines.push(line)),
    })
    await assert.rejects(Metastore.open(given), (error: Error) => {
      lines.push(JSON.stringify(error), String(error.stack), String(error.cause))
      assert.equal((error as { code?: string }).code, 'UNAVAILABLE')
      assert.match(error.message, /403 SignatureDoesNotMatch/)
      return true
    })
    assert.ok(!lines.join('').includes(secret))
  })
})
