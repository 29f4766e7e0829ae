/**
 * Goal: a source and a cluster restored from it write into one bucket for a while, with flushes,
 * compactions and collections, and neither sees or loses anything of the other.
 * Method: both at once in one process, then a look at both, and at what can be restored of each.
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import type { Metastore } from '../../../src/index.ts'
import { temporaryDirectory } from '../../temporary-directory.ts'
import { bytes, contentsOf, PLACES } from './restoring.ts'
import { SourceStore } from './source-store.ts'

let directory: string
before(async () => {
  directory = await temporaryDirectory()
})
after(() => rm(directory, { recursive: true }))

/** Overwrites, deletes and adds records; every write is acknowledged and in `model`. */
async function write(
  store: Metastore,
  name: string,
  model: Record<string, string>,
  rounds: number,
): Promise<void> {
  const records = store.records('k')
  for (let round = 0; round < rounds; round++) {
    await Promise.all(
      PLACES.map(async (tp, place) => {
        const key = `${round % 7}`
        if (round % 5 === 4) {
          await records.delete(tp, key)
          delete model[`${place} ${key}`]
          return
        }
        const value = `${round} of ${name} ${'x'.repeat(200)}`
        await records.put(tp, key, bytes(value))
        model[`${place} ${key}`] = value
      }),
    )
    if (round % 10 === 9) await store.flush()
    if (round % 20 === 19) await store.compact()
    if (round % 20 === 19) await store.collectGarbage()
  }
}

test('both go on, flush, compact and collect without each other', {
  timeout: 120_000,
}, async () => {
  const options = { memtableBytesMax: 65_536, garbageDelayMs: 0 }
  await using source = await SourceStore.open(directory, options)
  const ofSource: Record<string, string> = {}
  await write(source.store, 'the common past', ofSource, 13)
  await source.shipAll()
  const restored = await source.restore({}, options)
  const ofRestored = { ...ofSource }
  await Promise.all([
    write(source.store, 'the source', ofSource, 60),
    write(restored, 'the restored', ofRestored, 60),
  ])
  assert.deepEqual(await contentsOf(source.store), ofSource)
  assert.deepEqual(await contentsOf(restored), ofRestored)
  await Promise.all([source.store.flush(), restored.flush()])
  const [first, second] = await Promise.all([
    source.restore(),
    source.restore({ clusterId: restored.clusterId }),
  ])
  assert.deepEqual(await contentsOf(first), ofSource)
  assert.deepEqual(await contentsOf(second), ofRestored)
})
