/** classic-level: LevelDB; asynchronous calls run on the threads of libuv. */
import { join } from 'node:path'
import {
  CACHE_BYTES,
  type Contender,
  type KeyValueStore,
  scanned,
  WRITE_BUFFER_BYTES,
} from './key-value-store.ts'

interface Iterator {
  seek(key: Buffer): void
  next(): Promise<[Buffer, Buffer] | undefined>
  nextv(size: number): Promise<[Buffer, Buffer][]>
  close(): Promise<void>
}

interface Level {
  open(): Promise<void>
  get(key: Buffer): Promise<Buffer | undefined>
  getSync(key: Buffer): Buffer | undefined
  iterator(options?: { gte: Buffer; limit: number }): Iterator
  batch(): {
    put(key: Buffer, value: Buffer): void
    write(options: { sync: boolean }): Promise<void>
  }
  compactRange(start: Buffer, end: Buffer): Promise<void>
  close(): Promise<void>
}

interface Module {
  ClassicLevel: new (location: string, options: Record<string, unknown>) => Level
}

const FIRST_KEY = Buffer.alloc(1)
const LAST_KEY: Buffer = Buffer.alloc(33, 0xff)

export function classicLevel(require: NodeJS.Require): Omit<Contender, 'name' | 'version'> {
  const { ClassicLevel } = require('classic-level') as Module
  return {
    settings: 'sync: false, cacheSize and writeBufferSize 256 MiB, chained batches',
    open: async directory => {
      const db = new ClassicLevel(join(directory, 'classic-level'), {
        ...{ keyEncoding: 'buffer', valueEncoding: 'buffer' },
        ...{ cacheSize: CACHE_BYTES, writeBufferSize: WRITE_BUFFER_BYTES },
      })
      await db.open()
      return storeOf(db)
    },
  }
}

function storeOf(db: Level): KeyValueStore {
  return {
    seeks: () => {
      const open = db.iterator()
      return [
        {
          variant: 'open iterator: seek, next',
          later: async key => {
            open.seek(key)
            return (await open.next())?.[1]
          },
        },
        {
          variant: 'iterator gte, limit 1',
          later: async gte => {
            const iterator = db.iterator({ gte, limit: 1 })
            const found = await iterator.next()
            await iterator.close()
            return found?.[1]
          },
        },
      ]
    },
    gets: () => [
      { variant: 'get', later: key => db.get(key) },
      { variant: 'getSync', now: key => db.getSync(key) },
    ],
    scans: () => [
      {
        variant: 'iterator, nextv',
        later: async (gte, limit) => {
          const iterator = db.iterator({ gte, limit })
          const rows = await iterator.nextv(limit)
          await iterator.close()
          return scanned(rows)
        },
      },
    ],
    putBatch: rows => {
      const batch = db.batch()
      for (const { key, value } of rows) batch.put(key, value)
      return batch.write({ sync: false })
    },
    settle: () => db.compactRange(FIRST_KEY, LAST_KEY),
    close: () => db.close(),
  }
}
