/** What a bucket should have when all garbage is gone: what is named from cluster.json on. */
import {
  clusterKey,
  committedKey,
  manifestKey,
  tableKey,
  tailOfKey,
  tailPrefix,
} from '../../../src/codec/bucket-layout.ts'
import type { ClusterFile } from '../../../src/codec/cluster-file.ts'
import { decodeCommitted } from '../../../src/codec/committed-pointer.ts'
import { decodeManifest } from '../../../src/codec/manifest.ts'
import { MemoryObjectStore } from '../../../src/main/object-stores/memory-object-store.ts'

/** All keys, sorted. */
export async function keysIn(bucket: MemoryObjectStore, prefix = ''): Promise<string[]> {
  const keys: string[] = []
  for (let after: string | null = ''; after !== null; ) {
    const page = await bucket.list(prefix, after === '' ? {} : { after })
    for (const { key } of page.objects) keys.push(key)
    after = page.next
  }
  return keys.sort()
}

/** Of a cluster that has flushed all its domains, sorted: its tail objects reach beyond that. */
export async function namedKeys(
  bucket: MemoryObjectStore,
  cluster: ClusterFile,
): Promise<string[]> {
  const keys = [clusterKey(cluster.clusterId)]
  for (const domain of cluster.domains) {
    const pointer = committedKey(domain)
    const name = manifestKey(decodeCommitted(await read(bucket, pointer), pointer))
    const manifest = decodeManifest(await read(bucket, name), name)
    keys.push(pointer, name, ...manifest.tables.map(tableKey))
    for (const key of await keysIn(bucket, tailPrefix(domain))) {
      if ((tailOfKey(key)?.last ?? 0) > manifest.lastSequence) keys.push(key)
    }
  }
  return keys.sort()
}

/** Another bucket with the same objects. */
export async function copyOf(bucket: MemoryObjectStore): Promise<MemoryObjectStore> {
  const copy = new MemoryObjectStore()
  for (const key of await keysIn(bucket)) await copy.put(key, await read(bucket, key))
  return copy
}

async function read(bucket: MemoryObjectStore, key: string): Promise<Uint8Array> {
  const bytes = await bucket.get(key)
  if (bytes === null) throw new Error(`${key} is not in the bucket`)
  return bytes
}
