/** A process that opens and closes read replicas and has nothing else to do: it ends by itself. */
import assert from 'node:assert/strict'
import { Metastore, ReadReplica } from '../../../src/index.ts'
import { TP } from './replica-fixture.ts'

const [dataDir, replicaDir] = process.argv.slice(2)
const objectStore = 'memory:closing'
const store = await Metastore.open({ dataDir, objectStore, partitions: 3, durability: 'os' })
const { clusterId } = store
await store.records('test').put(TP, 'a', new Uint8Array(1))
await store.flush()
await store.close()
for (let round = 0; round < 3; round++) {
  await using replica = await ReadReplica.open({
    ...{ dataDir: replicaDir, objectStore, clusterId, refreshIntervalMs: 60_000 },
  })
  assert.equal((await replica.records('test').get(TP, 'a'))?.length, 1)
  const reading = replica.records('test').get(TP, 'a')
  const refreshing = replica.refresh().catch(() => {})
  await replica.close()
  await reading
  await refreshing
}
await assert.rejects(
  ReadReplica.open({ dataDir: replicaDir, objectStore: 'memory:empty', clusterId }),
)
