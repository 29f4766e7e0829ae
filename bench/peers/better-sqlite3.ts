/** better-sqlite3: SQLite; everything runs on the calling thread. */
import { join } from 'node:path'
import { CACHE_BYTES, type Contender, type KeyValueStore, scanned } from './key-value-store.ts'

interface Statement {
  get(...parameters: unknown[]): unknown
  all(...parameters: unknown[]): unknown[]
  run(...parameters: unknown[]): unknown
  pluck(): Statement
  raw(): Statement
}

interface Sqlite {
  pragma(text: string): unknown
  exec(sql: string): unknown
  prepare(sql: string): Statement
  transaction<A extends unknown[]>(run: (...args: A) => void): (...args: A) => void
  close(): unknown
}

type Module = new (path: string) => Sqlite

export function betterSqlite3(require: NodeJS.Require): Omit<Contender, 'name' | 'version'> {
  const Database = require('better-sqlite3') as Module
  // The native part is loaded with the first database only.
  new Database(':memory:').close()
  return {
    settings: 'journal_mode wal, synchronous off, cache 256 MiB, mmap 1 GiB, without rowid',
    open: async directory => {
      const db = new Database(join(directory, 'sqlite'))
      db.pragma('journal_mode = wal')
      db.pragma('synchronous = off')
      db.pragma(`cache_size = -${CACHE_BYTES / 1024}`)
      db.pragma(`mmap_size = ${1024 ** 3}`)
      db.exec('create table if not exists rows (key blob primary key, value blob) without rowid')
      return storeOf(db)
    },
  }
}

function storeOf(db: Sqlite): KeyValueStore {
  const select = 'select value from rows where key'
  const seek = db.prepare(`${select} >= ? order by key limit 1`).pluck()
  const get = db.prepare(`${select} = ?`).pluck()
  const scan = db.prepare('select key, value from rows where key >= ? order by key limit ?').raw()
  const put = db.prepare('insert or replace into rows values (?, ?)')
  const putBatch: KeyValueStore['putBatch'] = db.transaction(rows => {
    for (const { key, value } of rows) put.run(key, value)
  })
  return {
    seeks: () => [{ variant: 'prepared, limit 1', now: key => seek.get(key) as Buffer }],
    gets: () => [{ variant: 'prepared get', now: key => get.get(key) as Buffer }],
    scans: () => [
      {
        variant: 'prepared all',
        now: (from, limit) => scanned(scan.all(from, limit) as [Buffer, Buffer][]),
      },
    ],
    putBatch,
    settle: async () => {
      db.pragma('wal_checkpoint(truncate)')
    },
    close: async () => {
      db.close()
    },
  }
}
