/** lmdb: a B+ tree in mapped memory; everything runs on the calling thread. */
import { join } from 'node:path'
import { type Contender, type KeyValueStore, scanned } from './key-value-store.ts'

interface Entry {
  key: Buffer
  value: Buffer
}

interface Range<T> extends Iterable<T> {
  readonly asArray: T[]
}

interface Lmdb {
  get(key: Buffer): Buffer | undefined
  getBinaryFast(key: Buffer): Buffer | undefined
  getKeys(options: { start: Buffer; limit: number }): Range<Buffer>
  getRange(options: { start: Buffer; limit: number }): Range<Entry>
  putSync(key: Buffer, value: Buffer): void
  transactionSync(run: () => void): void
  close(): Promise<void>
}

interface Module {
  open(options: Record<string, unknown>): Lmdb
}

export function lmdb(require: NodeJS.Require): Omit<Contender, 'name' | 'version'> {
  const { open } = require('lmdb') as Module
  return {
    settings: 'noSync, binary keys and values, transactionSync a batch',
    open: async directory =>
      storeOf(
        open({
          path: join(directory, 'lmdb'),
          ...{ encoding: 'binary', keyEncoding: 'binary', compression: false, noSync: true },
        }),
      ),
  }
}

function storeOf(db: Lmdb): KeyValueStore {
  return {
    seeks: () => [
      {
        variant: 'getKeys limit 1, getBinaryFast',
        now: key => {
          for (const found of db.getKeys({ start: key, limit: 1 })) return db.getBinaryFast(found)
          return undefined
        },
      },
      {
        variant: 'getRange limit 1',
        now: key => {
          for (const { value } of db.getRange({ start: key, limit: 1 })) return value
          return undefined
        },
      },
    ],
    gets: () => [
      { variant: 'get', now: key => db.get(key) },
      { variant: 'getBinaryFast', now: key => db.getBinaryFast(key) },
    ],
    scans: () => [
      {
        variant: 'getRange',
        now: (start, limit) => {
          let rows = 0
          let last: Buffer | undefined
          for (const { value } of db.getRange({ start, limit })) {
            last = value
            rows++
          }
          return { rows, last }
        },
      },
      {
        variant: 'getRange asArray',
        now: (start, limit) => {
          const entries = db.getRange({ start, limit }).asArray
          return scanned(entries.map(({ key, value }) => [key, value]))
        },
      },
    ],
    putBatch: rows => {
      db.transactionSync(() => {
        for (const { key, value } of rows) db.putSync(key, value)
      })
    },
    settle: async () => {},
    close: () => db.close(),
  }
}
