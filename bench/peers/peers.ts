/**
 * The peers that are installed: bench/package.json is a package of its own, so that those who use
 * or build waymark need none of them; servers are programs of the machine.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { betterSqlite3 } from './better-sqlite3.ts'
import { classicLevel } from './classic-level.ts'
import type { Contender } from './key-value-store.ts'
import { lmdb } from './lmdb.ts'
import { rocksdb } from './rocksdb.ts'

type Load = (require: NodeJS.Require) => Omit<Contender, 'name' | 'version'>

const LOAD: Readonly<Record<string, Load>> = {
  lmdb,
  'classic-level': classicLevel,
  'better-sqlite3': betterSqlite3,
  '@nxtedition/rocksdb': rocksdb,
}
/** Those that are in this process, one caller at a time. */
export const EMBEDDED_PEER_NAMES: readonly string[] = Object.keys(LOAD)
/** Those that are replicated over several processes. */
export const ETCD = 'etcd'
export const PEER_NAMES: readonly string[] = [...EMBEDDED_PEER_NAMES, ETCD]

const ETCD_SETTINGS = '3 members on loopback, defaults; gRPC, one connection a member'

export interface ServerPeer {
  name: string
  version: string
  /** Not the defaults. */
  settings: string
}

export interface Peers {
  present: Contender[]
  servers: ServerPeer[]
  /** Those that cannot be loaded, and why. */
  missing: { name: string; reason: string }[]
}

/** Opens each of them once, since some are built only when they are. */
export function loadPeers(names: readonly string[]): Peers {
  const folder = benchFolder()
  const require = createRequire(join(folder, 'package.json'))
  const peers: Peers = { present: [], servers: [], missing: [] }
  for (const name of names) {
    try {
      if (name === ETCD) {
        peers.servers.push(etcd())
        continue
      }
      const contender = LOAD[name](require)
      peers.present.push({ name, version: versionOf(folder, name), ...contender })
    } catch (error) {
      const reason = error instanceof Error ? error.message.split('\n')[0] : String(error)
      peers.missing.push({ name, reason })
    }
  }
  return peers
}

function etcd(): ServerPeer {
  const version = /etcd Version: (\S+)/.exec(
    execFileSync('etcd', ['--version'], { encoding: 'utf8' }),
  )
  if (version === null) throw new Error('etcd --version does not tell a version')
  return { name: ETCD, version: version[1], settings: ETCD_SETTINGS }
}

/** Where bench/package.json is; this may be its compiled copy below .build. */
function benchFolder(from: string = import.meta.dirname): string {
  const folder = join(from, 'bench')
  return existsSync(join(folder, 'package.json')) ? folder : benchFolder(dirname(from))
}

function versionOf(folder: string, name: string): string {
  const text = readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
