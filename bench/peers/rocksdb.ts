/**
 * @nxtedition/rocksdb: RocksDB, tuned. Of its calls those that run on the calling thread are the
 * fastest by far; some of them are in its API with an underscore.
 */
import { join } from 'node:path'
import {
  CACHE_BYTES,
  type Contender,
  type KeyValueStore,
  WRITE_BUFFER_BYTES,
} from './key-value-store.ts'

/** Key, value, key, value. */
interface Found {
  rows: Buffer[]
}

interface Rocks {
  open(): Promise<void>
  get(key: Buffer): Promise<Buffer>
  _getManySync(keys: Buffer[], options: object): (Buffer | undefined)[]
  querySync(options: object): Found
  iterator(): { _seekSync(key: Buffer): void; _nextvSync(size: number): Found }
  batch(): { put(key: Buffer, value: Buffer): void; write(options: object): Promise<void> }
  close(): Promise<void>
}

interface Module {
  RocksLevel: new (location: string, options: Record<string, unknown>) => Rocks
}

const BINARY = { keyEncoding: 'buffer', valueEncoding: 'buffer' }
const NO_OPTIONS = {}
/** The binding makes one memtable of a quarter of its budget. */
const BUFFERS_A_BUDGET = 4

export function rocksdb(require: NodeJS.Require): Omit<Contender, 'name' | 'version'> {
  const { RocksLevel } = require('@nxtedition/rocksdb') as Module
  return {
    settings: 'sync: false, cache and each memtable 256 MiB, compaction level, parallelism 2',
    open: async directory => {
      const db = new RocksLevel(join(directory, 'rocksdb'), {
        ...BINARY,
        ...{ parallelism: 2, compaction: 'level', cacheSize: CACHE_BYTES },
        memtableMemoryBudget: WRITE_BUFFER_BYTES * BUFFERS_A_BUDGET,
      })
      await db.open()
      return storeOf(db)
    },
  }
}

function storeOf(db: Rocks): KeyValueStore {
  return {
    seeks: () => {
      const open = db.iterator()
      return [
        {
          variant: 'open iterator: _seekSync, _nextvSync',
          now: key => {
            open._seekSync(key)
            return open._nextvSync(1).rows[1]
          },
        },
        {
          variant: 'querySync limit 1',
          now: gte => db.querySync({ ...BINARY, gte, limit: 1 }).rows[1],
        },
      ]
    },
    gets: () => [
      { variant: '_getManySync of one', now: key => db._getManySync([key], NO_OPTIONS)[0] },
      { variant: 'get', later: key => found(db, key) },
    ],
    scans: () => [
      {
        variant: 'querySync',
        now: (gte, limit) => {
          const { rows } = db.querySync({ ...BINARY, gte, limit })
          return { rows: rows.length / 2, last: rows.at(-1) }
        },
      },
    ],
    putBatch: rows => {
      const batch = db.batch()
      for (const { key, value } of rows) batch.put(key, value)
      return batch.write({ sync: false })
    },
    // The binding has no flush: opening again makes tables of what is in the log.
    settle: async () => {},
    close: () => db.close(),
  }
}

/** This version rejects for a key that is not there. */
async function found(db: Rocks, key: Buffer): Promise<Buffer | undefined> {
  try {
    return await db.get(key)
  } catch (error) {
    if ((error as { code?: string }).code === 'LEVEL_NOT_FOUND') return undefined
    throw error
  }
}
