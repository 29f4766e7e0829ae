/** Waymark as a key-value store among the others: through waymark/level, in one partition. */
import { join } from 'node:path'
import { Metastore } from '../src/index.ts'
import { WaymarkLevel } from '../src/level.ts'
import { CACHE_BYTES, type KeyValueStore, type Read, scanned } from './peers/key-value-store.ts'
import { MEMTABLE_BYTES_MAX } from './stores.ts'

type Database = WaymarkLevel<Buffer, Buffer>

/** A call that not every version has. */
interface MaybeSync {
  getSync?: (key: Buffer) => Buffer | undefined
}

export async function openWaymarkLevel(directory: string): Promise<KeyValueStore> {
  const location = join(directory, 'waymark-level')
  const db: Database = new WaymarkLevel(location, {
    ...{ keyEncoding: 'buffer', valueEncoding: 'buffer', durability: 'os' },
    ...{ memtableBytesMax: MEMTABLE_BYTES_MAX, blockCacheBytesMax: CACHE_BYTES },
  })
  await db.open()
  return {
    seeks: () => [
      {
        variant: 'level: iterator gte, limit 1',
        later: async gte => {
          const iterator = db.iterator({ gte, limit: 1 })
          const found = await iterator.next()
          await iterator.close()
          return found?.[1]
        },
      },
    ],
    gets: () => getsOf(db),
    scans: () => [
      {
        variant: 'level: iterator, nextv',
        later: async (gte, limit) => {
          const iterator = db.iterator({ gte, limit })
          const rows = await iterator.nextv(limit)
          await iterator.close()
          return scanned(rows)
        },
      },
    ],
    putBatch: rows => db.batch(rows.map(({ key, value }) => ({ type: 'put', key, value }))),
    settle: async () => {
      await db.close()
      await compact(location)
    },
    close: () => db.close(),
  }
}

function getsOf(db: Database): Read[] {
  const gets: Read[] = [{ variant: 'level: get', later: key => db.get(key) }]
  const { getSync } = db as MaybeSync
  const supports: object = db.supports
  if ('getSync' in supports && supports.getSync === true && getSync !== undefined) {
    gets.push({ variant: 'level: getSync', now: key => getSync.call(db, key) })
  }
  return gets
}

/** Everything into tables; waymark/level has no call for that. */
async function compact(location: string): Promise<void> {
  await using metastore = await Metastore.open({
    dataDir: join(location, 'data'),
    objectStore: `file:${join(location, 'bucket')}`,
    memtableBytesMax: MEMTABLE_BYTES_MAX,
  })
  await metastore.compact()
}
