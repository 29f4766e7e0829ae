/**
 * Who the members are and where they listen, as this node knows: what its options said, and then
 * what changes of members have made of it. Each change has a version; the newest one counts, and is
 * kept in dataDir/members.json:
 *
 *   {"format": "waymark-members", "version": 1, "change": 3, "members": [{nodeId, host, port}]}
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { corruption } from '../../codec/errors.ts'
import { writeDurably } from '../durable-file.ts'
import type { PeerAddress } from '../net/options.ts'

const FORMAT = 'waymark-members'
const VERSION = 1
const FILE = 'members.json'

export interface Member extends PeerAddress {
  readonly nodeId: number
}

export interface MemberList {
  /** Counts changes; 0: as the options say. */
  readonly change: number
  /** Ascending by node id. */
  readonly members: readonly Member[]
}

/** What is asked of MemberBook. */
export type KnownMembers = Pick<MemberBook, 'list' | 'addresses' | 'adopt'>

export class MemberBook {
  readonly #dataDir: string
  #list: MemberList
  #writing: Promise<void> = Promise.resolve()

  private constructor(dataDir: string, list: MemberList) {
    this.#dataDir = dataDir
    this.#list = list
  }

  /** @throws CORRUPTION for a file that cannot be understood */
  static async open(dataDir: string, initial: readonly Member[]): Promise<MemberBook> {
    const path = join(dataDir, FILE)
    try {
      return new MemberBook(dataDir, parseMembers(await readFile(path, 'utf8'), path))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      return new MemberBook(dataDir, { change: 0, members: initial })
    }
  }

  get list(): MemberList {
    return this.#list
  }

  get addresses(): Map<number, PeerAddress> {
    return new Map(this.#list.members.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
  }

  /** Takes a newer list over, durably. @returns whether it is newer */
  async adopt(list: MemberList): Promise<boolean> {
    if (!isNewerList(list, this.#list)) return false
    this.#list = list
    const text = JSON.stringify({ format: FORMAT, version: VERSION, ...list })
    this.#writing = this.#writing.then(() => writeDurably(this.#dataDir, FILE, text))
    await this.#writing
    return true
  }
}

/**
 * Whether a list is to take the place of another one: a later change. Of two changes that were made
 * at once, at two nodes, all nodes take the same one; the other is lost, as its caller can see.
 */
export function isNewerList(list: MemberList, than: MemberList): boolean {
  if (list.change !== than.change) return list.change > than.change
  return list.change > 0 && textOf(list) > textOf(than)
}

function textOf({ members }: MemberList): string {
  return JSON.stringify(members.map(({ nodeId, host, port }) => [nodeId, host, port]))
}

/** @throws CORRUPTION naming `source` */
export function parseMembers(text: string, source: string): MemberList {
  let value: { format?: unknown; version?: unknown; change?: unknown; members?: unknown }
  try {
    value = JSON.parse(text) as typeof value
  } catch (error) {
    throw corruption(`${source} is not JSON: ${String(error)}`, { file: source })
  }
  const { format, version, change, members } = value
  const isList =
    (format === undefined || (format === FORMAT && version === VERSION)) &&
    Number.isSafeInteger(change) &&
    Array.isArray(members) &&
    members.every(isMember)
  if (!isList) throw corruption(`${source} is no list of members`, { file: source })
  return { change: change as number, members: members as Member[] }
}

function isMember(value: unknown): boolean {
  const { nodeId, host, port } = (value ?? {}) as Partial<Member>
  return Number.isSafeInteger(nodeId) && typeof host === 'string' && Number.isSafeInteger(port)
}
